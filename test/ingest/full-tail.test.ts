// Small batches on a disk that is full, or filled down to the floor by others: what the log has lost is not passed over, moves wait
// for room, and the log keeps what they were to move.

import { expect, test } from "vitest";
import { machineClock } from "../../src/host/clock.ts";
import { overheadBytes } from "../../src/model/limits.ts";
import { errno, feed, floorBytes, type Ingest, openIngest } from "./open-ingest.ts";
import { plainMessages } from "./recorded.ts";

const small = plainMessages(5, 100);
const full = floorBytes + overheadBytes;

async function openStream(ingest: Ingest) {
  const session = await ingest.openSession("s");
  const topic = await ingest.createTopic(session, "t");
  const upload = await ingest.begin(topic, small);
  const end = () => ingest.uploads.end(upload, topic.uuid);
  return { session, topic, upload, end };
}

/** Writes what is in the buffer of the log, and loses it to a full disk. */
async function loseTail(ingest: Ingest): Promise<void> {
  ingest.before = ({ kind, path }) => {
    if (kind === "write" && path.startsWith("tail/")) throw errno("ENOSPC");
  };
  await ingest.tail.flush();
  ingest.before = () => undefined;
}

test("a topic whose last rows the log has lost is not completed", async () => {
  await using ingest = await openIngest();
  const { session, topic, upload, end } = await openStream(ingest);
  await feed(upload, small.slice(1, 3));
  await ingest.commit.commit();
  await feed(upload, small.slice(3));
  await loseTail(ingest);
  await expect(upload.complete()).rejects.toMatchObject({ code: "overloaded" });
  await upload.breakOff();
  await end();
  expect(ingest.rowsOf(topic)).toBe(2);
  const next = await ingest.begin(topic, small);
  await feed(next, small.slice(3));
  await next.complete();
  await ingest.uploads.end(next, topic.uuid);
  expect(ingest.rowsOf(topic)).toBe(5);
  expect(await ingest.check(session)).toEqual([]);
});

test("a large batch does not follow rows that the log has lost", async () => {
  await using ingest = await openIngest();
  const { topic, upload, end } = await openStream(ingest);
  await feed(upload, small.slice(1, 3));
  await ingest.commit.commit();
  await feed(upload, small.slice(3));
  await loseTail(ingest);
  await expect(feed(upload, plainMessages(1, 60_000).slice(1))).rejects.toMatchObject({ code: "overloaded" });
  await upload.breakOff();
  await end();
  expect(ingest.rowsOf(topic)).toBe(2);
});

test("a write of the log that meets a full disk while a tail moves is told as a full disk", async () => {
  await using ingest = await openIngest();
  const { session, topic, upload, end } = await openStream(ingest);
  await feed(upload, small.slice(1, 3));
  await ingest.commit.commit();
  await feed(upload, small.slice(3));
  const writing = Promise.withResolvers<void>();
  const refused = Promise.withResolvers<void>();
  ingest.before = async ({ kind, path }) => {
    if (kind !== "write" || !path.startsWith("tail/")) return;
    writing.resolve();
    await refused.promise;
    throw errno("ENOSPC");
  };
  const flushed = ingest.tail.flush();
  await writing.promise;
  const completed = expect(upload.complete()).rejects.toMatchObject({
    code: "overloaded",
    message: expect.stringMatching(/^The disk is full/),
  });
  setTimeout(refused.resolve, 20);
  await completed;
  await flushed;
  ingest.before = () => undefined;
  await upload.breakOff();
  await end();
  expect(ingest.rowsOf(topic)).toBe(2);
  expect(ingest.poisonedBy).toEqual([]);
  expect(await ingest.check(session)).toEqual([]);
});

const endings: [string, (open: Awaited<ReturnType<typeof openStream>>, ingest: Ingest) => Promise<unknown>][] = [
  ["it completes", ({ upload }) => upload.complete()],
  ["it breaks off", ({ upload }) => upload.breakOff()],
  ["its log is to go", (_open, ingest) => ingest.uploads.leaveTailLog(1)],
  ["it is sealed by its age", ({ upload }) => upload.sealOlder(machineClock().monotonicMs() + 1)],
];

test.each(endings)("below the floor no tail moves when %s, and no row is lost", async (_when, end) => {
  await using ingest = await openIngest();
  const open = await openStream(ingest);
  const { session, topic, upload } = open;
  await feed(upload, small.slice(1));
  await ingest.commit.commit();
  ingest.leave(full);
  const written: string[] = [];
  ingest.before = ({ kind, path }) => {
    if (kind === "write") written.push(path);
  };
  await end(open, ingest).catch((error: unknown) => expect(error).toMatchObject({ code: "overloaded" }));
  await upload.breakOff();
  await open.end();
  // What nobody uploads waits as well.
  await expect(ingest.uploads.completeTopic(topic)).rejects.toMatchObject({ code: "overloaded" });
  expect(written).toEqual([]);
  expect(ingest.rowsOf(topic)).toBe(5);
  expect(await ingest.check(session)).toEqual([]);
  ingest.leave(undefined);
  const next = await ingest.begin(topic, small);
  await feed(next, small.slice(1));
  await next.complete();
  await ingest.uploads.end(next, topic.uuid);
  expect(ingest.rowsOf(topic)).toBe(10);
  expect(await ingest.check(session)).toEqual([]);
  expect(ingest.poisonedBy).toEqual([]);
});

const footers: [string, (open: Awaited<ReturnType<typeof openStream>>) => Promise<unknown>][] = [
  ["the end of a stream", ({ upload }) => upload.complete()],
  ["the age of the chunk", ({ upload }) => upload.sealOlder(machineClock().monotonicMs() + 1)],
];

test.each(footers)("half a footer that %s has written to a full disk is cut off", async (_what, seal) => {
  await using ingest = await openIngest();
  const open = await openStream(ingest);
  const { session, topic, upload } = open;
  await feed(upload, plainMessages(3, 60_000).slice(1));
  await ingest.commit.commit();
  ingest.half = ({ kind, path }) => kind === "write" && path.endsWith(".arrow");
  await expect(seal(open)).rejects.toMatchObject({ code: "overloaded" });
  ingest.half = () => false;
  await upload.breakOff();
  await open.end();
  expect(ingest.rowsOf(topic)).toBe(3);
  expect(await ingest.check(session)).toEqual([]);
});
