// Remotes that are none: they answer without end, too much, or what nobody can read, and put into words what terminals obey.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ResultSchema } from "../../src/wire/flight_pb.js";
import { runToEnd } from "../server.ts";

const raw = (bytes: Buffer): Buffer => bytes;
const uuid = "3f0c1a52-7f0e-4c7b-9b1e-6a1f2f6f9a10";

function result(body: string | Uint8Array): Buffer {
  return Buffer.from(toBinary(ResultSchema, create(ResultSchema, { body: Buffer.from(body) })));
}

function info(response: object): Buffer {
  return result(JSON.stringify({ action: "info", response }));
}

const semver = { major: 0, minor: 7, patch: 0, pre: "" };
type Call = ServerWritableStream<Buffer, Buffer>;

function withoutEnd(call: Call): void {
  const message = result(Buffer.alloc(32 * 1024));
  const more = (): void => {
    while (!call.cancelled && call.write(message));
    if (!call.cancelled) call.once("drain", more);
  };
  more();
}

function once(call: Call, message: Buffer): void {
  call.write(message);
  call.end();
}

const words = `\u001b]0;owned\u0007\u001b[2J\u202e${uuid} msco_0123456789abcdefghijklmnopqrstuv_x ${"long ".repeat(400)}`;

/** What it does, and what is said of it. */
const remotes: Readonly<Record<string, readonly [act: (call: Call) => void, said: RegExp]>> = {
  "answers without end": [withoutEnd, /it answers more than 65536 bytes/],
  "answers one message of 64 MiB": [(call) => once(call, result(Buffer.alloc(2 ** 26))), /larger than max/],
  "answers what is no message": [(call) => once(call, Buffer.from([0x0a, 0xff, 0xff])), /its answer cannot be read/],
  "answers what is no JSON": [(call) => once(call, result("{")), /not JSON/],
  "takes next to nothing": [
    (call) => once(call, info({ version: "0.7.0", semver, config: { grpc_max_decode_message_size: 10 } })),
    /expected at least 262144 bytes, found the number 10/,
  ],
  "has a name without end": [(call) => once(call, info({ version: "7".repeat(5_000), semver })), /version: /],
  "puts into words what terminals obey": [
    (call) => call.emit("error", { code: 13, details: words }),
    /0;owned.*3f0c1a52-….*msco_….*…$/,
  ],
};

describe("a remote that", () => {
  let dataDir = "";
  beforeAll(() => {
    dataDir = mkdtempSync(path.join(tmpdir(), "mosaico-edge-hostile-"));
  });
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

  test.each(Object.entries(remotes))(
    "%s is told in one clean line",
    { timeout: 60_000 },
    async (_name, [act, said]) => {
      const server = new Server();
      const method = {
        requestSerialize: raw,
        requestDeserialize: raw,
        responseSerialize: raw,
        responseDeserialize: raw,
      };
      server.addService(
        {
          DoAction: {
            ...method,
            path: "/arrow.flight.protocol.FlightService/DoAction",
            requestStream: false,
            responseStream: true,
          },
        },
        { DoAction: act },
      );
      const port = await new Promise<number>((resolve, reject) =>
        server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
          error === null ? resolve(bound) : reject(error),
        ),
      );
      try {
        const { code, stdout, stderr } = await runToEnd([
          ...["sync", "check", `grpc://127.0.0.1:${port}`],
          ...["--data-dir", dataDir],
        ]);
        expect(stdout).toBe("");
        expect(code).not.toBe(0);
        expect(stderr.endsWith("\n")).toBe(true);
        const line = stderr.slice(0, -1);
        // One line without anything that a terminal obeys, and no secret in it.
        expect(line).toMatch(/^[^\p{Cc}\p{Cf}]{1,1000}$/u);
        expect(line).toMatch(said);
        expect(line).toContain(`grpc://127.0.0.1:${port}: DoAction: `);
        expect(line).not.toContain(uuid);
        expect(line).not.toContain("0123456789abcdefghijklmnopqrstuv");
      } finally {
        server.forceShutdown();
      }
    },
  );

  test("has no certificate in its file is not trusted with those of the system", async () => {
    const file = path.join(dataDir, "ca.pem");
    for (const text of ["", "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n"]) {
      writeFileSync(file, text);
      const { code, stderr } = await runToEnd([
        ...["sync", "check", "grpc+tls://127.0.0.1:1", "--ca", file],
        ...["--data-dir", dataDir],
      ]);
      expect([code, stderr]).toEqual([
        64,
        expect.stringContaining(`--ca: ${file}: expected certificates to trust in PEM, found something else`),
      ]);
    }
  });
});
