// Rows of sequences, sessions, topics and what belongs to them: found by every name they have, listed in order, gone when removed.

import { describe, expect, test } from "vitest";
import { findApiKey, listApiKeys, putApiKey, removeApiKey } from "../../src/catalog/api-keys.ts";
import { findDialect, putDialect } from "../../src/catalog/dialect-memory.ts";
import {
  listNotifications,
  putNotification,
  removeNotifications,
  sizeOfNotifications,
} from "../../src/catalog/notifications.ts";
import {
  findSequence,
  findSession,
  findTopic,
  findTopicByUuid,
  listAllSessions,
  listAllTopics,
  listSequenceNames,
  listSequences,
  listSessions,
  listTopics,
  listTopicsOfSession,
  putSequence,
  putSession,
  putTopic,
  removeSequence,
  removeSession,
  removeTopic,
} from "../../src/catalog/resources.ts";
import { decodeRow, encodeRow } from "../../src/catalog/row.ts";
import { giveUpOwnership, readOwner, takeOwnership } from "../../src/catalog/store-facts.ts";
import {
  dialectMemoriesMax,
  notificationBytesMax,
  notificationBytesTotal,
  notificationsMax,
} from "../../src/model/limits.ts";
import { parseSequenceName, parseSessionLocator, parseTopicLocator } from "../../src/model/locator.ts";
import { allPermissions } from "../../src/model/permission.ts";
import type { JsonText, Sequence, Session, Topic, Ulid, Uuid } from "../../src/model/resource.ts";
import { openScratch } from "./scratch.ts";

const sequenceOf = (name: string): Sequence => ({
  ulid: `ULID-${name}` as Ulid,
  uuid: `uuid-${name}` as Uuid,
  name: parseSequenceName(name),
  userMetadata: '{"int64":"1","n":18446744073709551615,"one":1.0}' as JsonText,
  createdAtNs: 2n ** 62n + 1n,
});
const sessionOf = (sequence: Sequence, ulid: string): Session => ({
  ulid: ulid as Ulid,
  uuid: `uuid-${ulid}` as Uuid,
  alias: `alias-${ulid}` as Uuid,
  locator: parseSessionLocator(`${sequence.name}:${ulid}`),
  sequence: sequence.name,
  sequenceUlid: sequence.ulid,
  createdAtNs: -1n,
  topicNumberNext: 0,
});
const topicOf = (locator: string, session: Session): Topic => ({
  uuid: `uuid-${locator}` as Uuid,
  locator: parseTopicLocator(locator),
  session: session.ulid,
  number: 0,
  ontologyTag: "imu",
  serializationFormat: "default",
  userMetadata: "{}" as JsonText,
  createdAtNs: 1n,
  extent: { rows: 1, bytes: 2, chunks: 3, range: { startNs: -(2n ** 63n), endNs: 2n ** 63n - 1n } },
});

describe("rows", () => {
  test("int64 is exact, whatever else has the same look", () => {
    const row = { a: 2n ** 63n - 1n, b: [-(2n ** 63n)], text: '{"int64":"5"}', n: 1.5, none: undefined };
    const { none: _none, ...kept } = row;
    expect(decodeRow(encodeRow(row))).toEqual(kept);
  });
  test.each(["", "{", "undefined", '{"a":{"int64":"x"}}'])("%j is corrupt", (text) => {
    expect(() => decodeRow(text)).toThrow(expect.objectContaining({ code: "corrupt" }));
  });
});

test("a sequence is found by its name and comes back as it was", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const sequence = sequenceOf("drive-07");
  await catalog.transaction(() => putSequence(catalog, sequence));
  const again = await scratch.reopen();
  expect(findSequence(again, sequence.name)).toEqual(sequence);
  expect(findSequence(again, parseSequenceName("drive-0"))).toBeUndefined();
  await again.transaction(() => removeSequence(again, sequence));
  expect(findSequence(again, sequence.name)).toBeUndefined();
});

test("sequences are listed by name, all of them", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const names = ["b", "a", "~~~", "#1", "B", "a-b", "(", "0"];
  await catalog.transaction(() => {
    for (const name of names) putSequence(catalog, sequenceOf(name));
  });
  expect([...listSequences(catalog)].map(({ name }) => name)).toEqual(names.toSorted());
});

test("a session is found by UUID, alias, locator and ULID, and by none of them when it is gone", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const session = sessionOf(sequenceOf("drive-07"), "01A");
  const ids = [session.uuid, session.alias, session.locator, session.ulid];
  await catalog.transaction(() => putSession(catalog, session));
  const found = await catalog.transaction(() => ids.map((id) => findSession(catalog, id)));
  expect(found).toEqual([session, session, session, session]);
  await catalog.transaction(() => putSession(catalog, { ...session, completedAtNs: 5n }));
  expect(findSession(catalog, session.alias)?.completedAtNs).toBe(5n);
  await catalog.transaction(() => removeSession(catalog, session, "everywhere"));
  expect(ids.map((id) => findSession(catalog, id))).toEqual([undefined, undefined, undefined, undefined]);
  expect(catalog.sessionKeys.count()).toBe(0);
});

test("sessions are listed per sequence, oldest first, and all together", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const [first, second] = [sequenceOf("a"), sequenceOf("a-b")];
  const sessions = [sessionOf(first, "01C"), sessionOf(second, "01B"), sessionOf(first, "01A")];
  await catalog.transaction(() => {
    for (const session of sessions) putSession(catalog, session);
  });
  expect([...listSessions(catalog, first.ulid)].map(({ ulid }) => ulid)).toEqual(["01A", "01C"]);
  expect([...listSessions(catalog, second.ulid)].map(({ ulid }) => ulid)).toEqual(["01B"]);
  expect([...listAllSessions(catalog)]).toHaveLength(3);
});

test("topics of a sequence are those behind its name and a slash", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const [first, second] = [sessionOf(sequenceOf("drive-07"), "01A"), sessionOf(sequenceOf("drive-07"), "01B")];
  const stranger = sessionOf(sequenceOf("drive-070"), "01C");
  const topics = [
    topicOf("drive-07/gps", first),
    topicOf("drive-07/front/imu", second),
    topicOf("drive-07/~", first),
    topicOf("drive-070/gps", stranger),
    topicOf("drive-07-b/gps", stranger),
  ];
  await catalog.transaction(() => {
    for (const topic of topics) putTopic(catalog, topic);
  });
  const locators = (found: Iterable<Topic>): string[] => [...found].map(({ locator }) => locator);
  expect(locators(listTopics(catalog, first.sequence))).toEqual(["drive-07/front/imu", "drive-07/gps", "drive-07/~"]);
  expect(locators(listTopicsOfSession(catalog, first))).toEqual(["drive-07/gps", "drive-07/~"]);
  expect(locators(listAllTopics(catalog))).toHaveLength(5);
});

test("a topic goes with all that belongs to it", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const topic = topicOf("s/t", sessionOf(sequenceOf("s"), "01A"));
  await catalog.transaction(() => {
    putTopic(catalog, topic);
    catalog.schemas.put(topic.uuid, Uint8Array.of(1));
    catalog.chunks.put([topic.uuid, 0], Uint8Array.of(1));
    catalog.batches.put([topic.uuid, 0, 0], Uint8Array.of(1));
    putNotification(catalog, topic.uuid, { type: "error", message: "m", createdAtNs: 1n });
  });
  expect(findTopic(catalog, topic.locator)).toEqual(topic);
  expect(findTopicByUuid(catalog, topic.uuid)).toEqual(topic);
  await catalog.transaction(() => removeTopic(catalog, topic));
  expect(findTopicByUuid(catalog, topic.uuid)).toBeUndefined();
  const { topics, topicLocators, schemas, chunks, batches, notifications } = catalog;
  for (const table of [topics, topicLocators, schemas, chunks, batches, notifications]) expect(table.count()).toBe(0);
});

test("notifications are listed oldest first, and the oldest goes when there are too many", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const [resource, other] = ["r" as Uuid, "r2" as Uuid];
  const put = (uuid: Uuid, message: string): void =>
    putNotification(catalog, uuid, { type: "error", message, createdAtNs: 1n });
  await catalog.transaction(() => {
    for (let number = 0; number < notificationsMax; number += 1)
      catalog.notifications.put(
        [resource, number],
        encodeRow({ type: "error", message: String(number), createdAtNs: 1n }),
      );
    put(other, "alone");
  });
  await catalog.transaction(() => put(resource, "one more"));
  const messages = listNotifications(catalog, resource).map(({ message }) => message);
  expect(messages).toHaveLength(notificationsMax);
  expect([messages[0], messages.at(-1)]).toEqual(["1", "one more"]);
  await catalog.transaction(() => removeNotifications(catalog, resource));
  expect(listNotifications(catalog, resource)).toEqual([]);
  expect(listNotifications(catalog, other)).toHaveLength(1);
});

test("notifications have a limit of bytes together, and none of their rows stays", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const resource = "r" as Uuid;
  const put = (message: string): void =>
    putNotification(catalog, resource, { type: "error", message, createdAtNs: 1n });
  const message = "x".repeat(notificationBytesMax);
  await catalog.transaction(() => {
    for (let number = 0; number < 100; number += 1) put(`${number} ${message}`);
  });
  const listed = listNotifications(catalog, resource);
  expect(sizeOfNotifications(catalog, resource).count).toBe(listed.length);
  expect(sizeOfNotifications(catalog, resource).bytes).toBeLessThanOrEqual(notificationBytesTotal);
  expect(listed.length).toBe(63);
  expect(listed.at(-1)?.message.startsWith("99 ")).toBe(true);
  await catalog.transaction(() => removeNotifications(catalog, resource));
  expect(catalog.notifications.count()).toBe(0);
  await catalog.transaction(() => put("again"));
  expect(listNotifications(catalog, resource)).toHaveLength(1);
});

test("names of sequences come in pages, each once", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const names = ["a", "a-b", "a0", "ab", "b", "b_", "c"];
  await catalog.transaction(() => {
    for (const name of names) putSequence(catalog, sequenceOf(name));
  });
  const found: string[] = [];
  for (let page = listSequenceNames(catalog, "", 2); page.length > 0; ) {
    found.push(...page);
    page = listSequenceNames(catalog, page.at(-1) ?? "", 2);
  }
  expect(found).toEqual([...listSequences(catalog)].map(({ name }) => name));
  expect(found.toSorted()).toEqual(names.toSorted());
});

test("API keys are found by fingerprint, listed and removed", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const key = {
    fingerprint: "1b676530",
    salt: "s",
    hash: "h",
    permissions: allPermissions,
    description: "d",
    createdAtNs: 1n,
  };
  await catalog.transaction(() => {
    putApiKey(catalog, key);
    putApiKey(catalog, { ...key, fingerprint: "00000000", expiresAtNs: 2n ** 62n + 1n, legacySdk: "0.5" });
  });
  expect(findApiKey(catalog, "1b676530")).toEqual(key);
  expect(listApiKeys(catalog).map(({ fingerprint, expiresAtNs }) => [fingerprint, expiresAtNs])).toEqual([
    ["00000000", 2n ** 62n + 1n],
    ["1b676530", undefined],
  ]);
  await catalog.transaction(() => removeApiKey(catalog, "1b676530"));
  expect(findApiKey(catalog, "1b676530")).toBeUndefined();
});

describe("memory of dialects", () => {
  test("is kept by kind and name, the last word counts", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    await catalog.transaction(() => {
      putDialect(catalog, "peer", "10.0.0.1", "0.4", 1n);
      putDialect(catalog, "key", "10.0.0.1", "0.6", 1n);
      putDialect(catalog, "peer", "10.0.0.1", "0.5", 2n);
    });
    const again = await scratch.reopen();
    expect(findDialect(again, "peer", "10.0.0.1")?.generation).toBe("0.5");
    expect(findDialect(again, "key", "10.0.0.1")?.generation).toBe("0.6");
    expect(findDialect(again, "peer", "10.0.0.2")).toBeUndefined();
  });

  test("keeps what the last of 0.4 and 0.5 was beside a 0.6 that shares the name", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    const legacyAfter = async (generation: "0.4" | "0.5" | "0.6") => {
      await catalog.transaction(() => putDialect(catalog, "key", "shared", generation, 1n));
      return findDialect(catalog, "key", "shared")?.legacy;
    };
    expect(await legacyAfter("0.6")).toBeUndefined();
    expect(await legacyAfter("0.5")).toBe("0.5");
    expect(await legacyAfter("0.6")).toBe("0.5");
    expect(await legacyAfter("0.4")).toBe("0.4");
    expect(findDialect(catalog, "key", "shared")?.generation).toBe("0.4");
  });

  test("forgets the oldest when it is full", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    await catalog.transaction(() => {
      for (let number = 0; number < dialectMemoriesMax; number += 1) {
        const atNs = BigInt(number === 77 ? 0 : number + 1);
        catalog.dialects.put(["peer", `p${number}`], encodeRow({ generation: "0.4", atNs }));
      }
    });
    await catalog.transaction(() => putDialect(catalog, "key", "new", "0.6", 10n ** 9n));
    expect(findDialect(catalog, "peer", "p77")).toBeUndefined();
    expect(findDialect(catalog, "peer", "p0")?.generation).toBe("0.4");
    expect(findDialect(catalog, "key", "new")?.generation).toBe("0.6");
    expect(catalog.dialects.count()).toBe(dialectMemoriesMax);
  });
});

describe("the owner of the store", () => {
  const [first, second] = [
    { socket: "a", pid: 1 },
    { socket: "b", pid: 2 },
  ];
  test("of two that start at once one gets it, and the other is told", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    const outcomes = await Promise.allSettled([
      takeOwnership(catalog, first, undefined),
      takeOwnership(catalog, second, undefined),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(outcomes[1]).toMatchObject({
      reason: { code: "wrong_state", message: "Another server (process 1) has just started on this data directory." },
    });
    expect(readOwner(catalog)).toEqual(first);
  });

  test("a dead one is followed by who saw it dead; only the owner gives up", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    await takeOwnership(catalog, first, undefined);
    await takeOwnership(catalog, second, first);
    await giveUpOwnership(catalog, first);
    expect(readOwner(catalog)).toEqual(second);
    await giveUpOwnership(catalog, second);
    expect(readOwner(catalog)).toBeUndefined();
  });
});
