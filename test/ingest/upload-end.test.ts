// How uploads end when the disk does not let them.

import { expect, test } from "vitest";
import { findTopicByUuid } from "../../src/catalog/resources.ts";
import { isCompleted } from "../../src/model/resource.ts";
import { errno, feed, openIngest } from "./open-ingest.ts";
import { plainMessages } from "./recorded.ts";

test("a stream whose last commit finds no descriptor ends with the next one", async () => {
  await using ingest = await openIngest();
  const session = await ingest.openSession("s");
  const topic = await ingest.createTopic(session, "t");
  const messages = plainMessages(2, 100);
  const upload = await ingest.begin(topic, messages);
  await feed(upload, messages.slice(1));
  let refusals = 0;
  ingest.before = ({ kind, path }) => {
    if (kind !== "sync" || !path.endsWith("topic.json") || refusals > 0) return;
    refusals += 1;
    throw errno("EMFILE");
  };
  await upload.complete();
  await ingest.uploads.end(upload, topic.uuid);
  expect(refusals).toBe(1);
  const row = findTopicByUuid(ingest.catalog, topic.uuid);
  expect(row !== undefined && isCompleted(row)).toBe(true);
  expect(await ingest.check(session)).toEqual([]);
});

test("an upload whose file cannot be closed has ended all the same", async () => {
  await using ingest = await openIngest();
  const session = await ingest.openSession("s");
  const topic = await ingest.createTopic(session, "t");
  const messages = plainMessages(2, 60_000);
  const upload = await ingest.begin(topic, messages);
  await feed(upload, messages.slice(1));
  await upload.breakOff();
  ingest.before = ({ kind }) => {
    if (kind === "close") throw errno("EIO");
  };
  await expect(ingest.uploads.end(upload, topic.uuid)).rejects.toMatchObject({ code: "unavailable" });
  ingest.before = () => undefined;
  // Whoever waits for its end is not kept waiting, and the topic goes on.
  await ingest.uploads.endIntake(topic.uuid, new Error("stop") as never);
  await upload.stop(new Error("stop") as never);
  const next = await ingest.begin(topic, messages);
  await next.complete();
  await ingest.uploads.end(next, topic.uuid);
  expect(ingest.rowsOf(topic)).toBe(2);
});
