/**
 * What is known of a bundle on its way to one remote: a catalog of its sessions, with how far each has come. It is kept beside the data
 * until all of them are there, so that whoever was interrupted goes on.
 */

import { type Ownership, own } from "../care/ownership.ts";
import { type Catalog, openCatalog } from "../catalog/catalog.ts";
import { replaceChunk } from "../catalog/chunk-rows.ts";
import { listNotifications, putNotification } from "../catalog/notifications.ts";
import { putSequence, putSession, putTopic } from "../catalog/resources.ts";
import { readStoreFacts, writeStoreFacts } from "../catalog/store-facts.ts";
import { Sha256 } from "../host/checksum.ts";
import { type Disk, openDisk } from "../host/disk.ts";
import type { BundleManifest } from "../model/bundle.ts";
import { Fault } from "../model/fault.ts";
import type { Uuid } from "../model/resource.ts";
import { storeFormatVersion } from "../store/documents.ts";
import { bundlesDirectory, catalogDirectory } from "../store/layout.ts";
import type { SessionContent } from "./session-content.ts";

export interface Scratch extends AsyncDisposable {
  readonly disk: Disk;
  readonly catalog: Catalog;
  /** Closes it, and forgets what is in it. */
  forget(): Promise<void>;
}

/**
 * @param where the sessions go; another place has a catalog of its own
 * @throws Fault wrong_state when another process brings the same bundle there
 */
export async function openScratch(store: Disk, { id, createdAtNs }: BundleManifest, where: string): Promise<Scratch> {
  const directory = `${bundlesDirectory}/${id}-${shortHash(where)}`;
  for (const parent of await store.makeDirectory(directory)) await store.syncDirectory(parent);
  const disk = await openDisk(`${store.root}/${directory}`);
  const stack = new AsyncDisposableStack();
  try {
    const catalog = stack.use(await openCatalog({ disk, directory: catalogDirectory, onFailure: () => undefined }));
    if (readStoreFacts(catalog) === undefined)
      await writeStoreFacts(catalog, { id, format: storeFormatVersion, createdAtNs });
    const ownership = stack.use(await ownAlone(disk, catalog, id));
    ownership.settle();
    return {
      disk,
      catalog,
      async forget() {
        await stack.disposeAsync();
        await store.remove(directory);
        await store.removeEmpty(bundlesDirectory);
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function ownAlone(disk: Disk, catalog: Catalog, id: string): Promise<Ownership> {
  try {
    return await own(disk, catalog, async () => JSON.stringify({ pid: process.pid }));
  } catch (error) {
    if (!(error instanceof Fault && error.code === "wrong_state")) throw error;
    throw new Fault("wrong_state", `Bundle ${id} is being brought there already, by another command.`, error);
  }
}

function shortHash(text: string): string {
  const hash = new Sha256();
  hash.update(Buffer.from(text));
  return hash.end().slice(0, 16);
}

/** Puts a session there, again and again the same. */
export async function putContent(catalog: Catalog, { sequence, record, notes }: SessionContent): Promise<void> {
  const { session, topics } = record;
  await catalog.transaction(() => {
    putSequence(catalog, sequence);
    putSession(catalog, session);
    addNotes(catalog, sequence.uuid, notes.sequence);
    for (const { topic, schemaHeader, chunks } of topics) {
      putTopic(catalog, topic);
      catalog.schemas.put(topic.uuid, schemaHeader);
      // What is noted of values helps queries, of which here are none.
      for (const { skips: _skips, ...chunk } of chunks) replaceChunk(catalog, topic.uuid, chunk);
      addNotes(catalog, topic.uuid, notes.topics.get(topic.number) ?? []);
    }
  });
}

function addNotes(catalog: Catalog, resource: Uuid, notes: SessionContent["notes"]["sequence"]): void {
  const known = new Set(listNotifications(catalog, resource).map(({ message }) => message));
  for (const note of notes) if (!known.has(note.message)) putNotification(catalog, resource, note);
}
