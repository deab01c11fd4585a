// A call that is refused while its client still sends: the status arrives, and nothing of the call stays behind.

import { once } from "node:events";
import { connect, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Budget } from "../../src/flow/budget.ts";
import { BufferPool } from "../../src/flow/buffer-pool.ts";
import { Fault } from "../../src/model/fault.ts";
import { type DoorOptions, openDoor, type TakenCall } from "../../src/serve/call-door.ts";

let server: Http2Server;
let accepted: ServerHttp2Stream | undefined;
let serve: (call: TakenCall) => Promise<void>;

beforeEach(async () => {
  server = createServer();
  server.on("stream", (stream, headers) => {
    accepted = stream;
    const options: DoorOptions = {
      pool: new BufferPool(1e6),
      limits: () => ({
        budget: new Budget(1e6),
        freeBytesMax: 0,
        messageBytesMax: 1e6,
        stallMs: 5_000,
        restMs: undefined,
        pace: undefined,
      }),
      serve: (call) => serve(call),
      failed: () => undefined,
    };
    void openDoor(stream, headers, options);
  });
  server.listen(0);
  await once(server, "listening");
});
afterEach(() => server.close());

test("a refused call ends on both sides though bytes of it were never read", async () => {
  serve = async ({ frames }) => {
    await frames.next();
    // The client goes on, and fills the window of a stream that nobody reads.
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw new Fault("denied", "No, not you: 100 % sure.");
  };
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stream = session.request({ ":method": "POST" }, { endStream: false });
  stream.on("error", () => undefined);
  stream.write(Buffer.alloc(5 + 60_000));
  stream.write(Buffer.alloc(500_000));
  const [headers] = (await once(stream, "response")) as [Record<string, string>];
  expect(headers["grpc-status"]).toBe("7");
  expect(decodeURIComponent(headers["grpc-message"] ?? "")).toBe("No, not you: 100 % sure.");
  stream.resume();
  await once(stream, "close");
  await expect.poll(() => accepted?.destroyed).toBe(true);
  session.destroy();
});

test("a deadline ends a call that waits", async () => {
  let reason: unknown;
  serve = async ({ frames }) => {
    await frames.next().catch((error: unknown) => {
      reason = error;
      throw error;
    });
  };
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stream = session.request({ ":method": "POST", "grpc-timeout": "50m" }, { endStream: false });
  stream.on("error", () => undefined);
  const [headers] = (await once(stream, "response")) as [Record<string, string>];
  expect(headers["grpc-status"]).toBe("4");
  expect(reason).toMatchObject({ code: "expired" });
  session.destroy();
});

test.each([
  ["an encoding that is not known", { "grpc-encoding": "snappy" }, "12"],
  ["a timeout that is none", { "grpc-timeout": "soon" }, "3"],
])("refuses %s", async (_what, extra, code) => {
  serve = async () => expect.unreachable();
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stream = session.request({ ":method": "POST", ...extra }, { endStream: false });
  stream.on("error", () => undefined);
  const [headers] = (await once(stream, "response")) as [Record<string, string>];
  expect(headers["grpc-status"]).toBe(code);
  session.destroy();
});
