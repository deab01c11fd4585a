// What is known of sequences at targets, when a sequence goes here: which one was ours there is kept by its name, as many as are held.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { Catalog } from "../../src/catalog/catalog.ts";
import { findSequence, putSequence, removeSequence } from "../../src/catalog/resources.ts";
import { putTarget } from "../../src/catalog/target-rows.ts";
import { findPastSequence, putClaim } from "../../src/catalog/transfer-rows.ts";
import { parseSequenceName } from "../../src/model/locator.ts";
import type { JsonText, Sequence, Ulid, Uuid } from "../../src/model/resource.ts";
import { pastClaimsMax, pastClaimsOver } from "../../src/model/sync-limits.ts";
import { unsaid } from "../../src/model/target.ts";
import { openScratch } from "./scratch.ts";

const [centre, lab, nowhere] = ["centre" as Ulid, "lab" as Ulid, "nowhere" as Ulid];
const drive: Sequence = {
  ulid: "01A" as Ulid,
  uuid: "uuid-of-drive" as Uuid,
  name: parseSequenceName("drive"),
  userMetadata: "{}" as JsonText,
  createdAtNs: 1n,
};

function putTargets(catalog: Catalog): void {
  for (const id of [centre, lab])
    putTarget(catalog, { ...unsaid, id, name: id, url: "grpc://x:1", paused: false, addedAtNs: 1n });
}

const namesOf = (catalog: Catalog): string[] => [...catalog.claims.rows()].map(({ key }) => JSON.stringify(key));

test("what was ours is kept by name for the targets that there are, and nothing else", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  await catalog.transaction(() => {
    putTargets(catalog);
    putSequence(catalog, drive);
    putClaim(catalog, drive.ulid, centre, "ours");
    putClaim(catalog, drive.ulid, lab, "asked");
    putClaim(catalog, drive.ulid, nowhere, "ours");
    putClaim(catalog, "01B" as Ulid, centre, "ours");
  });
  await catalog.transaction(() => removeSequence(catalog, drive));
  expect(findPastSequence(catalog, drive.name, centre)).toBe(drive.uuid);
  expect(namesOf(catalog)).toEqual(['["/drive","centre"]', '["01B","centre"]']);
});

test("the first one of a name stays the one that is there, however often it is recorded again", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  await catalog.transaction(() => putTargets(catalog));
  for (const n of [1, 2, 3]) {
    const again = { ...drive, ulid: `01${n}` as Ulid, uuid: `uuid-${n}` as Uuid };
    await catalog.transaction(() => {
      putSequence(catalog, again);
      putClaim(catalog, again.ulid, centre, "ours");
    });
    await catalog.transaction(() => removeSequence(catalog, again));
    expect(findPastSequence(catalog, drive.name, centre)).toBe("uuid-1");
  }
});

test("a claim that cannot be read does not keep a sequence from going, and is not taken for ours", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  await catalog.transaction(() => {
    putTargets(catalog);
    putSequence(catalog, drive);
    for (const target of [centre, lab]) putClaim(catalog, drive.ulid, target, "ours");
  });
  const folder = path.join(scratch.directory, "catalog");
  await catalog[Symbol.asyncDispose]();
  let spoilt = 0;
  for (const name of readdirSync(folder)) {
    const file = readFileSync(path.join(folder, name));
    for (let at = file.indexOf(centre); at >= 0; at = file.indexOf(centre, at + 1)) {
      // The value lies behind its key.
      const value = file.subarray(at, at + 48).indexOf("ours");
      if (value < 0) continue;
      file.write("0urs", at + value);
      spoilt += 1;
    }
    writeFileSync(path.join(folder, name), file);
  }
  expect(spoilt).toBeGreaterThan(0);
  const again = await scratch.reopen();
  expect(() => again.claims.get([drive.ulid, centre])).toThrow(expect.objectContaining({ code: "corrupt" }));
  await again.transaction(() => removeSequence(again, drive));
  expect(findSequence(again, drive.name)).toBeUndefined();
  expect(findPastSequence(again, drive.name, centre)).toBeUndefined();
  expect(findPastSequence(again, drive.name, lab)).toBe(drive.uuid);
  expect(namesOf(again)).toEqual(['["/drive","lab"]']);
});

test("of past ones there are no more than are held, and the one that goes now is among them", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const all = pastClaimsMax + pastClaimsOver - 1;
  await catalog.transaction(() => {
    putTargets(catalog);
    putSequence(catalog, drive);
    putClaim(catalog, drive.ulid, centre, "ours");
    for (let n = 0; n < all; n += 1) catalog.claims.put([`/a${String(n).padStart(6, "0")}`, centre], "uuid");
    // It goes by what is known of its name.
    putSequence(catalog, { ...drive, ulid: "01B" as Ulid, name: parseSequenceName("a000000") });
  });
  expect(namesOf(catalog)).toHaveLength(all + 1);
  await catalog.transaction(() => removeSequence(catalog, drive));
  expect(namesOf(catalog)).toHaveLength(pastClaimsMax);
  expect(findPastSequence(catalog, parseSequenceName("a000000"), centre)).toBe("uuid");
  expect(findPastSequence(catalog, parseSequenceName("a000001"), centre)).toBeUndefined();
  expect(findPastSequence(catalog, drive.name, centre)).toBe(drive.uuid);
});
