// Which store a target is: what was synced to one must not count as synced to another that answers at its address.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { findTarget } from "../../src/catalog/target-rows.ts";
import { findTransfer, keysOfTarget, putTransfer } from "../../src/catalog/transfer-rows.ts";
import { withCatalog } from "../../src/cli/with-catalog.ts";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, labelTopics } from "../load/robot.ts";
import { type RunningServer, runToEnd, startServer } from "../server.ts";
import { command, isThere, logged, record, type TargetView, targetOf, until } from "./edges.ts";
import { folders } from "./folders.ts";
import { openOldFront } from "./old-front.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 7 } as const;
const directory = folders("same-store");

/** An address behind which one server after the other may be. */
async function openAddress(first: RunningServer) {
  let to = first.port;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const there = connect(to, "127.0.0.1");
    for (const [one, other] of [
      [socket, there],
      [there, socket],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy()).on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    /** Connections to the one before end, or go on. */
    leadTo({ port }: RunningServer, before: "ends" | "goes on" = "ends"): void {
      to = port;
      if (before === "goes on") return;
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** As if the clock had been ahead when sessions were synced. */
async function syncedAhead(dataDirectory: string, name: string, byNs: bigint): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    const { id } = findTarget(catalog, name) ?? {};
    if (id === undefined) throw new RangeError("there is a target");
    await catalog.transaction(() => {
      for (const [session] of [...keysOfTarget(catalog.transfers, id)].flat()) {
        const row = findTransfer(catalog, session, id);
        if (row !== undefined) putTransfer(catalog, session, id, { ...row, changedAtNs: row.changedAtNs + byNs });
      }
    });
  });
}

test("a remote that moved is found at its new address, and gets what it has not", { timeout: 60_000 }, async () => {
  const [own, farDir] = [directory(), directory()];
  await using near = await startServer({ dataDir: own });
  await using before = await startServer({ dataDir: farDir });
  await record(near.port, "one", labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${before.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  await before.stop();
  await record(near.port, "two", labelTopics(drive));
  await until(own, "nothing is reached", ({ lastError }) => lastError !== undefined);
  await using after = await startServer({ dataDir: farDir });
  await command(own, "set", "centre", "--url", `grpc://127.0.0.1:${after.port}`);
  await until(own, "two are there", ({ syncedSessions }) => syncedSessions === 2);
  expect(logged(near.stderr(), "session_synced")).toHaveLength(2);
  using client = new FlightClient(after.port);
  await client.info({ resource_locator: "two" });
});

test("an address that leads to another store gets nothing, and nothing counts as synced there", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  // A quota that is full at once, so that what is synced goes first.
  const args = ["--max-bytes", "1MB"];
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await using stranger = await startServer({ dataDir: directory() });
  await record(near.port, "one", labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  await command(own, "set", "centre", "--url", `grpc://127.0.0.1:${stranger.port}`);
  const view = await until(own, "it is noticed, with nothing to send", ({ lastError }) => lastError !== undefined);
  expect(view.lastError).toMatch(/Another store answers there, \S+ in place of \S+: nothing goes/);
  await record(near.port, "two", labelTopics(drive));
  const checked = await runToEnd(["sync", "check", "centre", "--json", "--data-dir", own]);
  expect([checked.code, JSON.parse(checked.stdout)]).toEqual([
    1,
    expect.objectContaining({ problem: expect.stringMatching(/Another store answers there/), wouldSendSessions: 1 }),
  ]);
  await near.stop();
  {
    await using full = await startServer({ dataDir: own, args });
    await record(full.port, "three", baseTopics({ ...drive, seconds: 8 })).catch(() => undefined);
    expect(full.stderr()).not.toMatch(/session_evicted/);
    await command(own, "set", "centre", "--url", `grpc://127.0.0.1:${far.port}`);
    // The one that has them: what is there may go here.
    await expect.poll(() => full.stderr(), { timeout: 20_000 }).toMatch(/session_synced.*two:/);
    await record(full.port, "four", baseTopics({ ...drive, seconds: 8 })).catch(() => undefined);
    expect(full.stderr()).toMatch(/session_evicted.*one:/);
  }
  using client = new FlightClient(stranger.port);
  for (const sequence of ["one", "two"])
    await expect(client.info({ resource_locator: sequence })).rejects.toThrow(/Not found/);
});

test("of a daemon that does not tell who it is, what was synced is looked for at a new address", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await using stranger = await startServer({ dataDir: directory() });
  await using first = await openOldFront(() => far.port);
  await using moved = await openOldFront(() => far.port);
  await using other = await openOldFront(() => stranger.port);
  await record(near.port, "one", labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${first.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  await command(own, "set", "centre", "--url", `grpc://127.0.0.1:${other.port}`);
  const view = await until(own, "it is noticed", ({ lastError }) => lastError !== undefined);
  expect(view.lastError).toMatch(/Topic `one\/\S+` was synced and is not there/);
  await record(near.port, "two", labelTopics(drive));
  await command(own, "set", "centre", "--url", `grpc://127.0.0.1:${moved.port}`);
  await until(own, "two are there", ({ syncedSessions }) => syncedSessions === 2);
  using client = new FlightClient(stranger.port);
  await expect(client.info({ resource_locator: "two" })).rejects.toThrow(/Not found/);
});

test("a target that is the server itself gets nothing", { timeout: 60_000 }, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await record(near.port, "one", labelTopics(drive));
  const url = `grpc://127.0.0.1:${near.port}`;
  const checked = await runToEnd(["sync", "check", url, "--data-dir", own]);
  expect([checked.code, checked.stdout]).toEqual([1, expect.stringMatching(/problem: It is this store itself/)]);
  await command(own, "add", "myself", url);
  const view = await until(own, "it is noticed", ({ lastError }) => lastError !== undefined);
  expect(view).toMatchObject({ pendingSessions: 1, lastError: "It is this store itself that answers there." });
  expect((await runToEnd(["verify", "--data-dir", own])).stdout).toMatch(/sound: 1 sessions/);
});

test("another store that is reached while sessions go gets none of them", { timeout: 60_000 }, async () => {
  const own = directory();
  const sessions = 40;
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await using stranger = await startServer({ dataDir: directory() });
  using address = await openAddress(far);
  const names = Array.from({ length: sessions }, (_none, index) => `drive-${index}`);
  for (const name of names) await record(near.port, name, labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${address.port}`);
  await expect
    .poll(() => logged(near.stderr(), "session_synced").length, { interval: 1, timeout: 10_000 })
    .toBeGreaterThan(2);
  address.leadTo(stranger);
  await until(own, "it is noticed", ({ lastError }) => /Another store answers/.test(lastError ?? ""));
  address.leadTo(far);
  await command(own, "now", "centre");
  await until(own, "all are there", ({ syncedSessions }) => syncedSessions === sessions);
  for (const name of names) expect(await isThere(far.port, name), name).toBe(true);
  for (const name of names) expect(await isThere(stranger.port, name), name).toBe(false);
});

test("what another store has is not taken for what was read back", { timeout: 60_000 }, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await using stranger = await startServer({ dataDir: directory() });
  using address = await openAddress(far);
  await record(near.port, "one", baseTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${address.port}`, "--verify", "contents", "--rate", "4MB");
  await until(own, "it is on its way", ({ sentRows }) => (sentRows ?? 0) > 0);
  // It is read back over another connection than the one that it went over.
  address.leadTo(stranger, "goes on");
  await until(own, "it is noticed", ({ lastError }) => /[Aa]nother store answers/.test(lastError ?? ""));
  address.leadTo(far);
  await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
  expect(logged(near.stderr(), "session_synced")).toHaveLength(1);
  expect(far.stderr()).not.toContain("session_deleted");
  expect(await isThere(stranger.port, "one")).toBe(false);
});

test("a store that is another one is noticed with nothing to send", { timeout: 60_000 }, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await using stranger = await startServer({ dataDir: directory() });
  using address = await openAddress(far);
  await record(near.port, "one", labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${address.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  address.leadTo(stranger);
  await command(own, "now", "centre");
  await until(own, "it is noticed", ({ lastError }) => /Another store answers/.test(lastError ?? ""));
  await command(own, "pause", "centre");
  const paused = /^centre +paused .* 1 .* it may be another store: what is synced does not count$/m;
  await expect.poll(() => command(own, "status"), { timeout: 10_000 }).toMatch(paused);
});

test("a daemon that does not tell who it is and has nothing of what was synced last gets nothing, unless somebody says so", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await using stranger = await startServer({ dataDir: directory() });
  let port = far.port;
  await using front = await openOldFront(() => port);
  await record(near.port, "one", labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${front.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  // Of that name, and something else.
  await record(stranger.port, "one", labelTopics({ ...drive, seconds: 30 }));
  port = stranger.port;
  await record(near.port, "two", labelTopics(drive));
  const view = await until(own, "it is noticed", ({ lastError }) => /is not there/.test(lastError ?? ""));
  expect(view.lastError).toMatch(/^Topic `one\/\S+` was synced and is not there, .* sync confirm says so\.$/);
  const checked = await runToEnd(["sync", "check", "centre", "--data-dir", own]);
  expect([checked.code, checked.stdout]).toEqual([1, expect.stringMatching(/problem: Topic `one.* is not there/)]);
  expect(await isThere(stranger.port, "two")).toBe(false);
  await command(own, "confirm", "centre");
  await until(own, "two are there", ({ syncedSessions }) => syncedSessions === 2);
  expect(await isThere(stranger.port, "two")).toBe(true);
});

test("what a daemon lists and cannot show is there, and what it does not list is not", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await using stranger = await startServer({ dataDir: directory() });
  const broken = new Set<string>();
  let port = far.port;
  await using front = await openOldFront(() => port, { broken });
  await record(near.port, "one", labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${front.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  broken.add("GetFlightInfo");
  const check = ["sync", "check", "centre", "--data-dir", own];
  const there = await runToEnd(check);
  expect([there.code, there.stdout]).toEqual([0, expect.not.stringMatching(/problem/)]);
  port = stranger.port;
  const lost = await runToEnd(check);
  expect([lost.code, lost.stdout]).toEqual([1, expect.stringMatching(/problem: Topic `one.* is not there/)]);
  expect(front.hits.get("GetFlightInfo failed")).toBeGreaterThanOrEqual(2);
});

test("what is synced after sync confirm is looked for, also when the clock was ahead before", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using far = await startServer({ dataDir: directory() });
  await using stranger = await startServer({ dataDir: directory() });
  let port = far.port;
  await using front = await openOldFront(() => port);
  await using near = await startServer({ dataDir: own });
  await record(near.port, "one", labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${front.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  await syncedAhead(own, "centre", 365n * 86_400_000_000_000n);
  await command(own, "confirm", "centre");
  await record(near.port, "two", labelTopics(drive));
  await until(own, "two is there", ({ state, syncedSessions }) => state === "idle" && syncedSessions === 2);
  port = stranger.port;
  await record(near.port, "three", labelTopics(drive));
  const view = await until(own, "it is noticed", ({ lastError }) => /is not there/.test(lastError ?? ""));
  expect(view.lastError).toMatch(/^Topic `two\/\S+` was synced and is not there/);
  expect(await isThere(stranger.port, "three")).toBe(false);
});

test("who told which store it is has to tell it again, and who does so for the first time has what was synced", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await using empty = await startServer({ dataDir: directory() });
  await using front = await openOldFront(() => far.port);
  await record(near.port, "one", labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  await command(own, "set", "centre", "--url", `grpc://127.0.0.1:${front.port}`);
  await until(own, "it is noticed", ({ lastError }) => /does not say which store/.test(lastError ?? ""));
  const refused = await runToEnd(["sync", "confirm", "centre", "--data-dir", own]);
  expect([refused.code, refused.stderr]).toEqual([64, expect.stringMatching(/tells itself which store it is/)]);
  await command(own, "remove", "centre");
  await record(near.port, "two", baseTopics({ ...drive, seconds: 2 }));
  await command(own, "add", "daemon", `grpc://127.0.0.1:${front.port}`, "--include", "two");
  await until(own, "two is there", ({ syncedSessions }) => syncedSessions === 1);
  await command(own, "set", "daemon", "--url", `grpc://127.0.0.1:${empty.port}`);
  await until(own, "it is noticed", ({ lastError }) => /was synced and is not there/.test(lastError ?? ""));
  await command(own, "set", "daemon", "--url", `grpc://127.0.0.1:${far.port}`);
  await until(own, "it is the one that has it", ({ state, lastError }) => state === "idle" && lastError === undefined);
});

test("a second target that is the same store gets nothing", { timeout: 60_000 }, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  using address = await openAddress(far);
  await record(near.port, "one", labelTopics(drive));
  await command(own, "add", "second", `grpc://127.0.0.1:${far.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  await command(own, "add", "first", `grpc://127.0.0.1:${address.port}`);
  const view = await until(
    own,
    "it is noticed",
    ({ target, lastError }) => target === "first" && lastError !== undefined,
  );
  expect(view).toMatchObject({ syncedSessions: 0, lastError: expect.stringMatching(/store of target second/) });
  await command(own, "remove", "second");
  await command(own, "now", "first");
  expect((await until(own, "it is", ({ syncedSessions }) => syncedSessions === 1)).target).toBe("first");
  expect((await targetOf(own)).lastError).toBeUndefined();
});

test("of two targets that come to the same store at once one gets all and the other nothing", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using far = await startServer({ dataDir: directory() });
  using one = await openAddress(far);
  using other = await openAddress(far);
  {
    await using near = await startServer({ dataDir: own });
    await record(near.port, "one", labelTopics(drive));
    await near.stop();
  }
  await command(own, "add", "first", `grpc://127.0.0.1:${one.port}`);
  await command(own, "add", "second", `grpc://127.0.0.1:${other.port}`);
  await using near = await startServer({ dataDir: own });
  const views = async (): Promise<TargetView[]> => JSON.parse(await command(own, "status", "--json")) as TargetView[];
  const isSettled = async (): Promise<string[]> =>
    (await views()).map(({ syncedSessions, lastError }) =>
      /the store of target/.test(lastError ?? "") ? "refused" : syncedSessions === 1 ? "synced" : "waits",
    );
  await expect.poll(async () => (await isSettled()).toSorted(), { timeout: 20_000 }).toEqual(["refused", "synced"]);
  expect(logged(near.stderr(), "session_synced")).toHaveLength(1);
});
