// A stream with dictionaries whose chunk ends on a disk that is full for a moment: no chunk is ever without its dictionaries.

import { describe, expect, test } from "vitest";
import { readChunk, replaceChunk } from "../../src/catalog/chunk-rows.ts";
import { finalizeSession } from "../../src/ingest/finalize.ts";
import type { Topic } from "../../src/model/resource.ts";
import { errno, feed, floorBytes, type Ingest, openIngest } from "./open-ingest.ts";
import { dictionaryMessages } from "./recorded.ts";

const everything = -1;
const messages = dictionaryMessages(4);
const nextChunk = "/0/00001.arrow";

async function openStream(ingest: Ingest, name = "t") {
  const session = await ingest.openSession("s");
  const topic = await ingest.createTopic(session, name);
  const upload = await ingest.begin(topic, messages);
  // The dictionary and two batches.
  await feed(upload, messages.slice(1, 4));
  await ingest.commit.commit();
  return { session, topic, upload };
}

async function goOn(ingest: Ingest, topic: Topic): Promise<void> {
  const upload = await ingest.begin(topic, messages);
  await feed(upload, messages.slice(1));
  await upload.complete();
  await ingest.uploads.end(upload, topic.uuid);
}

const refusals: [string, (ingest: Ingest) => void][] = [
  [
    "its head does not fit",
    (ingest) => {
      ingest.before = ({ kind, path }) => {
        if (kind === "write" && path.endsWith(nextChunk)) throw errno("ENOSPC");
      };
    },
  ],
  [
    "its dictionary does not fit",
    (ingest) => {
      let writes = 0;
      ingest.before = ({ kind, path }) => {
        if (kind !== "write" || !path.endsWith(nextChunk)) return;
        writes += 1;
        if (writes > 1) throw errno("ENOSPC");
      };
    },
  ],
  [
    "no descriptor is free",
    (ingest) => {
      ingest.before = ({ kind, path }) => {
        if (kind === "open" && path.endsWith(nextChunk)) throw errno("EMFILE");
      };
    },
  ],
  [
    "the dictionary cannot be opened",
    (ingest) => {
      ingest.before = ({ kind, path }) => {
        if (kind === "read" && path.endsWith("/0/00000.arrow")) throw errno("EMFILE");
      };
    },
  ],
];

describe.each(refusals)("when the next chunk cannot begin because %s", (_why, refuse) => {
  test("a stream whose chunk is sealed by its age is told, and goes on where it ended", async () => {
    await using ingest = await openIngest();
    const { session, topic, upload } = await openStream(ingest);
    refuse(ingest);
    await ingest.uploads.sealOlder(everything);
    ingest.before = () => undefined;
    expect(upload.stopped.aborted).toBe(true);
    expect(upload.stopped.reason).toMatchObject({ code: "overloaded" });
    await expect(feed(upload, messages.slice(4))).rejects.toMatchObject({ code: "overloaded" });
    await upload.breakOff();
    await ingest.uploads.end(upload, topic.uuid);
    expect(ingest.rowsOf(topic)).toBe(4);
    expect(await ingest.check(session), "what a stop leaves").toEqual([]);
    await goOn(ingest, topic);
    expect(ingest.rowsOf(topic)).toBe(12);
    await finalizeSession(
      {
        ...ingest,
        finalizing: new Map(),
        finalized: () => undefined,
        isUploading: () => false,
        ontology: { policy: "off", given: new Map() } as const,
      },
      session.uuid,
    );
    expect(await ingest.check(session)).toEqual([]);
    expect(ingest.openFiles.size).toBe(0);
    expect(ingest.poisonedBy).toEqual([]);
  });

  test("a stream whose chunk is full is told, and goes on where it ended", async () => {
    await using ingest = await openIngest({ chunkBytesMax: 1 });
    const session = await ingest.openSession("s");
    const topic = await ingest.createTopic(session, "t");
    const upload = await ingest.begin(topic, messages);
    await feed(upload, messages.slice(1, 3));
    refuse(ingest);
    await expect(feed(upload, messages.slice(3))).rejects.toMatchObject({ code: "overloaded" });
    await upload.breakOff();
    ingest.before = () => undefined;
    await ingest.uploads.end(upload, topic.uuid);
    expect(ingest.rowsOf(topic)).toBe(2);
    expect(await ingest.check(session), "what a stop leaves").toEqual([]);
    await goOn(ingest, topic);
    expect(ingest.rowsOf(topic)).toBe(10);
    expect(await ingest.check(session)).toEqual([]);
    expect(ingest.poisonedBy).toEqual([]);
  });
});

test("below the floor a chunk with dictionaries is not sealed by its age, and the stream goes on", async () => {
  await using ingest = await openIngest();
  const { session, topic, upload } = await openStream(ingest);
  ingest.leave(floorBytes);
  const written: string[] = [];
  ingest.before = ({ kind, path }) => {
    if (kind === "write") written.push(path);
  };
  await ingest.uploads.sealOlder(everything);
  expect(written).toEqual([]);
  expect(upload.stopped.aborted).toBe(false);
  ingest.leave(undefined);
  await feed(upload, messages.slice(4));
  await ingest.uploads.sealOlder(everything);
  expect(written.filter((path) => path.endsWith(nextChunk)).length).toBeGreaterThan(0);
  await upload.complete();
  await ingest.uploads.end(upload, topic.uuid);
  expect(ingest.rowsOf(topic)).toBe(8);
  expect(await ingest.check(session)).toEqual([]);
});

test("a stream that goes on with a topic and breaks off at once leaves no chunk", async () => {
  await using ingest = await openIngest();
  const { session, topic, upload } = await openStream(ingest);
  await upload.breakOff();
  await ingest.uploads.end(upload, topic.uuid);
  const next = await ingest.begin(topic, messages);
  await next.breakOff();
  await ingest.uploads.end(next, topic.uuid);
  expect(await ingest.check(session)).toEqual([]);
});

test("verify finds batches whose dictionaries are not in their chunk", async () => {
  await using ingest = await openIngest();
  const { session, topic, upload } = await openStream(ingest);
  await upload.breakOff();
  await ingest.uploads.end(upload, topic.uuid);
  expect(await ingest.check(session)).toEqual([]);
  // As if the dictionary had been taken for a batch without rows.
  const { catalog } = ingest;
  const chunk = readChunk(catalog, topic.uuid, 0);
  if (chunk === undefined) throw new Error("the topic has a chunk");
  const batches = chunk.batches.map((entry) => ({
    range: { startNs: 0n, endNs: 0n },
    ...entry,
    kind: "batch" as const,
  }));
  await catalog.transaction(() => replaceChunk(catalog, topic.uuid, { ...chunk, batches }));
  expect((await ingest.check(session)).map(({ what, expected }) => [what, expected])).toContainEqual([
    "dictionary",
    "its dictionaries before it",
  ]);
});

test("an upload that cannot begin leaves no file open", async () => {
  await using ingest = await openIngest();
  const { topic, upload } = await openStream(ingest);
  await upload.breakOff();
  await ingest.uploads.end(upload, topic.uuid);
  expect(ingest.openFiles.size).toBe(0);
  ingest.before = ({ kind, path }) => {
    if (kind === "write" && path.endsWith(nextChunk)) throw errno("ENOSPC");
  };
  await expect(ingest.begin(topic, messages)).rejects.toMatchObject({ code: "overloaded" });
  expect(ingest.openFiles.size, "when no chunk can be made").toBe(0);
  ingest.before = ({ kind }) => {
    if (kind === "cut") throw errno("EIO");
  };
  await expect(ingest.begin(topic, messages)).rejects.toMatchObject({ code: "unavailable" });
  expect(ingest.openFiles.size, "when the last chunk cannot be cut").toBe(0);
});
