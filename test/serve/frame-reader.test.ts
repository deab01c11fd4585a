// The frame reader on a real HTTP/2 stream: how bytes become messages, and what a client may not do.

import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Budget } from "../../src/flow/budget.ts";
import { BufferPool } from "../../src/flow/buffer-pool.ts";
import { FrameReader, type MessageEncoding } from "../../src/serve/frame-reader.ts";
import type { PaceLimits } from "../../src/serve/pace.ts";

const messageBytesMax = 100_000;
let server: Http2Server;
const streams: ((stream: ServerHttp2Stream) => void)[] = [];

beforeAll(async () => {
  server = createServer();
  server.on("stream", (stream) => streams.shift()?.(stream));
  server.listen(0);
  await once(server, "listening");
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

interface Pair extends Disposable {
  readonly session: ClientHttp2Session;
  readonly client: ClientHttp2Stream;
  readonly reader: FrameReader;
  readonly budget: Budget;
  readonly abort: AbortController;
}

async function open({
  budgetBytes = 1_000_000,
  encoding = "identity" as MessageEncoding,
  stallMs = 5_000,
  restMs = undefined as number | undefined,
  freeBytesMax = 0,
  pace = undefined as PaceLimits | undefined,
  budget = new Budget(budgetBytes),
  beside = undefined as ClientHttp2Session | undefined,
} = {}): Promise<Pair> {
  const session = beside ?? connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const accepted = new Promise<ServerHttp2Stream>((resolve) => streams.push(resolve));
  const client = session.request({ ":method": "POST" }, { endStream: false });
  client.on("error", () => undefined);
  const stream = await accepted;
  stream.on("error", () => undefined);
  const abort = new AbortController();
  const options = {
    budget,
    pool: new BufferPool(budgetBytes),
    messageBytesMax,
    encoding,
    signal: abort.signal,
    stallMs,
    restMs,
    freeBytesMax,
    pace,
  };
  const reader = new FrameReader(stream, options);
  return { session, client, reader, budget, abort, [Symbol.dispose]: () => session.destroy() };
}

function frame(bytes: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.from([flag, 0, 0, 0, 0]);
  prefix.writeUInt32BE(bytes.byteLength, 1);
  return Buffer.concat([prefix, bytes]);
}

describe("FrameReader", () => {
  test("finds the same messages however the bytes are cut", async () => {
    const messages = [0, 1, 5, 4_000, 70_000, 3].map((bytes, index) => Buffer.alloc(bytes, index + 1));
    const bytes = Buffer.concat(messages.map((message) => frame(message)));
    for (const size of [1_021, 7, bytes.byteLength]) {
      using pair = await open();
      const sending = (async () => {
        for (let at = 0; at < bytes.byteLength; at += size) {
          const taken = new Promise((resolve) => pair.client.write(bytes.subarray(at, at + size), resolve));
          if (at % (50 * size) === 0) await taken;
        }
        pair.client.end();
      })();
      for (const message of messages) {
        const found = await pair.reader.next();
        expect(found && Buffer.compare(found.bytes, message), `pieces of ${size}`).toBe(0);
        found?.release();
      }
      expect(await pair.reader.next()).toBeUndefined();
      expect(pair.budget.use().heldBytes).toBe(0);
      await sending;
    }
  });

  test("asks for memory before it takes a message, and waits for it", async () => {
    using pair = await open({ budgetBytes: 60_000 });
    pair.client.write(Buffer.concat([frame(Buffer.alloc(40_000)), frame(Buffer.alloc(40_000))]));
    const first = await pair.reader.next();
    const second = pair.reader.next();
    await expect.poll(() => pair.budget.use().waiting).toBe(1);
    first?.release();
    const found = await second;
    expect(found?.bytes.byteLength).toBe(40_000);
    found?.release();
    expect(pair.budget.use().heldBytes).toBe(0);
  });

  test("inflates a compressed message up to the limit", async () => {
    using pair = await open({ encoding: "gzip" });
    const message = Buffer.alloc(messageBytesMax, 7);
    pair.client.write(Buffer.concat([frame(gzipSync(message), 1), frame(Buffer.from("plain"))]));
    const found = await pair.reader.next();
    expect(found && Buffer.compare(found.bytes, message)).toBe(0);
    found?.release();
    expect((await pair.reader.next())?.bytes.toString()).toBe(Buffer.from("plain").toString());
    pair.client.write(frame(gzipSync(Buffer.alloc(messageBytesMax + 1)), 1));
    await expect(pair.reader.next()).rejects.toMatchObject({ code: "overloaded" });
  });

  test.each([
    ["a flag that is none", frame(Buffer.from("x"), 2), "invalid", /flag 2/],
    ["compression that was not announced", frame(Buffer.from("x"), 1), "invalid", /no encoding/],
    ["a message beyond the limit", frame(Buffer.alloc(messageBytesMax + 1)), "overloaded", /100001/],
    ["a length of 4 GiB", Buffer.from([0, 255, 255, 255, 255]), "overloaded", /4294967295/],
  ])("refuses %s", async (_what, bytes, code, sentence) => {
    using pair = await open();
    pair.client.write(bytes);
    await expect(pair.reader.next()).rejects.toMatchObject({ code, message: expect.stringMatching(sentence) });
    pair.reader.close();
    expect(pair.budget.use().heldBytes).toBe(0);
  });

  test.each([3, 5, 100])("refuses a stream that ends %i bytes into a message", async (bytes) => {
    using pair = await open();
    pair.client.end(frame(Buffer.alloc(1_000)).subarray(0, bytes));
    await expect(pair.reader.next()).rejects.toMatchObject({ code: "invalid" });
    pair.reader.close();
    expect(pair.budget.use().heldBytes).toBe(0);
  });

  test("gives a message up whose bytes do not come, but lets a client rest between messages", async () => {
    const stallMs = 60;
    using pair = await open({ stallMs });
    const first = pair.reader.next();
    await new Promise((resolve) => setTimeout(resolve, 3 * stallMs));
    pair.client.write(frame(Buffer.from("late")));
    (await first)?.release();
    pair.client.write(frame(Buffer.alloc(1_000)).subarray(0, 500));
    await expect(pair.reader.next()).rejects.toMatchObject({ code: "expired" });
    pair.reader.close();
    expect(pair.budget.use().heldBytes).toBe(0);
  });

  test("ends with the reason of its signal, also while it waits for memory", async () => {
    using pair = await open({ budgetBytes: 60_000 });
    pair.client.write(Buffer.concat([frame(Buffer.alloc(40_000)), frame(Buffer.alloc(40_000))]));
    const first = await pair.reader.next();
    const second = pair.reader.next();
    await expect.poll(() => pair.budget.use().waiting).toBe(1);
    pair.abort.abort(new Error("enough"));
    await expect(second).rejects.toThrow();
    first?.release();
    pair.reader.close();
    expect(pair.budget.use()).toMatchObject({ heldBytes: 0, waiting: 0 });
  });
});

describe("what others wait for", () => {
  test("a small message takes nothing from the budget, and does not wait for it", async () => {
    using pair = await open({ budgetBytes: 8_192, freeBytesMax: 8_192 });
    using _all = pair.budget.tryTake(8_192);
    pair.client.write(frame(Buffer.alloc(5_000, 7)));
    expect((await pair.reader.next())?.bytes.byteLength).toBe(5_000);
  });

  test("a message that comes too slowly is given up when others wait, and not before", async () => {
    using pair = await open({ budgetBytes: 8_192, pace: { graceMs: 0, bytesPerSecond: 1_000_000 } });
    pair.client.write(frame(Buffer.alloc(5_000)).subarray(0, 100));
    const message = pair.reader.next();
    message.catch(() => undefined);
    const early = await Promise.race([message, new Promise((resolve) => setTimeout(resolve, 1_500, "waits"))]);
    expect(early).toBe("waits");
    const other = pair.budget.take(8_192, AbortSignal.timeout(5_000));
    await expect(message).rejects.toMatchObject({ code: "overloaded" });
    pair.reader.close();
    (await other)[Symbol.dispose]();
  });

  test("time in which nobody waits is not counted", async () => {
    using pair = await open({ budgetBytes: 8_192, pace: { graceMs: 1_500, bytesPerSecond: 1_000_000 } });
    pair.client.write(frame(Buffer.alloc(5_000)).subarray(0, 100));
    const message = pair.reader.next();
    message.catch(() => undefined);
    await expect.poll(() => pair.budget.use().heldBytes).toBe(8_192);
    await expect(pair.budget.take(8_192, AbortSignal.timeout(1_200))).rejects.toThrow();
    const later = await Promise.race([message, new Promise((resolve) => setTimeout(resolve, 2_000, "waits"))]);
    expect(later).toBe("waits");
    const other = pair.budget.take(8_192, AbortSignal.timeout(5_000));
    await expect(message).rejects.toMatchObject({ code: "overloaded" });
    pair.reader.close();
    (await other)[Symbol.dispose]();
  });

  test("messages of one connection share what is asked of it", async () => {
    const pace = { graceMs: 0, bytesPerSecond: 400 };
    using first = await open({ budgetBytes: 3 * 8_192, pace });
    using second = await open({ pace, budget: first.budget, beside: first.session });
    using alone = await open({ pace, budget: first.budget });
    // Each sends 300 bytes a second: two of them together are fast enough, one by itself is not.
    const pairs = [first, second, alone];
    const messages = pairs.map(({ client, reader }) => {
      client.write(frame(Buffer.alloc(5_000)).subarray(0, 5));
      const message = reader.next();
      message.catch(() => undefined);
      return message;
    });
    const pieces = setInterval(() => {
      for (const { client } of pairs) client.write(Buffer.alloc(30));
    }, 100);
    await expect.poll(() => first.budget.use().heldBytes).toBe(3 * 8_192);
    const waiting = first.budget.take(3 * 8_192, AbortSignal.timeout(8_000)).catch(() => undefined);
    await expect(messages[2]).rejects.toMatchObject({ code: "overloaded" });
    const others = Promise.race([
      ...messages.slice(0, 2),
      new Promise((resolve) => setTimeout(resolve, 2_500, "go on")),
    ]);
    expect(await others).toBe("go on");
    clearInterval(pieces);
    for (const { reader } of pairs) reader.close();
    (await waiting)?.[Symbol.dispose]();
  });

  test("a client that sends no message at all is given up where it must not rest", async () => {
    using pair = await open({ restMs: 50 });
    await expect(pair.reader.next()).rejects.toMatchObject({ code: "expired" });
  });
});
