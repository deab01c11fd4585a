// Chunks that are sealed because of their age, while streams end, break off and go on.

import { expect, test } from "vitest";
import { listChunks } from "../../src/catalog/chunk-rows.ts";
import { errno, feed, openIngest, stopAt } from "./open-ingest.ts";
import { dictionaryMessages, plainMessages } from "./recorded.ts";

const everything = -1;

test.each(["breaks off", "completes"])(
  "an upload that %s while an earlier one is sealed is not written any more",
  async (end) => {
    await using ingest = await openIngest();
    const session = await ingest.openSession("s");
    const slowTopic = await ingest.createTopic(session, "slow");
    const large = plainMessages(2, 60_000);
    const slow = await ingest.begin(slowTopic, large);
    const topic = await ingest.createTopic(session, "topic");
    const messages = dictionaryMessages(4);
    const upload = await ingest.begin(topic, messages);
    await feed(slow, large.slice(1));
    await feed(upload, messages.slice(1, 3));
    await ingest.commit.commit();

    const footer = stopAt(ingest, ({ kind, path }) => kind === "write" && path.endsWith("/0/00000.arrow"));
    const sealing = ingest.uploads.sealOlder(everything);
    await footer.met;
    if (end === "completes") await upload.complete();
    else await upload.breakOff();
    await ingest.uploads.end(upload, topic.uuid);
    if (end === "breaks off") {
      const next = await ingest.begin(topic, messages);
      await feed(next, messages.slice(1));
      await ingest.commit.commit();
      footer.go();
      await sealing;
      await next.complete();
      await ingest.uploads.end(next, topic.uuid);
    }
    footer.go();
    await sealing;
    await slow.complete();
    await ingest.uploads.end(slow, slowTopic.uuid);
    expect(ingest.rowsOf(topic)).toBe(end === "completes" ? 2 : 2 + 8);
    expect(await ingest.check(session)).toEqual([]);
    expect(ingest.poisonedBy).toEqual([]);
    expect(ingest.openFiles.size).toBe(0);
  },
);

test("an upload that breaks off while an earlier one leaves a tail log is not written any more", async () => {
  await using ingest = await openIngest();
  const session = await ingest.openSession("s");
  const small = plainMessages(2, 100);
  const begin = async (name: string) => {
    const topic = await ingest.createTopic(session, name);
    const upload = await ingest.begin(topic, small);
    await feed(upload, small.slice(1));
    return { topic, upload };
  };
  const first = await begin("first");
  const second = await begin("second");
  await ingest.commit.commit();

  const move = stopAt(ingest, ({ kind, path }) => kind === "write" && path.endsWith("/0/00000.arrow"));
  const leaving = ingest.uploads.leaveTailLog(1);
  await move.met;
  // Its tail stays where it is.
  ingest.before = ({ kind, path }) => {
    if (kind !== "read" && path.endsWith("/1/00000.arrow")) throw errno("ENOSPC");
  };
  await second.upload.breakOff();
  await ingest.uploads.end(second.upload, second.topic.uuid);
  ingest.before = () => undefined;
  const next = await ingest.begin(second.topic, small);
  // A large batch moves the tail to the chunk file first.
  await feed(next, plainMessages(1, 60_000).slice(1));
  await ingest.commit.commit();
  move.go();
  await leaving;
  await next.complete();
  await ingest.uploads.end(next, second.topic.uuid);
  await first.upload.complete();
  await ingest.uploads.end(first.upload, first.topic.uuid);
  expect(ingest.rowsOf(second.topic)).toBe(3);
  expect(await ingest.check(session)).toEqual([]);
  expect(ingest.poisonedBy).toEqual([]);
});

test("a chunk with a single batch is as old as that", async () => {
  await using ingest = await openIngest();
  const session = await ingest.openSession("s");
  const topic = await ingest.createTopic(session, "t");
  const large = plainMessages(1, 60_000);
  const upload = await ingest.begin(topic, large);
  await feed(upload, large.slice(1));
  await ingest.commit.commit();
  await ingest.uploads.sealOlder(everything);
  await ingest.commit.commit();
  expect([...listChunks(ingest.catalog, topic.uuid)].map(({ sealed }) => sealed)).toEqual([true]);
  await upload.breakOff();
  await ingest.uploads.end(upload, topic.uuid);
});
