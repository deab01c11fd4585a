// The life of a server process: how it starts, refuses to start, tells its health, and stops.

import { generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect } from "node:tls";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../../src/wire/health_pb.js";
import { CallError, FlightClient } from "../load/flight-client.ts";
import { baseTopics } from "../load/robot.ts";
import { createTopic, expectRecorded, expectSame, openSession, readTopic, record } from "../round-trip.ts";
import { runToEnd, startServer } from "../server.ts";

/** In so many words: a connection that merely breaks is no answer. */
const stopping = { code: 14, details: "The server is stopping; what has arrived is kept, continue the upload later." };
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mosaico-edge-life-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("stopping", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("on %s open uploads are told, and what arrived is kept", async (signal) => {
    const dataDir = path.join(folder, `stop-${signal}`);
    const [topic] = baseTopics({ startNs: 1n, seconds: 20, seed: 5 });
    if (topic === undefined) throw new Error("the robot has a topic");
    const half = topic.messages.slice(0, 11);
    let place: { locator: string; uuid: string };
    {
      await using server = await startServer({ dataDir });
      using client = new FlightClient(server.port);
      const session = await openSession(client, "stopped");
      place = await createTopic(client, session, "stopped/gps");
      const put = client.openPut(place);
      for (const message of half) await put.sendData(message);
      // Until the server has read them; what is still in a socket then was not received.
      await expect.poll(() => readTopic(client, place.locator).then((got) => got.length)).toBe(half.length - 1);
      const begunMs = performance.now();
      process.kill(server.pid, signal);
      expect(await put.call.status()).toEqual(stopping);
      // Not before: of two signals at once either may come first, and a SIGINT that comes second ends the server at once.
      await server.stop();
      expect(performance.now() - begunMs).toBeLessThan(10_000);
    }
    await using server = await startServer({ dataDir });
    using client = new FlightClient(server.port);
    await client.action("info", {});
    expectSame(await readTopic(client, place.locator), half, "the stopped upload");
    // The topic goes on where it was.
    await client.put(place, [
      topic.messages[0] ?? { header: new Uint8Array(), body: new Uint8Array() },
      ...topic.messages.slice(11),
    ]);
    expectSame(await readTopic(client, place.locator), topic.messages, "the continued upload");
    await server.stop();
  });

  test("an upload that has sent nothing yet is told too", async () => {
    await using server = await startServer();
    using client = new FlightClient(server.port);
    const put = client.call("DoPut");
    put.stream.resume();
    await client.action("info", {});
    const begunMs = performance.now();
    const stopped = server.stop();
    expect(await put.status()).toEqual(stopping);
    await stopped;
    expect(performance.now() - begunMs).toBeLessThan(4_000);
  });

  test("a client that keeps its connection does not hold the server up", async () => {
    await using server = await startServer();
    using client = new FlightClient(server.port);
    await client.action("info", {});
    const begunMs = performance.now();
    await server.stop();
    expect(performance.now() - begunMs).toBeLessThan(9_000);
  });
});

describe("health", () => {
  test("is SERVING, NOT_FOUND for a service that is not there, and needs no key", async () => {
    await using server = await startServer({ args: ["--api-key"] });
    using client = new FlightClient(server.port);
    const check = async (service: string) => {
      const [answer] = await client.all("/grpc.health.v1.Health/Check", HealthCheckRequestSchema, { service });
      return answer === undefined ? undefined : fromBinary(HealthCheckResponseSchema, answer).status;
    };
    expect(await check("")).toBe(HealthCheckResponse_ServingStatus.SERVING);
    expect(await check("arrow.flight.protocol.FlightService")).toBe(HealthCheckResponse_ServingStatus.SERVING);
    await expect(check("other")).rejects.toMatchObject({ code: 5 });
  });

  test("a watcher hears that the server stops", async () => {
    await using server = await startServer();
    using client = new FlightClient(server.port);
    const call = client.call("/grpc.health.v1.Health/Watch");
    await call.send([toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, {}))]);
    call.end();
    const heard: number[] = [];
    const watching = (async () => {
      for await (const answer of call.messages()) {
        heard.push(fromBinary(HealthCheckResponseSchema, answer).status);
        if (heard.length === 1) process.kill(server.pid, "SIGTERM");
      }
    })();
    await watching.catch((error: unknown) => expect(error).toBeInstanceOf(CallError));
    expect(heard).toEqual([HealthCheckResponse_ServingStatus.SERVING, HealthCheckResponse_ServingStatus.NOT_SERVING]);
    await server.stop();
  });
});

describe("TLS", () => {
  const certificate = path.join(import.meta.dirname, "tls/certificate.pem");
  const key = path.join(import.meta.dirname, "tls/key.pem");

  test("serves a recording, and nobody below TLS 1.2 or without TLS", async () => {
    await using server = await startServer({ args: ["--tls-cert", certificate, "--tls-key", key] });
    const ca = await readFile(certificate, "utf8");
    const topics = await record(server.port, "tls", { ca });
    await expectRecorded(server.port, "tls", topics, { ca });
    const old = new Promise<string>((resolve) => {
      const socket = connect({
        port: server.port,
        host: "127.0.0.1",
        ca,
        minVersion: "TLSv1",
        maxVersion: "TLSv1.1",
        ciphers: "DEFAULT@SECLEVEL=0",
      });
      socket.on("secureConnect", () => resolve("connected"));
      socket.on("error", () => resolve("refused"));
    });
    expect(await old).toBe("refused");
    using plain = new FlightClient(server.port);
    await expect(plain.action("info", {})).rejects.toThrow();
    await expectRecorded(server.port, "tls", topics, { ca });
    await server.stop();
  });

  const text = import.meta.filename;
  test.each<[string, { cert: string; key?: string }, string | RegExp]>([
    ["a certificate without its key", { cert: certificate }, "tls_cert and tls_key belong together"],
    ["no file of the certificate", { cert: "/no.pem", key }, "tls_cert: Cannot read /no.pem: ENOENT"],
    ["no file of the key", { cert: certificate, key: "/no.pem" }, "tls_key: Cannot read /no.pem: ENOENT"],
    ["a folder", { cert: certificate, key: "/" }, "tls_key: Cannot read /: it is a directory, expected a file"],
    [
      "a certificate that is none",
      { cert: text, key },
      `tls_cert: ${text}: expected a certificate chain in PEM, found`,
    ],
    ["a key for a certificate", { cert: key, key }, `tls_cert: ${key}: expected a certificate chain in PEM, found`],
    ["a broken certificate", { cert: "broken.pem", key }, /tls_cert: .*\/broken\.pem: .*, found/],
    ["a key that is none", { cert: certificate, key: text }, `tls_key: ${text}: expected a private key in PEM`],
    [
      "a certificate for a key",
      { cert: certificate, key: certificate },
      `tls_key: ${certificate}: expected a private key`,
    ],
    [
      "the key of another certificate",
      { cert: certificate, key: "other.pem" },
      /tls_key: .*other\.pem is not the key of the certificate in .*certificate\.pem \(tls_cert\)/,
    ],
  ])("does not start with %s", async (_what, files, sentence) => {
    const pem = await readFile(certificate, "utf8");
    await writeFile(path.join(folder, "broken.pem"), pem.replace(/MII.{20}/, "MII"));
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    await writeFile(path.join(folder, "other.pem"), other.export({ type: "pkcs8", format: "pem" }));
    const dataDir = path.join(folder, "tls");
    const keyArgs = files.key === undefined ? [] : ["--tls-key", path.resolve(folder, files.key)];
    const args = ["--tls-cert", path.resolve(folder, files.cert), ...keyArgs];
    const { code, stderr } = await runToEnd(["run", "--data-dir", dataDir, "--port", "0", ...args]);
    expect(stderr).toMatch(sentence);
    expect(code).toBe(64);
    // A wrong setting is found before anything is touched.
    expect(existsSync(dataDir)).toBe(false);
  });
});

describe("starting", () => {
  test("beyond loopback only with keys, or when told so", async () => {
    const args = ["run", "--data-dir", path.join(folder, "open"), "--port", "0", "--host", "0.0.0.0"];
    const { code, stderr } = await runToEnd(args);
    expect(code).toBe(64);
    expect(stderr).toMatch(/--insecure/);
    for (const permitted of ["--api-key", "--insecure"]) {
      await using server = await startServer({ args: ["--host", "0.0.0.0", permitted] });
      await server.stop();
    }
  });

  test("not beside another server on the same directory", async () => {
    await using server = await startServer();
    const { code, stderr } = await runToEnd(["run", "--data-dir", server.dataDir, "--port", "0"]);
    expect(code).not.toBe(0);
    expect(stderr).toContain(String(server.pid));
    await record(server.port, "alive");
    await server.stop();
  });

  test("not on a port that is taken", async () => {
    await using server = await startServer();
    const { code, stderr } = await runToEnd([
      "run",
      "--data-dir",
      path.join(folder, "port"),
      "--port",
      String(server.port),
    ]);
    expect(code).not.toBe(0);
    expect(stderr).toContain(String(server.port));
  });

  test("with the size of chunks from mosaicod's variable, from a file, and from a flag before both", async () => {
    const file = path.join(folder, "edge.toml");
    await writeFile(file, 'max_chunk_size_in_bytes = "2MiB"\n');
    const chunksOf = async (args: readonly string[], env: Readonly<Record<string, string>>): Promise<number[]> => {
      await using server = await startServer({ args, env });
      await record(server.port, "chunks");
      const sessions = path.join(server.dataDir, "sessions");
      const [session = ""] = await readdir(sessions);
      const sizes: number[] = [];
      for (const topic of await readdir(path.join(sessions, session), { withFileTypes: true })) {
        if (!topic.isDirectory()) continue;
        const files = (await readdir(path.join(sessions, session, topic.name))).filter((name) =>
          name.endsWith(".arrow"),
        );
        for (const name of files) sizes.push((await stat(path.join(sessions, session, topic.name, name))).size);
      }
      return sizes;
    };
    const variable = { MOSAICOD_MAX_CHUNK_SIZE_IN_BYTES: "100000" };
    const unlimited = await chunksOf(["--max-chunk-size-in-bytes", "0"], variable);
    expect(unlimited).toHaveLength(4);
    // Three seconds of camera are 0.9 MB in batches of 0.3 MB: each batch is larger than the limit, and a chunk of its own.
    expect(await chunksOf([], variable)).toHaveLength(6);
    expect(await chunksOf(["--config", file], {})).toHaveLength(4);
    expect(await chunksOf(["--config", file], variable)).toHaveLength(6);
  });
});
