// A topic read back from remotes that give it as it is, otherwise, or do whatever they like: it is the same, it is said what is not, or
// the remote is named in one fault; memory that was taken is given back, and no more comes than is asked for.

import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { Field, Int64, Null, Schema, Table, tableToIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeBatchHeader } from "../../src/arrow/batch-header.ts";
import { digestDifference } from "../../src/arrow/row-digest.ts";
import { Remote } from "../../src/client/remote.ts";
import { parseRemoteUrl } from "../../src/model/remote-url.ts";
import { everything, isEmptyWindow, timeNsMax, timeNsMin } from "../../src/model/time.ts";
import { type ContentsParts, digestHere, digestThere, windowsOf } from "../../src/sync/contents.ts";
import { topicStream } from "../../src/sync/topic-stream.ts";
import { FlightInfoSchema, ResultSchema } from "../../src/wire/flight_pb.js";
import { bareFlightDataHead } from "../../src/wire/flight-data.ts";
import { splitStream } from "../load/messages.ts";
import { type Row, type Stored, store } from "../query/stored.ts";

const raw = (bytes: Buffer): Buffer => bytes;
type Call = ServerWritableStream<Buffer, Buffer>;
type Act = (call: Call, messages: readonly Buffer[]) => void;

const capabilities = ["resume", "topic_status", "client_uuid", "sequence_uuid"];
const version = {
  version: "0.7.0",
  semver: { major: 0, minor: 7, patch: 0, pre: "" },
  config: { grpc_max_decode_message_size: 2 ** 20 },
  edge: { version: "1.0.0", capabilities },
};

const all: Act = (call, messages) => {
  for (const message of messages) call.write(message);
  call.end();
};

/** The messages with one changed. */
function changed(index: number, change: (message: Buffer) => Buffer): Act {
  return (call, messages) =>
    all(
      call,
      messages.map((message, at) => (at === index ? change(Buffer.from(message)) : message)),
    );
}

/** The schema and one batch of rows that are said to be there. */
function nulls(rows: number): Buffer[] {
  const schema = new Schema([new Field("timestamp_ns", new Int64(), true), new Field("n", new Null(), true)]);
  const [head] = splitStream(tableToIPC(new Table(schema), "stream"));
  if (head === undefined) throw new RangeError("a stream begins with its schema");
  const node = { length: rows, nulls: rows };
  const header = encodeBatchHeader({
    rows,
    nodes: [node, node],
    buffers: [
      { offset: 0, length: 0 },
      { offset: 0, length: 0 },
    ],
    variadicCounts: [],
    bodyBytes: 0,
  });
  return [Buffer.from(bareFlightDataHead(head.header, 0)), Buffer.from(bareFlightDataHead(header, 0))];
}

/** Of a remote that gives what can be read: in what it differs. */
const differences: Readonly<Record<string, readonly [act: Act, said: RegExp | undefined]>> = {
  "what is there": [all, undefined],
  "batches in another order": [
    (call, [schema, ...rows]) => all(call, [schema ?? Buffer.alloc(0), ...rows.reverse()]),
    undefined,
  ],
  "empty messages between": [
    (call, messages) =>
      all(
        call,
        messages.flatMap((one) => [one, Buffer.alloc(0)]),
      ),
    undefined,
  ],
  "a value that is another one": [
    changed(3, (message) => {
      message[message.byteLength - 1] = 77;
      return message;
    }),
    /^has other contents there in column "payload"$/,
  ],
  "a batch less": [(call, messages) => all(call, messages.slice(0, -1)), /^has 190 rows there, here 200$/],
  "a batch twice": [
    (call, messages) => all(call, [...messages, ...messages.slice(-1)]),
    /^has 210 rows there, here 200$/,
  ],
};

/** Of one that gives something else: what is said of it. */
const faults: Readonly<Record<string, readonly [act: Act, code: string, said: RegExp]>> = {
  nothing: [(call) => call.end(), "invalid", /ends without a schema/],
  "rows without a schema": [(call, messages) => all(call, messages.slice(1)), "invalid", /expected one schema/],
  "two schemas": [
    (call, messages) => all(call, [...messages.slice(0, 1), ...messages]),
    "invalid",
    /expected one schema/,
  ],
  "what is no FlightData": [
    changed(2, () => Buffer.from([0x12, 0xff, 0xff, 0x01])),
    "invalid",
    /Cannot read FlightData/,
  ],
  "half a message": [changed(2, (message) => message.subarray(0, message.byteLength - 40)), "invalid", /field 1000/],
  "a header that is none": [changed(2, (message) => message.fill(0xff, 4, 40)), "invalid", /./],
  "a message of 2 MiB": [changed(2, () => Buffer.alloc(2 ** 21)), "invalid", /larger than max/],
  "more rows than there can be": [(call) => all(call, nulls(2 ** 50)), "invalid", /timestamp_ns|cannot be compared/],
  "a status that says that data are lost": [
    (call, messages) => {
      for (const message of messages.slice(0, 3)) call.write(message);
      call.emit("error", { code: 15, details: "chunk 3 is broken" });
    },
    "corrupt",
    /chunk 3 is broken/,
  ],
  "a refusal": [(call) => call.emit("error", { code: 7, details: "no" }), "denied", /no/],
};

describe("a topic read back from a remote that gives", () => {
  let stored: Stored;
  let messages: readonly Buffer[] = [];
  let act: Act = all;
  let server: Server;
  let remote: Remote;
  const stop = new AbortController();

  const partsOf = (): ContentsParts => {
    const { disk, catalog, mergeBudget: budget } = stored.parts;
    return { disk, catalog, budget, admit: async () => undefined, yield: async () => undefined };
  };

  beforeAll(async () => {
    const rows = Array.from({ length: 200 }, (_none, id): Row => ({ timeNs: BigInt(id), id }));
    const batches = Array.from({ length: 20 }, (_none, index) => rows.slice(10 * index, 10 * index + 10));
    stored = await store(
      [batches.slice(0, 12), batches.slice(12)],
      { mergeBytes: 2 ** 24, sendBytes: 2 ** 24 },
      "zstd",
    );
    const limits = {
      messageBytesMax: 2 ** 20,
      targetBytes: 1,
      wideRowBytes: Number.POSITIVE_INFINITY,
      keepsCompression: false,
      pacedBytes: Number.POSITIVE_INFINITY,
    };
    const sent: Buffer[] = [];
    for await (const { flightData } of topicStream(partsOf(), stored.topic, {
      fromRow: 0,
      limits,
      signal: stop.signal,
    }))
      sent.push(Buffer.from(flightData));
    messages = sent;
    server = new Server();
    const method = { requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw };
    const path = "/arrow.flight.protocol.FlightService";
    server.addService(
      {
        DoAction: { ...method, path: `${path}/DoAction`, requestStream: false, responseStream: true },
        GetFlightInfo: { ...method, path: `${path}/GetFlightInfo`, requestStream: false, responseStream: false },
        DoGet: { ...method, path: `${path}/DoGet`, requestStream: false, responseStream: true },
      },
      {
        DoAction: (call: Call) => {
          const body = Buffer.from(JSON.stringify({ action: "info", response: version }));
          call.write(Buffer.from(toBinary(ResultSchema, create(ResultSchema, { body }))));
          call.end();
        },
        GetFlightInfo: (_call: unknown, reply: (error: null, answer: Buffer) => void) =>
          reply(
            null,
            Buffer.from(
              toBinary(
                FlightInfoSchema,
                create(FlightInfoSchema, { endpoint: [{ ticket: { ticket: Buffer.from("t") } }] }),
              ),
            ),
          ),
        DoGet: (call: Call) => act(call, messages),
      },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    remote = await Remote.connect(
      { url: parseRemoteUrl(`grpc://127.0.0.1:${port}`), ca: undefined, token: undefined },
      stop.signal,
    );
  });

  afterAll(async () => {
    remote?.[Symbol.dispose]();
    server?.forceShutdown();
    await stored?.[Symbol.asyncDispose]();
  });

  const readBack = async () => {
    const { signal } = stop;
    const { digest, messageBytes } = await digestHere(partsOf(), stored.topic, signal);
    return { digest, there: await digestThere(partsOf(), { remote, topic: stored.topic, messageBytes, signal }) };
  };

  test.each(Object.entries(differences))("%s", async (_name, [does, said]) => {
    act = does;
    const { digest, there } = await readBack();
    expect(digest.rows).toBe(200);
    const difference = digestDifference(digest, there);
    if (said === undefined) expect(difference).toBeUndefined();
    else expect(difference).toMatch(said);
    expect(stored.parts.mergeBudget.use().heldBytes).toBe(0);
  });

  test.each(Object.entries(faults))("%s is one fault that names it", async (_name, [does, code, said]) => {
    act = does;
    const fault = await readBack().catch((error: unknown) => error);
    expect(fault).toMatchObject({ name: "Fault", code });
    const { message } = fault as Error;
    expect(message).toMatch(/^grpc:\/\/127\.0\.0\.1:\d+: DoGet: [^\p{Cc}]+$/u);
    expect(message).toMatch(said);
    expect(stored.parts.mergeBudget.use().heldBytes).toBe(0);
  });

  test("nothing for too long breaks it off, and so does the end of all", async () => {
    let ended = 0;
    act = (call) => {
      call.on("cancelled", () => (ended += 1));
      call.write(messages[0] ?? Buffer.alloc(0));
    };
    {
      using stream = await remote.openGet(stored.topic.locator, everything, 2 ** 20);
      expect(await stream.next(1_000)).toEqual(messages[0]);
      await expect(stream.next(200)).rejects.toThrow(/The remote sent nothing for 0 s/);
    }
    await expect.poll(() => ended).toBe(1);
  });

  test("what has come before anybody asked is given when somebody does, once", async () => {
    act = all;
    using stream = await remote.openGet(stored.topic.locator, everything, 2 ** 20);
    for (const message of messages) {
      await sleep(50);
      expect((await stream.next(1_000))?.equals(message)).toBe(true);
    }
    expect(await stream.next(1_000)).toBeUndefined();
  });

  test("no more than is asked for, however fast it is", async () => {
    let written = 0;
    const many = 200;
    act = (call, [schema = Buffer.alloc(0)]) => {
      call.write(schema);
      const more = (): void => {
        while (written < many) {
          written += 1;
          if (!call.write(Buffer.alloc(2 ** 18))) return void call.once("drain", more);
        }
        call.end();
      };
      more();
    };
    using stream = await remote.openGet(stored.topic.locator, everything, 2 ** 20);
    for (const asked of [1, 5]) {
      for (let one = 0; one < asked; one += 1) await stream.next(5_000);
      const before = written;
      await sleep(300);
      console.log(`read back: ${written} of ${many} messages written after ${asked} more were asked for`);
      expect(written - before).toBeLessThanOrEqual(16);
      expect(written).toBeLessThan(many / 2);
    }
    let rest = 0;
    while ((await stream.next(5_000)) !== undefined) rest += 1;
    expect(rest).toBe(many - 5);
  });
});

test("windows of a topic are disjoint and leave nothing out", () => {
  const of = (bytes: number, startNs: bigint, endNs: bigint) =>
    windowsOf({ extent: { rows: 1, bytes, chunks: 1, range: { startNs, endNs } } });
  const MiB = 2 ** 20;
  expect(of(10 * MiB, 0n, 100n)).toEqual([everything]);
  expect(of(100 * MiB, 5n, 5n)).toEqual([everything]);
  expect(of(700 * MiB, 3n, 1_000n)).toHaveLength(11);
  for (const [bytes, startNs, endNs] of [
    [700 * MiB, 3n, 1_000n],
    [200 * MiB, 0n, 2n],
    [2 ** 45, -7n, 10n ** 18n],
    [2 ** 45, timeNsMin, timeNsMax],
  ] as const) {
    const windows = of(bytes, startNs, endNs);
    expect(windows[0]?.startNs).toBe(startNs);
    expect(windows.at(-1)?.endNs).toBe(endNs === timeNsMax ? timeNsMax : endNs + 1n);
    for (const window of windows) expect(isEmptyWindow(window)).toBe(false);
    for (const [index, { endNs }] of windows.slice(0, -1).entries()) expect(windows[index + 1]?.startNs).toBe(endNs);
  }
});
