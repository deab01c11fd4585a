// The name of a sequence that a client left behind because it could not read an answer is given back to it; that of a sequence
// which is anybody's never is, however empty it looks.

import { afterEach, beforeAll, expect, test } from "vitest";
import { abandonedSessionMs } from "../../src/model/limits.ts";
import { CriteriaSchema } from "../../src/wire/flight_pb.js";
import { FlightClient } from "../load/flight-client.ts";
import { createTopic } from "../round-trip.ts";
import { createKey, type RunningServer, startServer } from "../server.ts";

const exists = { code: 6 };
let server: RunningServer;
let keys: [string, string];
let serial = 0;

beforeAll(async () => {
  server = await startServer({ args: ["--api-key"] });
  keys = [await createKey(server.dataDir, "delete"), await createKey(server.dataDir, "delete")];
  return () => server[Symbol.asyncDispose]();
}, 30_000);

const open: FlightClient[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client[Symbol.dispose]();
});

/** A connection that begins like SDK 0.4 and 0.5, which nothing tells apart. */
async function guessed(key = keys[0]): Promise<FlightClient> {
  const client = new FlightClient(server.port, key);
  open.push(client);
  await client.all("ListFlights", CriteriaSchema, {});
  return client;
}

const create = (client: FlightClient, name: string) =>
  client.action("sequence_create", { locator: name, user_metadata: { precious: 1 } });

async function openSession(client: FlightClient, name: string): Promise<string> {
  const { uuid } = (await client.action("session_create", { locator: name })) as { uuid: string };
  return uuid;
}

/** A sequence with an empty session whose answer was a guess. */
async function leave(client: FlightClient): Promise<{ name: string; session: string }> {
  serial += 1;
  const name = `left-${serial}`;
  await create(client, name);
  return { name, session: await openSession(client, name) };
}

async function close(client: FlightClient): Promise<void> {
  client[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve, abandonedSessionMs + 300));
}

test("a client that asks again on its connection has its name back", async () => {
  const client = await guessed();
  const { name, session } = await leave(client);
  await create(client, name);
  await expect(createTopic(client, session, `${name}/t`)).rejects.toMatchObject({ code: 5 });
});

test("a client that asks again on another connection has it back after a while", async () => {
  const first = await guessed();
  const { name } = await leave(first);
  const second = await guessed();
  await expect(create(second, name)).rejects.toMatchObject(exists);
  await close(first);
  await create(second, name);
});

test("a connection that shows what it is has nothing to be given back", async () => {
  const client = new FlightClient(server.port, keys[0]);
  open.push(client);
  await client.action("info", {});
  const { name, session } = await leave(client);
  await expect(create(client, name)).rejects.toMatchObject(exists);
  await createTopic(client, session, `${name}/t`);
});

test("nor has one whose client could read the answer before", async () => {
  const client = await guessed();
  const first = await leave(client);
  await createTopic(client, first.session, `${first.name}/t`);
  const { name, session } = await leave(client);
  await expect(create(client, name)).rejects.toMatchObject(exists);
  await createTopic(client, session, `${name}/t`);
});

test("nor has a client with another key", async () => {
  const first = await guessed();
  const { name, session } = await leave(first);
  await close(first);
  const other = await guessed(keys[1]);
  await expect(create(other, name)).rejects.toMatchObject(exists);
  await createTopic(await guessed(), session, `${name}/t`);
});

test("nor is a sequence that another connection created", async () => {
  const owner = await guessed();
  serial += 1;
  const name = `owned-${serial}`;
  await create(owner, name);
  const guest = await guessed();
  await openSession(guest, name);
  await expect(create(guest, name)).rejects.toMatchObject(exists);
});

test("nor one with a notification, or whose session ever had a topic", async () => {
  const client = await guessed();
  const noted = await leave(client);
  const body = { locator: noted.name, notification_type: "error", msg: "note" };
  await client.action("sequence_notification_create", body);
  await expect(create(client, noted.name)).rejects.toMatchObject(exists);
  const used = await leave(client);
  const { locator } = await createTopic(client, used.session, `${used.name}/t`);
  await client.action("topic_delete", { locator });
  await expect(create(client, used.name)).rejects.toMatchObject(exists);
});

test("nor anything of before a restart", async () => {
  const first = await guessed();
  const { name, session } = await leave(first);
  const { dataDir } = server;
  await server.kill();
  server = await startServer({ dataDir, args: ["--api-key"] });
  const second = await guessed();
  await expect(create(second, name)).rejects.toMatchObject(exists);
  await createTopic(second, session, `${name}/t`);
});
