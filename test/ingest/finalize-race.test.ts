// Topics that come and go while their session is finalized: the manifest tells what the row stands for, or the session stays open.

import { expect, test } from "vitest";
import { findSession, findTopic, putTopic, removeTopic } from "../../src/catalog/resources.ts";
import { machineClock } from "../../src/host/clock.ts";
import { type Disk, openDisk } from "../../src/host/disk.ts";
import { openLog } from "../../src/host/log.ts";
import { createSequence, createSession, createTopic } from "../../src/ingest/create.ts";
import { finalizeSession } from "../../src/ingest/finalize.ts";
import { parseSequenceName, parseTopicLocator } from "../../src/model/locator.ts";
import { isFinalized, type JsonText, type Session, type Topic } from "../../src/model/resource.ts";
import { sessionDocument } from "../../src/store/documents.ts";
import { sessionDirectory, sessionFile } from "../../src/store/layout.ts";
import { Poison } from "../../src/store/poison.ts";
import { openScratch, openSpace, type Scratch } from "../catalog/scratch.ts";

const clock = machineClock();
const userMetadata = "{}" as JsonText;

/** A session with two complete topics without rows. */
async function openSession(scratch: Scratch) {
  const { directory, catalog } = scratch;
  const disk = await openDisk(directory);
  const poison = new Poison(() => undefined);
  const create = { catalog, clock, poison, space: await openSpace(scratch) };
  const sequence = parseSequenceName("s");
  await createSequence(create, { name: sequence, userMetadata });
  const session = await createSession(create, { sequence, creator: undefined });
  await disk.makeDirectory(sessionDirectory(session.ulid));
  const complete = async (name: string, changes: Partial<Topic> = {}): Promise<Topic> => {
    const request = { session: session.uuid, ontologyTag: "t", serializationFormat: "default", userMetadata } as const;
    const topic = await createTopic(create, { ...request, locator: parseTopicLocator(`s/${name}`) });
    const completed = { ...topic, completedAtNs: clock.wallNs(), ...changes };
    await catalog.transaction(() => putTopic(catalog, completed));
    return completed;
  };
  const remove = async (name: string): Promise<void> => {
    const topic = findTopic(catalog, parseTopicLocator(`s/${name}`));
    if (topic !== undefined) await catalog.transaction(() => removeTopic(catalog, topic));
  };
  await complete("a");
  await complete("b");
  /** @param meanwhile runs when the manifest is written and the row not yet */
  const finalize = (meanwhile: () => Promise<unknown>): Promise<Session> => {
    let manifests = 0;
    const watched: Disk = {
      ...disk,
      async replaceText(file, text) {
        await disk.replaceText(file, text);
        manifests += 1;
        if (manifests === 1) await meanwhile();
      },
    };
    const ontology = { policy: "warn", given: new Map() } as const;
    const isUploading = (): boolean => false;
    return finalizeSession(
      {
        disk: watched,
        catalog,
        clock,
        poison,
        log: openLog("error"),
        ontology,
        finalizing,
        finalized: () => undefined,
        isUploading,
      },
      session.uuid,
    );
  };
  const finalizing = new Map();
  const document = () => disk.readText(sessionFile(session.ulid));
  return { session, complete, remove, finalize, document };
}

const changes: [string, (open: Awaited<ReturnType<typeof openSession>>) => Promise<unknown>][] = [
  ["one is deleted and another one is completed", (open) => open.remove("a").then(() => open.complete("c"))],
  ["one is deleted and completed again under its name", (open) => open.remove("a").then(() => open.complete("a"))],
  ["another one comes", (open) => open.complete("c")],
  ["another one comes and goes", (open) => open.complete("c").then(() => open.remove("c"))],
  ["one goes", (open) => open.remove("a")],
];

test.each(changes)("while a session is finalized, %s: it stays open", async (_title, change) => {
  await using scratch = await openScratch();
  const open = await openSession(scratch);
  await expect(open.finalize(() => change(open))).rejects.toMatchObject({ code: "wrong_state" });
  const row = findSession(scratch.catalog, open.session.uuid);
  expect(row !== undefined && isFinalized(row)).toBe(false);
  expect(await open.document()).toBe(sessionDocument(open.session));
  // Finalized again it is what there is now.
  await open.finalize(async () => undefined);
  const manifest = JSON.parse(await open.document()) as { topics: { uuid: string }[] };
  const uuids = ["a", "b", "c"].flatMap(
    (name) => findTopic(scratch.catalog, parseTopicLocator(`s/${name}`))?.uuid ?? [],
  );
  expect(manifest.topics.map(({ uuid }) => uuid)).toEqual(uuids);
});

test("two that finalize a session at once get one manifest", async () => {
  await using scratch = await openScratch();
  const open = await openSession(scratch);
  let second: Promise<Session> | undefined;
  const first = await open.finalize(async () => {
    second = open.finalize(async () => undefined);
  });
  expect((await second)?.completedAtNs).toBe(first.completedAtNs);
  expect(await open.document()).toContain(`"completed_at_ns":${first.completedAtNs},"topics"`);
});
