/** The command `sync`: targets and what becomes of them; also while the server runs, which sees changes within a second. */

import type { Catalog } from "../catalog/catalog.ts";
import { findTarget, putTarget, removeTarget } from "../catalog/target-rows.ts";
import { findTransfer, keysOfTarget, putTransfer, removeLeftovers } from "../catalog/transfer-rows.ts";
import { machineClock } from "../host/clock.ts";
import { newUlid } from "../host/entropy.ts";
import { printOut } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { parseRemoteUrl } from "../model/remote-url.ts";
import { syncClassesMax } from "../model/sync-limits.ts";
import { type Target, targetNamePattern } from "../model/target.ts";
import { isBegun, retriedCursor } from "../model/transfer.ts";
import { takeCensus } from "../sync/census.ts";
import { connectTo } from "../sync/connect.ts";
import { parseClassQuery } from "../sync/session-class.ts";
import { withCatalog, withCatalogToRead } from "./with-catalog.ts";

/** What people say of a target; its files as absolute paths. */
export type TargetRequest = Omit<Target, "id" | "paused" | "leaving" | "addedAtNs" | "changedAtNs">;

/** @throws Fault invalid, exists */
export async function addTarget(dataDirectory: string, request: TargetRequest): Promise<void> {
  if (!targetNamePattern.test(request.name)) {
    throw new Fault(
      "invalid",
      `The name of a target is like ${targetNamePattern.source}, found ${JSON.stringify(request.name.slice(0, 100))}`,
    );
  }
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
  for (const { name, query } of request.classes) {
    try {
      parseClassQuery(query);
    } catch (error) {
      throw new Fault("invalid", `--class ${name}: ${error instanceof Error ? error.message : error}`, error);
    }
  }
  const clock = machineClock();
  await withCatalog(dataDirectory, async (catalog) => {
    const addedAtNs = clock.wallNs();
    const target: Target = { ...request, url, id: newUlid(Number(addedAtNs / 1_000_000n)), paused: false, addedAtNs };
    await catalog.transaction(() => {
      if (findTarget(catalog, target.name) !== undefined)
        throw new Fault("exists", `There is a target ${target.name} already`);
      putTarget(catalog, target);
    });
  });
}

/** Forgets a target and all that is known of sessions on their way to it. What is there stays there. @throws Fault absent */
export async function forgetTarget(dataDirectory: string, name: string): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    const target = targetOf(catalog, name);
    const { id } = target;
    // First nobody adds any more. Broken off, it is simply done again.
    await catalog.transaction(() => putTarget(catalog, { ...target, leaving: true }));
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
    await catalog.transaction(() => {
      removeLeftovers(catalog, id);
      removeTarget(catalog, name);
    });
    if (incomplete > 0)
      printOut(`sessions that are there incomplete, until the target is added again: ${incomplete}\n`);
  });
}

/** @throws Fault absent */
export async function pauseTarget(dataDirectory: string, name: string, paused: boolean): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => await changeTarget(catalog, name, { paused }));
}

/** Begins the agent of a target anew, without waiting for the end of its rest. @throws Fault absent */
export async function hurryTarget(dataDirectory: string, name: string): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => await changeTarget(catalog, name, {}));
}

/** Tries all parked sessions of a target again; how many. @throws Fault absent */
export async function retryTarget(dataDirectory: string, name: string): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    const { id } = targetOf(catalog, name);
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
    await changeTarget(catalog, name, {});
    printOut(`${retried}\n`);
  });
}

async function changeTarget(catalog: Catalog, name: string, change: Partial<Target>): Promise<void> {
  const clock = machineClock();
  await catalog.transaction(() =>
    putTarget(catalog, { ...targetOf(catalog, name), ...change, changedAtNs: clock.wallNs() }),
  );
}

function targetOf(catalog: Catalog, name: string): Target {
  const target = findTarget(catalog, name);
  if (target === undefined) throw new Fault("absent", `There is no target ${name}`);
  return target;
}

export interface CheckRequest extends Pick<TargetRequest, "url" | "caFile" | "keyFile" | "include" | "exclude"> {}

/** Connects as an agent would, changes nothing, and says what it found and what would be sent. @throws Fault as the remote says */
export async function checkRemote(
  dataDirectory: string,
  request: CheckRequest,
  { format, signal }: { format: "json" | "table"; signal: AbortSignal },
): Promise<void> {
  using remote = await connectTo(request, signal);
  const { text, edge, messageBytesMax } = remote.version;
  const permissions = await remote.permissions();
  const view = await withCatalogToRead(dataDirectory, async (catalog) => {
    const { include, exclude } = request;
    // Nothing is known of one that is no target yet.
    const { pending } = await takeCensus(catalog, { include, exclude, id: newUlid(Date.now()) }, { signal });
    return {
      url: parseRemoteUrl(request.url).text,
      kind: remote.isEdge ? "mosaico-edge" : "mosaicod",
      version: edge?.version ?? text,
      protocol: text,
      messageBytesMax,
      permissions: Object.entries(permissions).flatMap(([name, allowed]) => (allowed ? [name] : [])),
      wouldSendSessions: pending.sessions,
      wouldSendBytes: pending.bytes,
    };
  });
  if (format === "json") printOut(`${JSON.stringify(view)}\n`);
  else
    for (const [name, value] of Object.entries(view))
      printOut(`${name}: ${Array.isArray(value) ? value.join(", ") : value}\n`);
}
