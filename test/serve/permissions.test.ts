// Every RPC and every action, with every kind of key: the protocol's table, called over a socket.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ActionSchema,
  CriteriaSchema,
  EmptySchema,
  FlightDescriptor_DescriptorType,
  FlightDescriptorSchema,
  TicketSchema,
} from "../../src/wire/flight_pb.js";
import { CallError, FlightClient } from "../load/flight-client.ts";
import { type RunningServer, serverCommand, startServer } from "../server.ts";
import { collidingToken, tokenOf } from "./tokens.ts";

const status = { ok: 0, invalid: 3, absent: 5, denied: 7, unimplemented: 12, unauthenticated: 16 };
const uuid = "00000000-0000-4000-8000-000000000000";
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

interface Target {
  /** undefined: any valid key may. */
  readonly needs: "read" | "write" | "delete" | "manage" | undefined;
  /** Status for a caller who may. */
  readonly allowed: number;
  request(serial: number): Uint8Array;
}

function message<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): () => Uint8Array {
  return () => toBinary(schema, create(schema, init));
}

function action(type: string, body: (serial: number) => unknown): (serial: number) => Uint8Array {
  return (serial) => toBinary(ActionSchema, create(ActionSchema, { type, body: bytes(body(serial)) }));
}

const missing = { type: FlightDescriptor_DescriptorType.CMD, cmd: bytes({ resource_locator: "missing/topic" }) };
const { ok, absent, unimplemented } = status;

const rpcs: Readonly<Record<string, Target>> = {
  ListFlights: { needs: "read", allowed: ok, request: message(CriteriaSchema, {}) },
  GetFlightInfo: { needs: "read", allowed: absent, request: message(FlightDescriptorSchema, missing) },
  GetSchema: { needs: "read", allowed: absent, request: message(FlightDescriptorSchema, missing) },
  DoGet: {
    needs: "read",
    allowed: absent,
    request: message(TicketSchema, { ticket: bytes({ topic: "missing/topic" }) }),
  },
  DoPut: { needs: "write", allowed: absent, request: firstPut },
  ListActions: { needs: undefined, allowed: ok, request: message(EmptySchema, {}) },
  PollFlightInfo: { needs: undefined, allowed: unimplemented, request: message(FlightDescriptorSchema, missing) },
  Handshake: { needs: undefined, allowed: unimplemented, request: () => new Uint8Array(0) },
  DoExchange: { needs: undefined, allowed: unimplemented, request: () => new Uint8Array(0) },
};

const notification = { notification_type: "error", msg: "m" };
const actions: Readonly<Record<string, Omit<Target, "request"> & { body: (serial: number) => unknown }>> = {
  version: { needs: undefined, allowed: ok, body: () => ({}) },
  info: { needs: undefined, allowed: ok, body: () => ({}) },
  query: { needs: "read", allowed: ok, body: () => ({ sequence: { locator: { $eq: "missing" } } }) },
  sequence_notification_list: { needs: "read", allowed: absent, body: () => ({ locator: "missing" }) },
  topic_notification_list: { needs: "read", allowed: absent, body: () => ({ locator: "missing/topic" }) },
  sequence_create: {
    needs: "write",
    allowed: ok,
    body: (serial) => ({ locator: `made-${serial}`, user_metadata: {} }),
  },
  session_create: { needs: "write", allowed: absent, body: () => ({ locator: "missing" }) },
  session_finalize: { needs: "write", allowed: absent, body: () => ({ session_uuid: uuid }) },
  topic_create: {
    needs: "write",
    allowed: absent,
    body: () => ({
      locator: "missing/topic",
      session_uuid: uuid,
      serialization_format: "default",
      ontology_tag: "t",
      user_metadata: {},
    }),
  },
  sequence_notification_create: {
    needs: "write",
    allowed: absent,
    body: () => ({ locator: "missing", ...notification }),
  },
  topic_notification_create: {
    needs: "write",
    allowed: absent,
    body: () => ({ locator: "missing/topic", ...notification }),
  },
  sequence_delete: { needs: "delete", allowed: absent, body: () => ({ locator: "missing" }) },
  session_delete: { needs: "delete", allowed: absent, body: () => ({ session_uuid: uuid }) },
  edge_sequence_delete_empty: { needs: "delete", allowed: absent, body: () => ({ locator: "missing", uuid }) },
  edge_session_delete_open: { needs: "delete", allowed: absent, body: () => ({ session_uuid: uuid }) },
  edge_topic_status: { needs: "write", allowed: absent, body: () => ({ topic_uuid: uuid }) },
  topic_delete: { needs: "delete", allowed: absent, body: () => ({ locator: "missing/topic" }) },
  sequence_notification_purge: { needs: "delete", allowed: absent, body: () => ({ locator: "missing" }) },
  topic_notification_purge: { needs: "delete", allowed: absent, body: () => ({ locator: "missing/topic" }) },
  api_key_create: {
    needs: "manage",
    allowed: ok,
    body: () => ({ permissions: "read", description: "made by the test" }),
  },
  api_key_status: { needs: "manage", allowed: absent, body: () => ({ api_key_fingerprint: "00000000" }) },
  api_key_revoke: { needs: "manage", allowed: absent, body: () => ({ api_key_fingerprint: "00000000" }) },
};

const targets: Readonly<Record<string, Target & { method: string }>> = {
  ...Object.fromEntries(Object.entries(rpcs).map(([name, target]) => [name, { ...target, method: name }])),
  ...Object.fromEntries(
    Object.entries(actions).map(([name, { body, ...target }]) => [
      name,
      { ...target, method: "DoAction", request: action(name, body) },
    ]),
  ),
};

function firstPut(): Uint8Array {
  const cmd = bytes({ resource_locator: "missing/topic", topic_uuid: uuid });
  const descriptor = toBinary(
    FlightDescriptorSchema,
    create(FlightDescriptorSchema, { type: FlightDescriptor_DescriptorType.CMD, cmd }),
  );
  // A schema of one column, timestamp_ns, as the IPC message that pyarrow 26 makes of it.
  const schema = Buffer.from(
    "EAAAAAAACgAMAAYABQAIAAoAAAAAAQQADAAAAAgACAAAAAQACAAAAAQAAAABAAAAFAAAABAAFAAIAAYABwAMAAAAEAAQAAAAAAABAhAAAAAoAAAABAAAAAAAAAAMAAAAdGltZXN0YW1wX25zAAAAAAgADAAIAAcACAAAAAAAAAFAAAAA",
    "base64",
  );
  return Buffer.concat([
    Uint8Array.of(0x0a, descriptor.byteLength),
    descriptor,
    Uint8Array.of(
      0x12,
      (schema.byteLength & 127) | (schema.byteLength > 127 ? 128 : 0),
      ...(schema.byteLength > 127 ? [schema.byteLength >> 7] : []),
    ),
    schema,
  ]);
}

const words = ["read", "write", "delete", "manage"] as const;
type Word = (typeof words)[number];
interface Key {
  readonly token: string;
  readonly may: readonly Word[];
}

const valid = new Map<string, Key>();
const refused = new Map<string, { token: string | undefined; code: number }>();
let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ args: ["--api-key"] });
  for (const [index, word] of words.entries())
    valid.set(word, { token: await makeKey("-p", word), may: words.slice(0, index + 1) });
  for (const word of words) valid.set(`${word} alone`, { token: await makeKey("-p", word, "--exact"), may: [word] });
  valid.set("read|delete", { token: await makeKey("-p", "read|delete"), may: ["read", "delete"] });

  const expiresMs = Date.now() + 1_000;
  const expired = await makeKey("-p", "manage", "--expires-at", new Date(expiresMs).toISOString());
  const revoked = await makeKey("-p", "manage");
  await run("key", "revoke", "--data-dir", server.dataDir, revoked.slice(-8));
  const manager = valid.get("manage")?.token ?? "";
  await new Promise((resolve) => setTimeout(resolve, expiresMs - Date.now()));
  const { invalid, unauthenticated } = status;
  refused.set("no key", { token: undefined, code: unauthenticated });
  refused.set("an expired key", { token: expired, code: unauthenticated });
  refused.set("a revoked key", { token: revoked, code: unauthenticated });
  refused.set("a forged key with the right CRC", {
    token: tokenOf("0123456789abcdefghijklmnopqrstuv"),
    code: unauthenticated,
  });
  refused.set("a forged key with the fingerprint of a real one", {
    token: collidingToken(manager),
    code: unauthenticated,
  });
  refused.set("a key with a wrong CRC", {
    token: `${manager.slice(0, -1)}${manager.endsWith("0") ? "1" : "0"}`,
    code: invalid,
  });
  refused.set("half a key", { token: manager.slice(0, 20), code: invalid });
  refused.set("a key with another head", { token: manager.replace("msco", "mscx"), code: invalid });
});

afterAll(async () => {
  await server.stop();
  for (const { token } of valid.values()) expect(server.stderr()).not.toContain(token.slice(5, 37));
  await server[Symbol.asyncDispose]();
});

describe("API keys", () => {
  test("each call is allowed to who may, and to nobody else", async () => {
    let calls = 0;
    for (const [keyName, { token, may }] of valid) {
      using client = new FlightClient(server.port, token);
      for (const [name, target] of Object.entries(targets)) {
        const { needs, allowed } = target;
        // The connect of SDK 0.4 and 0.5 lists: a key that may write but not read gets an empty list.
        const lists = name === "ListFlights" && may.includes("write");
        const expected = needs === undefined || may.includes(needs) || lists ? allowed : status.denied;
        calls += 1;
        expect(await statusOf(client, target, calls), `${name} with ${keyName}`).toBe(expected);
      }
    }
    console.log(`permissions: ${valid.size} keys x ${Object.keys(targets).length} calls`);
    expect(calls).toBe(valid.size * Object.keys(targets).length);
  });

  test("a key that is none opens nothing", async () => {
    for (const [keyName, { token, code }] of refused) {
      using client = new FlightClient(server.port, token);
      for (const [name, target] of Object.entries(targets)) {
        // SDK 0.6 and 0.7 begin with these, and know PERMISSION_DENIED only.
        if (name === "version" || name === "info") continue;
        expect(await statusOf(client, target, 1), `${name} with ${keyName}`).toBe(code);
      }
    }
    console.log(`permissions: ${refused.size} kinds of bad keys`);
  });

  test("a connection of SDK 0.6 or 0.7 is told PERMISSION_DENIED when the key is missing", async () => {
    for (const name of ["version", "info"]) {
      using client = new FlightClient(server.port);
      const first = targets[name];
      const second = targets["query"];
      if (first === undefined || second === undefined) throw new Error("the table lacks a call");
      expect(await statusOf(client, first, 1), name).toBe(status.denied);
      expect(await statusOf(client, second, 1), `query after ${name}`).toBe(status.denied);
    }
  });

  test("a key is revoked, and expires, under a connection that is open", async () => {
    const query = targets["query"];
    if (query === undefined) throw new Error("the table lacks query");
    const soonMs = 1_500;
    const expiring = await makeKey("-p", "read", "--expires-at", new Date(Date.now() + soonMs).toISOString());
    const revoked = await makeKey("-p", "read");
    using first = new FlightClient(server.port, expiring);
    using second = new FlightClient(server.port, revoked);
    expect(await statusOf(first, query, 1)).toBe(ok);
    expect(await statusOf(second, query, 1)).toBe(ok);
    using manager = new FlightClient(server.port, valid.get("manage")?.token);
    await manager.action("api_key_revoke", { api_key_fingerprint: revoked.slice(-8) });
    expect(await statusOf(second, query, 1)).toBe(status.unauthenticated);
    await new Promise((resolve) => setTimeout(resolve, soonMs));
    expect(await statusOf(first, query, 1)).toBe(status.unauthenticated);
  });

  test("without --api-key nobody is asked", async () => {
    await using open = await startServer();
    using client = new FlightClient(open.port);
    for (const [name, target] of Object.entries(targets)) {
      expect(await statusOf(client, target, 1), name).toBe(target.allowed);
    }
  });
});

async function statusOf(client: FlightClient, target: Target & { method: string }, serial: number): Promise<number> {
  const call = client.call(target.method);
  await call.send([target.request(serial)]);
  call.end();
  try {
    for await (const _answer of call.messages());
    return status.ok;
  } catch (error) {
    if (error instanceof CallError) return error.code;
    throw error;
  }
}

async function makeKey(...args: string[]): Promise<string> {
  return (await run("key", "create", "--data-dir", server.dataDir, ...args)).trim();
}

async function run(...args: string[]): Promise<string> {
  const command = serverCommand();
  return (await promisify(execFile)(command.file, [...command.args, ...args], { timeout: 20_000 })).stdout;
}
