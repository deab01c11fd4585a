// What is counted before a session goes to a remote that tells messages in place of rows: each session once, also in turns.

import { expect, test } from "vitest";
import { parseJson } from "../../src/model/json.ts";
import type { Session, Ulid, Uuid } from "../../src/model/resource.ts";
import { pendingHeldMax } from "../../src/model/sync-limits.ts";
import { SentFacts } from "../../src/sync/sent-facts.ts";
import { readVersion } from "../../src/wire/remote-answer.ts";
import { store } from "../query/stored.ts";

const never = AbortSignal.timeout(60_000);
const traits = { kind: "central", countsRows: false, onConflict: "refuse", comparesContents: false } as const;

test("sessions that are tried in turns are read once each, and again where messages may be of another size", async () => {
  const rows = Array.from({ length: 40 }, (_none, id) => ({ timeNs: BigInt(id), id }));
  await using stored = await store([[rows, rows], [rows]], { mergeBytes: 2 ** 24, sendBytes: 2 ** 24 });
  const { disk, catalog, mergeBudget: budget } = stored.parts;
  const sentFacts = new SentFacts({ disk, catalog, budget });
  const { topic } = stored;
  const { locator, uuid, extent } = topic;
  let readings = 0;
  const admit = async (): Promise<void> => {
    readings += 1;
  };
  const messagesOf = async (session: string, bytesMax = 20_000_000): Promise<number[]> => {
    const config = `{"grpc_max_decode_message_size":${bytesMax}}`;
    const version = parseJson(`{"version":"0.4.0","semver":{"major":0,"minor":4},"config":${config}}`, "a version");
    const shipment = {
      session: { ulid: session as Ulid } as Session,
      topics: [topic],
      facts: {
        session: "session" as Uuid,
        topics: [{ locator, uuid, rows: extent.rows, range: extent.range, lostRows: 0, messages: 0 }],
      },
    };
    const remote = { version: readVersion(version), isEdge: false };
    const { facts } = await sentFacts.of(remote, shipment, { traits, admit, signal: never });
    return facts.topics.map(({ messages }) => messages);
  };
  const first = await messagesOf("a");
  const once = readings;
  expect([first.length, first[0]]).toEqual([1, once]);
  for (const session of ["b", "a", "b", "a"]) expect(await messagesOf(session)).toEqual(first);
  expect(readings).toBe(2 * once);
  await messagesOf("a", 10_000_000);
  expect(readings).toBe(3 * once);
  for (let n = 0; n < pendingHeldMax; n += 1) await messagesOf(`other-${n}`);
  await messagesOf("a");
  expect(readings).toBe((3 + pendingHeldMax + 1) * once);
});
