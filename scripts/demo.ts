// The demo: a simulated robot records a drive on an appliance of its own, as a real producer would, reads it back, and brings it to
// two others. Everything lies in `data` of the project, or in the directory that is named: `npm run demo -- DIRECTORY`.

import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { readBatch } from "../src/arrow/batch.ts";
import { readMessage } from "../src/arrow/message.ts";
import { readSchema } from "../src/arrow/schema.ts";
import { timesOf } from "../src/arrow/timestamps.ts";
import type { TimeRange } from "../src/model/time.ts";
import { FlightClient } from "../test/load/flight-client.ts";
import { baseTopics, type Drive, emergencyStop, labelTopics, type TopicLoad, windowOf } from "../test/load/robot.ts";
import { type RunningServer, runToEnd, startServer } from "../test/server.ts";
import { command, until } from "../test/sync/edges.ts";

const place = process.argv[2] ?? path.join(import.meta.dirname, "../data");
const dataDir = path.resolve(place, "demo");
const centreDir = path.resolve(place, "demo-centre");
const carriedDir = path.resolve(place, "demo-carried");
const sequence = "drive-milan";
const drive: Drive = { startNs: 1_764_000_000_000_000_000n, seconds: 120, seed: 7 };
const startedMs = performance.now();

/** What is read of a topic in an answer; its times are beyond what JavaScript's JSON holds, and left alone. */
interface TopicAnswer {
  readonly resource_locator: string;
  readonly data_info: {
    readonly total_row_count: number;
    readonly total_bytes: number;
    readonly total_chunks_count: number;
  };
}

for (const directory of [dataDir, centreDir, carriedDir]) await rm(directory, { recursive: true, force: true });
let server = await start("the appliance starts on an empty directory");
try {
  await record();
  await server.stop();
  server = await start("restarted; everything that was acknowledged is there");
  await label();
  await look();
  await sync();
  await carry();
  await server.stop();
} catch (error) {
  await server.kill();
  console.error(`The appliance's log ends:\n${server.stderr().slice(-2000)}`);
  throw error;
}
say(
  `done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s; the recording stays in ${path.relative(".", dataDir)}`,
);

async function start(why: string): Promise<RunningServer> {
  const begunMs = performance.now();
  const running = await startServer({ dataDir });
  say(`${why}: port ${running.port}, ready after ${Math.round(performance.now() - begunMs)} ms`);
  return running;
}

/** Base data in one session while another one is tried and given up. */
async function record(): Promise<void> {
  using robot = new FlightClient(server.port);
  await robot.action("info", {});
  await robot.action("sequence_create", {
    locator: sequence,
    user_metadata: { robot: "milo", city: "Milan", run: 12 },
  });
  const base = await createSession(robot);
  const failed = await createSession(robot);

  const topics = baseTopics(drive);
  const given = baseTopics({ ...drive, seconds: 5 }).map((topic) => ({ ...topic, path: `try/${topic.path}` }));
  const begunMs = performance.now();
  // One connection per session, all topics at once: two sessions of one sequence go on side by side.
  using other = new FlightClient(server.port);
  await other.action("info", {});
  const [bytes] = await Promise.all([upload(robot, base, topics), upload(other, failed, given)]);
  await robot.action("session_finalize", { session_uuid: base });
  const seconds = (performance.now() - begunMs) / 1000;
  say(
    `recorded gps, imu and camera: ${megabytes(bytes)} in ${seconds.toFixed(2)} s, ${(bytes / 1e6 / seconds).toFixed(0)} MB/s, durable`,
  );
  await other.action("session_delete", { session_uuid: failed });
  say("aborted a second session: its topics are gone");
}

/** A later layer of the same sequence. */
async function label(): Promise<void> {
  using robot = new FlightClient(server.port);
  await robot.action("info", {});
  const session = await createSession(robot);
  await upload(robot, session, labelTopics(drive));
  await robot.action("session_finalize", { session_uuid: session });
  say("labelled the drive in a session of its own");
}

async function look(): Promise<void> {
  using reader = new FlightClient(server.port);
  await reader.action("info", {});
  const { endpoint } = await reader.info({ resource_locator: sequence });
  say(`the sequence has ${endpoint.length} topics:`);
  for (const { appMetadata } of endpoint) {
    const topic = JSON.parse(Buffer.from(appMetadata).toString()) as TopicAnswer;
    const { total_row_count: rows, total_bytes: bytes, total_chunks_count: chunks } = topic.data_info;
    say(
      `  ${topic.resource_locator.padEnd(36)} ${String(rows).padStart(6)} rows  ${megabytes(bytes).padStart(8)} in ${chunks} chunk(s)`,
    );
  }

  const query = { sequence: { user_metadata: { city: { $eq: "Milan" } } }, topic: { ontology_tag: { $eq: "imu" } } };
  const begunMs = performance.now();
  const found = (await reader.action("query", query)) as { items: { sequence: string; topics: unknown[] }[] };
  const [item] = found.items;
  if (found.items.length !== 1 || item?.topics.length !== 1)
    throw new Error(`The query found ${JSON.stringify(found)}`);
  say(
    `query for imu topics recorded in Milan: ${JSON.stringify(found.items)}, ${(performance.now() - begunMs).toFixed(1)} ms`,
  );

  const window = windowOf(drive, 30, 40);
  const rows = await readWindow(reader, `${sequence}/sensors/imu`, window);
  say(`imu from second 30 to 40: ${rows} rows, expected 2000`);
  if (rows !== 2000) throw new Error("The window did not hold the rows that were written");

  const event = await findEvent(reader);
  const { startNs, endNs } = windowOf(drive, emergencyStop.fromS, emergencyStop.toS);
  // To the last row that brakes: one lies every 5 ms.
  if (event.startNs !== startNs || event.endNs !== endNs - 5_000_000n)
    throw new Error(
      `The event was found from ${event.startNs} to ${event.endNs}, expected ${startNs} to before ${endNs}`,
    );
  const images = await readWindow(reader, `${sequence}/sensors/camera/front`, { startNs, endNs });
  say(
    `what the camera saw: ${images} images of that window, expected 15; the other ${5 * drive.seconds - 15} stay where they are`,
  );
  if (images !== 15) throw new Error("The window did not hold the images that were written");
  const files = await stat(path.join(dataDir, "sessions"));
  if (!files.isDirectory()) throw new Error(`${dataDir} has no sessions`);
}

/** Brings both sessions to a second appliance, and looks for the event there. */
async function sync(): Promise<void> {
  await using centre = await startServer({ dataDir: centreDir });
  const begunMs = performance.now();
  await command(dataDir, "add", "centre", `grpc://127.0.0.1:${centre.port}`);
  const view = await until(dataDir, "both sessions are there", ({ pendingSessions }) => pendingSessions === 0, 600);
  if (view.syncedSessions !== 2) throw new Error(`Sync has come to ${JSON.stringify(view)}`);
  say(
    `synced both sessions to a second appliance, checked there, ${Math.round(performance.now() - begunMs)} ms after it was added`,
  );
  using reader = new FlightClient(centre.port);
  await reader.action("info", {});
  const event = await findEvent(reader);
  const images = await readWindow(reader, `${sequence}/sensors/camera/front`, {
    startNs: event.startNs,
    endNs: event.endNs,
  });
  say(`the same event is found there, with ${images} images of its window`);
}

/** Carries both sessions in a file, as to where no link goes, and looks for the event there. */
async function carry(): Promise<void> {
  const file = path.join(carriedDir, "drive.tar");
  const keyFile = path.join(carriedDir, "robot.key");
  await mkdir(carriedDir, { recursive: true });
  const key = (await bundle("keygen", keyFile)).trim();
  let begunMs = performance.now();
  await bundle("export", file, "--data-dir", dataDir, "--key", keyFile);
  const { size } = await stat(file);
  say(
    `exported both sessions as a bundle: ${megabytes(size)}, ${Math.round(performance.now() - begunMs)} ms, signed by ${key}`,
  );
  begunMs = performance.now();
  const far = path.join(carriedDir, "far");
  const ended = (await bundle("import", file, "--create", "--data-dir", far, "--trust", key)).trim().split("\n").at(-1);
  say(`imported it on a third machine, ${Math.round(performance.now() - begunMs)} ms: ${ended}`);
  await using server = await startServer({ dataDir: far });
  using reader = new FlightClient(server.port);
  await reader.action("info", {});
  await findEvent(reader);
  const bytes = await readFile(file);
  // One bit of all.
  const at = Math.floor(size / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(file, bytes);
  const { code, stderr } = await runToEnd(["bundle", "verify", file]);
  if (code !== 65) throw new Error(`A bundle with another bit ended with ${code}: ${stderr}`);
  say(`with one bit changed it is refused: ${stderr.replace("mosaico-edge: ", "").trim()}`);
}

async function bundle(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(["bundle", ...words], {}, 60_000);
  if (code !== 0) throw new Error(`bundle ${words.join(" ")} ended with ${code}: ${stderr}`);
  return stdout;
}

/** When the robot braked hard, by what its imu measured. */
async function findEvent(client: FlightClient): Promise<TimeRange> {
  const ontology = {
    "imu.acceleration.x": { $lt: -5 },
    include_time_ranges: { gap_ns: 1_000_000_000 },
    explain: true,
  };
  const begunMs = performance.now();
  const text = (await client.actionText("query", { ontology })) ?? "";
  const ms = performance.now() - begunMs;
  const { explain } = (JSON.parse(text) as { response: { explain: Record<string, number> } }).response;
  // Nanoseconds are beyond what JavaScript's JSON holds.
  const [, start, end] = /"time_ranges":\[\[(\d+),(\d+)\]\]/.exec(text) ?? [];
  if (start === undefined || end === undefined) throw new Error(`The query found ${text}, expected one time range`);
  const range = { startNs: BigInt(start), endNs: BigInt(end) };
  const secondOf = (timeNs: bigint) => (Number(timeNs - drive.startNs) / 1e9).toFixed(3);
  say(
    `query for acceleration.x < -5: the robot braked from second ${secondOf(range.startNs)} to ${secondOf(range.endNs)}, ${ms.toFixed(1)} ms; ` +
      `read ${explain["batches_read"]} batches, ${explain["bytes_read"]} of ${explain["bytes_stored"]} bytes`,
  );
  return range;
}

async function createSession(client: FlightClient): Promise<string> {
  const { uuid } = (await client.action("session_create", { locator: sequence })) as { uuid: string };
  return uuid;
}

/** Creates the topics and uploads them at once; the bytes of their bodies. */
async function upload(client: FlightClient, session: string, topics: readonly TopicLoad[]): Promise<number> {
  const uploads = topics.map(async ({ path: name, ontologyTag, userMetadata, messages }) => {
    const locator = `${sequence}/${name}`;
    const created = await client.action("topic_create", {
      session_uuid: session,
      locator,
      ontology_tag: ontologyTag,
      serialization_format: "default",
      user_metadata: userMetadata,
    });
    await client.put({ locator, uuid: (created as { uuid: string }).uuid }, messages);
    return messages.reduce((sum, { body }) => sum + body.byteLength, 0);
  });
  return (await Promise.all(uploads)).reduce((sum, bytes) => sum + bytes, 0);
}

/** Reads a window of a topic and checks that its rows lie inside it, in order; how many there are. */
async function readWindow(
  client: FlightClient,
  locator: string,
  { startNs, endNs }: { startNs: bigint; endNs: bigint },
): Promise<number> {
  // JSON numbers of JavaScript end at 2^53; the command is put together as text.
  const command = `{"resource_locator":${JSON.stringify(locator)},"timestamp_ns_start":${startNs},"timestamp_ns_end":${endNs}}`;
  const info = await client.info(command);
  const [ticket] = info.endpoint.flatMap((endpoint) => endpoint.ticket?.ticket ?? []);
  if (ticket === undefined) throw new Error(`${locator} has no endpoint`);
  const messages = client.get(ticket);
  const { value: first } = await messages.next();
  if (first === undefined) throw new Error(`${locator} has no schema`);
  const schema = readSchema(first.header);
  let rows = 0;
  let lastNs = startNs;
  for await (const { header, body } of messages) {
    const batch = readBatch(schema, readMessage(header, body.byteLength), body);
    const { minNs, maxNs, sorted } = timesOf(schema, batch);
    if (!sorted || minNs < lastNs || maxNs >= endNs)
      throw new Error(`${locator}: rows from ${minNs} to ${maxNs} are out of place`);
    lastNs = maxNs;
    rows += batch.rows;
  }
  return rows;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function say(line: string): void {
  console.log(`demo: ${line}`);
}
