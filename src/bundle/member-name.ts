/**
 * Names of members: those that the files have in a data directory, made of ULIDs and numbers. No text of others becomes a name, and no
 * name is ever joined to a directory: what a bundle has is looked up by it.
 */

import type { BundleMember, BundleSession } from "../model/bundle.ts";
import { Fault } from "../model/fault.ts";
import type { Ulid } from "../model/resource.ts";
import { chunkFile, sequenceFile, sessionDirectory, sessionFile, topicFile } from "../store/layout.ts";

export const manifestName = "bundle.json";
export const signatureName = "bundle.sig";

/** Notifications of a session's sequence and topics. */
export function notesName(session: Ulid): string {
  return `${sessionDirectory(session)}/notes.json`;
}

/** Whether it is a document: all that is no chunk file. */
export function isDocument(name: string): boolean {
  return name.endsWith(".json");
}

const topicPattern = /^sessions\/[0-9A-Z]{26}\/(0|[1-9][0-9]{0,8})\/topic\.json$/;

/** Text of a stranger, to be shown. */
export function shown(text: string): string {
  return printable(JSON.stringify(text.slice(0, 200)));
}

/** Without what a terminal would take for a command. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Checks that there is just what belongs to the sessions, in its order: of each its sequence, unless a session before has the same one,
 * its own documents, and of its topics by their numbers the document and the chunk files.
 * @throws Fault corrupt naming the first member that is out of place
 */
export function checkOrder(sessions: readonly BundleSession[], members: readonly BundleMember[]): void {
  const names = new Set<string>();
  const expectAt = (index: number, expected: string): void => {
    const found = members[index]?.name;
    if (found !== expected) throw outOfPlace(index, expected, found);
  };
  let at = 0;
  for (const { ulid, sequenceUlid } of sessions) {
    if (names.has(ulid)) throw new Fault("corrupt", `${manifestName}: session ${ulid} is listed twice`);
    names.add(ulid);
    if (!names.has(sequenceUlid)) {
      names.add(sequenceUlid);
      expectAt(at++, sequenceFile(sequenceUlid));
    }
    expectAt(at++, sessionFile(ulid));
    expectAt(at++, notesName(ulid));
    for (let least = 0; ; ) {
      const number = Number(topicPattern.exec(members[at]?.name ?? "")?.[1] ?? Number.NaN);
      if (!(number >= least) || members[at]?.name !== topicFile(ulid, number)) break;
      at += 1;
      for (let chunk = 0; members[at]?.name === chunkFile(ulid, number, chunk); chunk += 1) at += 1;
      least = number + 1;
    }
  }
  if (at < members.length) throw outOfPlace(at, "the next session", members[at]?.name);
}

function outOfPlace(index: number, expected: string, found: string | undefined): Fault {
  const what = found === undefined ? "the end" : shown(found);
  return new Fault("corrupt", `${manifestName}: expected ${expected} as member ${index}, found ${what}`);
}
