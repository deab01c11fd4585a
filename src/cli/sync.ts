/** The command `sync`: targets and what becomes of them; also while the server runs, which sees changes within a second. */

import type { Catalog } from "../catalog/catalog.ts";
import { findTarget, putTarget, removeTarget } from "../catalog/target-rows.ts";
import { findTransfer, keysOfTarget, putTransfer, removeLeftovers } from "../catalog/transfer-rows.ts";
import { machineClock } from "../host/clock.ts";
import { newUlid } from "../host/entropy.ts";
import { printOut, remark } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { shownWords } from "../model/foreign-words.ts";
import { parseRemoteUrl } from "../model/remote-url.ts";
import type { Ulid } from "../model/resource.ts";
import { syncClassesMax } from "../model/sync-limits.ts";
import { type Target, targetNamePattern, unsaid } from "../model/target.ts";
import { isBegun, retriedCursor } from "../model/transfer.ts";
import { takeCensus } from "../sync/census.ts";
import { connectTo, whyExposed } from "../sync/connect.ts";
import { whyOther } from "../sync/same-store.ts";
import { parseClassQuery } from "../sync/session-class.ts";
import { targetTexts } from "./target-text.ts";
import { withCatalog, withCatalogToRead } from "./with-catalog.ts";

/** What people say of a target; its files as absolute paths. */
type TargetRequest = Omit<
  Target,
  "id" | "store" | "isUnconfirmed" | "acceptedAtNs" | "paused" | "leaving" | "rules" | "addedAtNs" | "changedAtNs"
>;

/** What is said of it anew. */
export type TargetChange = Partial<Omit<TargetRequest, "name">>;

/** @throws Fault invalid, exists */
export async function addTarget(dataDirectory: string, name: string, url: string, change: TargetChange): Promise<void> {
  if (!targetNamePattern.test(name)) {
    throw new Fault(
      "invalid",
      `The name of a target has at most 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit, found ${JSON.stringify(name.slice(0, 100))}`,
    );
  }
  const request = checked({ ...unsaid, ...change, name, url });
  await withCatalog(dataDirectory, async (catalog) => {
    const before = findTarget(catalog, name);
    if (before?.leaving === true) await finishForgetting(catalog, before);
    const target = newTarget(request);
    await catalog.transaction(() => {
      if (findTarget(catalog, target.name) !== undefined)
        throw new Fault("exists", `There is a target ${target.name} already: sync set changes it`);
      putTarget(catalog, target);
    });
  });
  remark(whyExposed(request));
}

function newTarget(request: TargetRequest): Target {
  const addedAtNs = machineClock().wallNs();
  return { ...request, id: newUlid(Number(addedAtNs / 1_000_000n)), paused: false, addedAtNs };
}

/** The same with its address in the usual form. @throws Fault invalid */
function checked<Request extends TargetRequest>(request: Request): Request {
  const { text: url, tls } = parseRemoteUrl(request.url);
  if (request.caFile !== undefined && !tls)
    throw new Fault("invalid", `--ca: expected an address like grpc+tls://..., found ${url}, which is without TLS`);
  if (!request.restIsSent && request.classes.length === 0)
    throw new Fault("invalid", "--classes-only: expected a --class, found none: nothing would ever go");
  const names = request.classes.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Fault("invalid", `--class: expected names of their own, found ${twice} twice`);
  if (request.classes.length > syncClassesMax)
    throw new Fault("invalid", `A target has ${syncClassesMax} classes at most, found ${request.classes.length}`);
  if (request.interfaces.includes("")) throw new Fault("invalid", '--interface: expected a name like wwan0, found ""');
  const always = request.rates.findIndex(({ between }) => between === undefined);
  if (always >= 0 && always < request.rates.length - 1)
    throw new Fault(
      "invalid",
      "--rate: expected the one without times last, found others behind it, which would never hold",
    );
  for (const { name, query } of request.classes) {
    try {
      parseClassQuery(query);
    } catch (error) {
      throw new Fault("invalid", `--class ${name}: ${error instanceof Error ? error.message : error}`, error);
    }
  }
  return { ...request, url };
}

/** What is said of a target that decides whether a session goes, and whether it counts as synced then. */
const deciding = ["include", "exclude", "classes", "restIsSent", "onConflict", "verify"] as const;

/** Changes what was said of a target; a server that runs goes by it within a second. @throws Fault absent, invalid */
export async function changeTarget(dataDirectory: string, name: string, change: TargetChange): Promise<void> {
  if (Object.keys(change).length === 0)
    throw new Fault("invalid", `sync set ${name}: expected what to change, like --rate 2MiB, found nothing`);
  await withCatalog(dataDirectory, async (catalog) => {
    const { id, keyFile, url } = await updateTarget(catalog, name, (target) => {
      const { restIsSent, rules = 0 } = target;
      const isOther = change.classes !== undefined || (change.restIsSent ?? restIsSent) !== restIsSent;
      const changed = checked({
        ...target,
        ...change,
        rules: isOther ? rules + 1 : rules,
      });
      return { ...changed, isUnconfirmed: target.isUnconfirmed === true || changed.url !== target.url };
    });
    // Only now: who works by the old words parks nothing any more.
    if (deciding.some((said) => said in change) && (await retryParked(catalog, id)) > 0)
      await updateTarget(catalog, name, (target) => target);
    if (change.keyFile !== undefined || change.url !== undefined) remark(whyExposed({ keyFile, url }));
  });
}

/** @throws Fault absent */
export async function showTarget(dataDirectory: string, name: string, format: "json" | "table"): Promise<void> {
  await withCatalogToRead(dataDirectory, async (catalog) => printView(targetTexts(targetOf(catalog, name)), format));
}

/** Forgets a target and all that is known of sessions on their way to it. What is there stays there. @throws Fault absent */
export async function forgetTarget(dataDirectory: string, name: string): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    // First nobody adds any more. Broken off, it is simply done again.
    const target = await catalog.transaction(() => {
      const found = findTarget(catalog, name);
      if (found !== undefined) putTarget(catalog, { ...found, leaving: true });
      return found;
    });
    if (target === undefined) throw noTarget(name);
    await finishForgetting(catalog, target);
  });
}

/** The rest of it, of a target to which nobody adds any more. */
async function finishForgetting(catalog: Catalog, { id, name }: Target): Promise<void> {
  let incomplete = 0;
  for (const table of [catalog.transfers, catalog.claims]) {
    for (const keys of keysOfTarget(table, id)) {
      const cursors = keys.map(([session]) => findTransfer(catalog, session, id)?.cursor);
      if (table === catalog.transfers)
        incomplete += cursors.filter((cursor) => cursor !== undefined && isBegun(cursor)).length;
      await catalog.transaction(() => {
        for (const key of keys) table.remove(key);
      });
    }
  }
  const left = await catalog.transaction(() => {
    // Somebody else may have come to the end of it first, and added another one.
    if (findTarget(catalog, name)?.id === id) removeTarget(catalog, name);
    return removeLeftovers(catalog, id);
  });
  if (incomplete > 0) printOut(`sessions that are there incomplete, until the target is added again: ${incomplete}\n`);
  if (left > 0)
    printOut(`sessions that are there incomplete, until somebody deletes them there, as they were here: ${left}\n`);
}

/** @throws Fault absent */
export async function pauseTarget(dataDirectory: string, name: string, paused: boolean): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    await updateTarget(catalog, name, (target) => ({ ...target, paused }));
  });
}

/** Takes somebody's word that a target is the store that it was, where it does not tell itself. @throws Fault absent, invalid */
export async function confirmTarget(dataDirectory: string, name: string): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    const { lastSynced } = await takeCensus(catalog, targetOf(catalog, name), { signal: new AbortController().signal });
    // By no clock of now: it may have gone ahead when they were synced.
    const acceptedAtNs = lastSynced[0]?.syncedAtNs;
    await updateTarget(catalog, name, (target) => {
      if (target.store !== undefined)
        throw new Fault("invalid", `Target ${name} tells itself which store it is: another one is a target of its own`);
      return { ...target, isUnconfirmed: false, acceptedAtNs };
    });
  });
}

/** Begins the agent of a target anew, without waiting for the end of its rest. @throws Fault absent */
export async function hurryTarget(dataDirectory: string, name: string): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    await updateTarget(catalog, name, (target) => target);
  });
}

/** Tries all parked sessions of a target again; how many. @throws Fault absent */
export async function retryTarget(dataDirectory: string, name: string): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    const retried = await retryParked(catalog, targetOf(catalog, name).id);
    await updateTarget(catalog, name, (target) => target);
    printOut(`${retried}\n`);
  });
}

/** How many. */
async function retryParked(catalog: Catalog, id: Ulid): Promise<number> {
  let retried = 0;
  for (const keys of keysOfTarget(catalog.transfers, id)) {
    await catalog.transaction(() => {
      for (const [session] of keys) {
        const row = findTransfer(catalog, session, id);
        if (row?.cursor.place.kind !== "parked") continue;
        putTransfer(catalog, session, id, { ...row, cursor: retriedCursor(row.cursor) });
        retried += 1;
      }
    });
  }
  return retried;
}

/** What it is then. */
async function updateTarget(catalog: Catalog, name: string, update: (target: Target) => Target): Promise<Target> {
  const clock = machineClock();
  return await catalog.transaction(() => {
    const target = { ...update(targetOf(catalog, name)), changedAtNs: clock.wallNs() };
    putTarget(catalog, target);
    return target;
  });
}

/** One that is being forgotten is none any more. @throws Fault absent */
function targetOf(catalog: Catalog, name: string): Target {
  const target = findTarget(catalog, name);
  if (target === undefined || target.leaving === true) throw noTarget(name);
  return target;
}

function noTarget(name: string): Fault {
  return new Fault("absent", `There is no target ${name}`);
}

/**
 * Connects as an agent would, changes nothing, and says what it found and what would be sent.
 * @param which an address, or the name of a target
 * @returns the exit code: 1 when nothing could be sent with what is allowed there
 * @throws Fault absent, as the remote says
 */
export async function checkRemote(
  dataDirectory: string,
  which: string,
  change: TargetChange,
  { format, signal }: { format: "json" | "table"; signal: AbortSignal },
): Promise<number> {
  const target = which.includes("://")
    ? // Nothing is known of one that is no target yet.
      newTarget(checked({ ...unsaid, ...change, name: "check", url: which }))
    : await withCatalogToRead(dataDirectory, (catalog) => checked({ ...namedTarget(catalog, which), ...change }));
  using remote = await connectTo(target, signal);
  const { text, edge, messageBytesMax } = remote.version;
  const permissions = await remote.permissions();
  const { pending, other } = await withCatalogToRead(dataDirectory, async (catalog) => {
    const census = await takeCensus(catalog, target, { signal });
    return { pending: census.pending, other: await whyOther(catalog, target, remote, census.lastSynced) };
  });
  const problem = other ?? (permissions.write ? undefined : "The key may not write there: nothing can be sent.");
  const exposed = whyExposed(target);
  const isParkedEasily = !permissions.delete && !remote.isEdge;
  const hints = [
    ...(isParkedEasily
      ? ["The key may not delete there: a session that breaks off at the wrong moment is parked until somebody looks."]
      : []),
    ...(exposed === undefined ? [] : [exposed]),
  ];
  printView(
    {
      url: target.url,
      kind: remote.isEdge ? "mosaico-edge" : "mosaicod",
      version: edge?.version ?? text,
      protocol: text,
      ...(edge?.store === undefined ? {} : { store: shownWords(edge.store) }),
      messageBytesMax,
      permissions: Object.entries(permissions).flatMap(([name, allowed]) => (allowed ? [name] : [])),
      wouldSendSessions: pending.sessions,
      wouldSendBytes: pending.bytes,
      ...(problem === undefined ? {} : { problem }),
      ...(hints.length === 0 ? {} : { hint: hints }),
    },
    format,
  );
  return problem === undefined ? 0 : 1;
}

/** @throws Fault invalid, absent */
function namedTarget(catalog: Catalog, name: string): Target {
  if (targetNamePattern.test(name)) return targetOf(catalog, name);
  throw new Fault(
    "invalid",
    `expected the name of a target, or an address like grpc://10.0.0.5:6726, found ${JSON.stringify(name.slice(0, 100))}`,
  );
}

type View = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Of a list each has a line, unless it is one of plain words. */
function printView(view: View, format: "json" | "table"): void {
  if (format === "json") {
    printOut(`${JSON.stringify(view)}\n`);
    return;
  }
  for (const [name, value] of Object.entries(view)) {
    const isWords = typeof value !== "object" || value.every((text) => /^[a-z]*$/.test(text));
    if (isWords) printOut(`${name}: ${typeof value === "object" ? value.join(", ") || "none" : value}\n`);
    else for (const text of value) printOut(`${name}: ${text}\n`);
  }
}
