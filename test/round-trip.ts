// A recording put over the wire and got back: every byte of every message, and the schema.

import { expect } from "vitest";
import { type ClientOptions, FlightClient, type Outgoing } from "./load/flight-client.ts";
import { baseTopics, type TopicLoad } from "./load/robot.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 3, seed: 11 };

/** Records a short drive in a sequence of its own and finalizes its session. */
export async function record(port: number, sequence: string, options?: ClientOptions): Promise<readonly TopicLoad[]> {
  using client = new FlightClient(port, undefined, options);
  const session = await openSession(client, sequence);
  const topics = baseTopics(drive);
  await Promise.all(
    topics.map(async ({ path, messages }) =>
      client.put(await createTopic(client, session, `${sequence}/${path}`), messages),
    ),
  );
  await client.action("session_finalize", { session_uuid: session });
  return topics;
}

/** Creates a sequence with a session; the session's UUID. */
export async function openSession(client: FlightClient, sequence: string): Promise<string> {
  await client.action("info", {});
  await client.action("sequence_create", { locator: sequence, user_metadata: {} });
  const { uuid } = (await client.action("session_create", { locator: sequence })) as { uuid: string };
  return uuid;
}

export async function createTopic(
  client: FlightClient,
  session: string,
  locator: string,
  ontologyTag = "test",
): Promise<{ locator: string; uuid: string }> {
  const { uuid } = (await client.action("topic_create", {
    session_uuid: session,
    locator,
    ontology_tag: ontologyTag,
    serialization_format: "default",
    user_metadata: {},
  })) as { uuid: string };
  return { locator, uuid };
}

/** Reads the recording and compares it with what was sent, bit for bit. */
export async function expectRecorded(
  port: number,
  sequence: string,
  topics: readonly TopicLoad[],
  options?: ClientOptions,
): Promise<void> {
  using client = new FlightClient(port, undefined, options);
  await client.action("info", {});
  for (const { path, messages } of topics) expectSame(await readTopic(client, `${sequence}/${path}`), messages, path);
}

/** The batches of a topic, without its schema. */
export async function readTopic(client: FlightClient, locator: string): Promise<Outgoing[]> {
  const info = await client.info({ resource_locator: locator });
  const [ticket] = info.endpoint.flatMap((endpoint) => endpoint.ticket?.ticket ?? []);
  if (ticket === undefined) throw new Error(`${locator} has no ticket`);
  const got: Outgoing[] = [];
  for await (const { header, body } of client.get(ticket)) got.push({ header, body });
  return got.slice(1);
}

/** @param sent the schema first, as it was put */
export function expectSame(got: readonly Outgoing[], sent: readonly Outgoing[], what: string): void {
  const batches = sent.slice(1);
  expect(got.length, `batches of ${what}`).toBe(batches.length);
  batches.forEach(({ header, body }, index) => {
    const found = got[index];
    if (found === undefined) throw new Error(`${what} lacks batch ${index}`);
    expect(Buffer.compare(found.body, body), `body of batch ${index} of ${what}`).toBe(0);
    expect(
      Buffer.compare(found.header.subarray(0, header.byteLength), header),
      `header of batch ${index} of ${what}`,
    ).toBe(0);
  });
}
