// Deletes that wait for an upload while something new comes in what they delete.

import { expect, test } from "vitest";
import { removeTopic } from "../../src/catalog/resources.ts";
import { listAllTailRuns } from "../../src/catalog/tail-rows.ts";
import { createSession } from "../../src/ingest/create.ts";
import { deleteSequence, deleteSession } from "../../src/ingest/remove.ts";
import type { Session } from "../../src/model/resource.ts";
import { tailFile, topicDirectory } from "../../src/store/layout.ts";
import { feed, type Ingest, openIngest, stopAt } from "./open-ingest.ts";
import { plainMessages } from "./recorded.ts";

const small = plainMessages(2, 100);

/** An upload that a delete has to wait for: the move of its tail stands until `go`. */
async function openStanding(ingest: Ingest, session: Session) {
  const topic = await ingest.createTopic(session, "standing");
  const upload = await ingest.begin(topic, small);
  await feed(upload, small.slice(1));
  await ingest.commit.commit();
  const ended = (async () => {
    await new Promise((resolve) => upload.stopped.addEventListener("abort", resolve));
    await upload.breakOff();
    await ingest.uploads.end(upload, topic.uuid);
  })();
  return { ended, stop: () => stopAt(ingest, ({ kind, path }) => kind === "write" && path.endsWith(".arrow")) };
}

const deletes: [string, (ingest: Ingest, session: Session) => Promise<unknown>][] = [
  ["a session", (ingest, session) => deleteSession(ingest, session.uuid)],
  ["a sequence", (ingest, session) => deleteSequence(ingest, session.sequence)],
];

test.each(deletes)("a topic that comes while %s is deleted is not uploaded", async (_what, remove) => {
  await using ingest = await openIngest();
  const session = await ingest.openSession("s");
  const { ended, stop } = await openStanding(ingest, session);
  const write = stop();
  const removing = remove(ingest, session);
  await write.met;
  const fresh = await ingest.createTopic(session, "fresh");
  await expect(ingest.begin(fresh, small)).rejects.toMatchObject({
    code: "wrong_state",
    message: "Topic `s/fresh` is being deleted.",
  });
  write.go();
  await removing;
  await ended;
  expect(ingest.rowsOf(fresh)).toBeUndefined();
  await expect(ingest.begin(fresh, small)).rejects.toMatchObject({ code: "absent" });
  expect(ingest.poisonedBy).toEqual([]);
});

test("a session that comes while its sequence is deleted takes nothing in", async () => {
  await using ingest = await openIngest();
  const session = await ingest.openSession("s");
  const { ended, stop } = await openStanding(ingest, session);
  const write = stop();
  const removing = deleteSequence(ingest, session.sequence);
  await write.met;
  const other = await createSession(ingest, { sequence: session.sequence, creator: undefined });
  const fresh = await ingest.createTopic(other, "fresh");
  await expect(ingest.begin(fresh, small)).rejects.toMatchObject({ code: "wrong_state" });
  write.go();
  await removing;
  await ended;
});

test("of two deletes at once the first one to end opens nothing again", async () => {
  await using ingest = await openIngest();
  const session = await ingest.openSession("s");
  const topic = await ingest.createTopic(session, "t");
  const close = () => ingest.uploads.close(topic.uuid, [topic], () => new Error("deleted") as never);
  const first = await close();
  const second = await close();
  first[Symbol.dispose]();
  await expect(ingest.begin(topic, small)).rejects.toMatchObject({ code: "wrong_state" });
  second[Symbol.dispose]();
  const upload = await ingest.begin(topic, small);
  await upload.breakOff();
  await ingest.uploads.end(upload, topic.uuid);
});

test("an upload whose topic has gone all the same ends by itself, and takes nothing else with it", async () => {
  await using ingest = await openIngest();
  const session = await ingest.openSession("s");
  const topic = await ingest.createTopic(session, "t");
  const large = plainMessages(2, 60_000);
  const upload = await ingest.begin(topic, large);
  await ingest.catalog.transaction(() => removeTopic(ingest.catalog, topic));
  await ingest.disk.remove(topicDirectory(session.ulid, topic.number));
  await expect(feed(upload, large.slice(1))).rejects.toMatchObject({
    code: "wrong_state",
    message: "Topic `s/t` was deleted while it was uploaded.",
  });
  await ingest.uploads.end(upload, topic.uuid);
  expect(ingest.poisonedBy).toEqual([]);
});

test("frames that are given up twice are given up once", async () => {
  await using ingest = await openIngest();
  const session = await ingest.openSession("s");
  const one = await ingest.createTopic(session, "one");
  const other = await ingest.createTopic(session, "other");
  const uploads = [await ingest.begin(one, small), await ingest.begin(other, small)];
  for (const upload of uploads) await feed(upload, small.slice(1));
  await ingest.commit.commit();
  expect(ingest.tail.use().frames).toBe(4);
  const places = [...listAllTailRuns(ingest.catalog)]
    .filter((run) => run.topic === one.uuid)
    .flatMap(({ log, batches }) => batches.map((entry) => ({ log, entry })));
  ingest.tail.release(places);
  ingest.tail.release(places);
  expect(ingest.tail.use().frames).toBe(2);
  expect(await ingest.disk.exists(tailFile(1))).toBe(true);
  for (const upload of uploads) await upload.close();
});
