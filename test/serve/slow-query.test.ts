// A query that takes long holds up nobody: other calls are answered meanwhile, and the server stops when it is told to.

import { expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { startServer } from "../server.ts";

test("other calls go on during a query that takes long, and so does the end of the server", async () => {
  await using server = await startServer();
  using client = new FlightClient(server.port);
  await client.action("info", {});
  const numbers = Array.from({ length: 20_000 }, (_none, index) => index);
  for (let index = 0; index < 60; index += 1) {
    const name = `s${index}`;
    await client.action("sequence_create", { locator: name, user_metadata: { k: numbers } });
    const { uuid } = (await client.action("session_create", { locator: name })) as { uuid: string };
    const topic = { locator: `${name}/t`, session_uuid: uuid, serialization_format: "default", ontology_tag: "t" };
    await client.action("topic_create", { ...topic, user_metadata: {} });
  }
  using asking = new FlightClient(server.port);
  const paths = Array.from({ length: 100 }, (_none, at) => `**.*.**.x${at}`);
  const never = Object.fromEntries(paths.map((path) => [path, { $nex: null }]));
  const answer = asking.action("query", { sequence: { user_metadata: never } }).then(
    () => "answered",
    (error: unknown) => error,
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  let slowestMs = 0;
  for (let call = 0; call < 20; call += 1) {
    const startedMs = performance.now();
    await client.action("version", {});
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
  }
  expect(slowestMs).toBeLessThan(1_000);
  const begunMs = performance.now();
  await server.stop();
  expect(performance.now() - begunMs).toBeLessThan(4_000);
  expect(await answer).toMatchObject({ code: 14 });
}, 60_000);
