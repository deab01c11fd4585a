/** The command `run`: the whole life of the server. What opened last closes first. */

import { checkOurs } from "../care/identity.ts";
import { LatestTime } from "../care/latest-time.ts";
import { flightSocketOf, own } from "../care/ownership.ts";
import { recover } from "../care/recovery.ts";
import { Space } from "../care/space.ts";
import { type Catalog, openCatalog } from "../catalog/catalog.ts";
import type { Owner } from "../catalog/store-facts.ts";
import { Budget } from "../flow/budget.ts";
import { BufferPool } from "../flow/buffer-pool.ts";
import { type Certificate, readCertificate } from "../host/certificate.ts";
import { machineClock } from "../host/clock.ts";
import { socketPlaceIn } from "../host/control-socket.ts";
import { openDisk } from "../host/disk.ts";
import { openLog, printOut } from "../host/log.ts";
import { LoopUse } from "../host/loop-use.ts";
import { openFilesMax } from "../host/open-files.ts";
import type { FinalizeParts } from "../ingest/finalize.ts";
import { GroupCommit } from "../ingest/group-commit.ts";
import { Uploads } from "../ingest/uploads.ts";
import { loanLeastMs, smallMessageShare } from "../model/limits.ts";
import { busyLoopShare } from "../model/sync-limits.ts";
import { Dialects } from "../serve/dialects.ts";
import { Health } from "../serve/health.ts";
import { startServer } from "../serve/server.ts";
import { catalogDirectory } from "../store/layout.ts";
import { Poison } from "../store/poison.ts";
import { TailLog } from "../store/tail-log.ts";
import { Sync } from "../sync/sync.ts";
import { startCare } from "./care.ts";
import { readOntologyDirectory } from "./ontology-directory.ts";
import { searchPartsOf } from "./search-parts.ts";
import type { Config } from "./settings.ts";
import { statusText } from "./status.ts";
import { edgeVersion } from "./version.ts";

/** Serves until the signal fires. Prints one JSON line on stdout when it is ready. */
export async function run(config: Config, signal: AbortSignal): Promise<void> {
  await serve(config, "network", async ({ ready }) => {
    printOut(`${JSON.stringify(ready)}\n`);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
  });
}

/** A server that is ready. */
export interface Served {
  /** What its line says. */
  readonly ready: Readonly<Record<string, unknown>>;
  readonly catalog: Catalog;
  readonly owner: Owner;
}

/** @param reach whether others reach it, or only commands on this machine; it serves until `use` ends */
export async function serve(
  config: Config,
  reach: "network" | "socket",
  use: (served: Served) => Promise<void>,
): Promise<void> {
  const log = openLog(config.log_level);
  const tls = certificateOf(config);
  const ontology = { policy: config.ontology_policy, given: readOntologyDirectory(config.ontology_dir) };
  const clock = machineClock();
  const startedMs = clock.monotonicMs();
  const health = new Health();
  const poison = new Poison((cause) => {
    health.setReady(false);
    log.error("store_poisoned", { cause });
  });
  await using stack = new AsyncDisposableStack();

  const disk = await openDisk(config.data_dir);
  await checkOurs(disk);
  const catalog = stack.use(
    await openCatalog({
      disk,
      directory: catalogDirectory,
      onFailure: (error) => poison.poison(error),
    }),
  );
  let status = async (): Promise<string> => JSON.stringify({ pid: process.pid, starting: true });
  const ownership = stack.use(await own(disk, catalog, () => status()));
  const recovered = await recover({ disk, catalog, clock, log });
  ownership.settle();
  const space = new Space({
    disk,
    clock,
    log,
    catalog,
    floorBytes: config.free_space_floor,
    quotaBytes: config.max_bytes === 0 ? undefined : config.max_bytes,
    unstoredBytes: () => commit.unstoredBytes,
  });

  // What has begun to move is committed before the catalog closes: a store that was stopped has nothing to be cleared away.
  const leaving = new Set<Promise<void>>();
  const emptying = new Set<Promise<void>>();
  const leaveTailLog = (number: number): void => {
    const left = uploads
      .leaveTailLog(number)
      .catch((error: unknown) => log.warning("tail_log_stays", { number, reason: String(error) }))
      .finally(() => leaving.delete(left));
    leaving.add(left);
  };
  const tail = stack.use(
    new TailLog(disk, {
      found: recovered.tailLogs,
      onFailure: (error) => poison.poison(error),
      onCrowded: leaveTailLog,
    }),
  );
  stack.defer(async () => void (await Promise.all([...leaving, ...emptying])));
  const commit = new GroupCommit(
    { disk, catalog, poison, tail, clock },
    { intervalMs: config.commit_interval_ms, bytes: config.commit_bytes },
  );
  const chunkBytesMax = config.max_chunk_size_in_bytes;
  const { uploadBudget, smallUploadBudget, mergeBudget, sendBudget, pool } = divideMemory(config);
  // Merges give their memory back when somebody waits, so an upload that holds a message may wait for theirs, not for its own.
  const unfoldBudget = mergeBudget;
  const { damaged } = recovered;
  const loop = new LoopUse();
  const uploads = new Uploads({
    disk,
    catalog,
    clock,
    loop,
    commit,
    tail,
    space,
    poison,
    unfoldBudget,
    keepsStatistics: config.skip_index === "keep",
    given: ontology.given,
    damaged,
    chunkBytesMax,
  });
  const dialects = new Dialects({ catalog, clock, log, legacySdk: config.legacy_sdk });
  const latestTime = new LatestTime({ catalog, clock, log });
  const authorizer = { catalog, clock, latestTime, keysRequired: config.api_key };
  const messageBytesMax = config.max_message_bytes;
  const finalizing: FinalizeParts["finalizing"] = new Map();
  const finalized: FinalizeParts["finalized"] = () => sync.wake();
  const isUploading: FinalizeParts["isUploading"] = (topic) => uploads.isUploading(topic);
  // What changes the store, be it for a client or by itself.
  const storeParts = {
    disk,
    catalog,
    clock,
    poison,
    log,
    uploads,
    tail,
    emptying,
    finalizing,
    finalized,
    isUploading,
    ontology,
    space,
  };
  const search = searchPartsOf({ disk, catalog, mergeBudget, sendBudget, given: ontology.given });
  const sync = stack.use(
    new Sync({
      disk,
      catalog,
      clock,
      log,
      poison,
      space,
      search,
      // Readers wait for it at worst, uploads never.
      budget: sendBudget,
      captureWaits: () => [uploadBudget, smallUploadBudget].some((budget) => budget.use().waiting > 0),
      captureIsBusy: () => commit.unstoredBytes > 0 && loop.share() > busyLoopShare,
    }),
  );
  const server = await startServer({
    disk,
    catalog,
    log,
    authorizer,
    dialects,
    uploads,
    health,
    uploadBudget,
    smallUploadBudget,
    mergeBudget,
    sendBudget,
    loanLeastMs,
    pool,
    messageBytesMax,
    openFilesMax: openFilesMax(),
    host: config.host,
    port: reach === "network" ? config.port : undefined,
    socket: socketPlaceIn(disk.root, flightSocketOf(ownership.owner)),
    tls,
    actions: {
      ...storeParts,
      dialects,
      messageBytesMax,
      edgeVersion,
      search,
    },
  });
  const { retention, abandoned } = stack.use(startCare({ ...storeParts, config }));
  stack.defer(() => server.stop());
  status = () =>
    statusText({
      version: edgeVersion,
      port: server.port,
      startedAtMs: startedMs,
      nowMs: () => clock.monotonicMs(),
      poison,
      space,
      retention,
      abandoned,
      commit,
      tail,
      uploads,
      sync,
      budgets: { upload: uploadBudget, smallUpload: smallUploadBudget, merge: mergeBudget, send: sendBudget },
    });
  const ready = {
    event: "ready",
    port: server.port,
    host: config.host,
    dataDir: disk.root,
    version: edgeVersion,
    pid: process.pid,
    startMs: Math.round(clock.monotonicMs() - startedMs),
    openSessions: recovered.openSessions,
    sweptPaths: recovered.sweptPaths,
    cutFiles: recovered.cutFiles,
    damagedTopics: damaged.size,
  };
  const used = use({ ready, catalog, owner: ownership.owner });
  // What the last life left in logs moves while calls are served already.
  for (const { number } of recovered.tailLogs) leaveTailLog(number);
  await used;
  log.info("stopping", {});
}

function certificateOf({ tls_cert: chain, tls_key: key }: Config): Certificate | undefined {
  if (chain === undefined || key === undefined) return undefined;
  return readCertificate({ chain: { setting: "tls_cert", file: chain }, key: { setting: "tls_key", file: key } });
}

/**
 * Reads have a quarter of the budget and never less than one message: a client that reads slowly must not stop a recording. Half
 * of that is for merges, half for what is on its way to sockets, which gives up what small messages of uploads have for themselves.
 * The pool keeps at most another quarter of what was given back.
 */
function divideMemory({ memory_budget, max_message_bytes }: Config) {
  const readBytes = Math.max(Math.floor(memory_budget / 4), max_message_bytes);
  const smallBytes = Math.floor(memory_budget * smallMessageShare);
  return {
    uploadBudget: new Budget(memory_budget - readBytes),
    smallUploadBudget: new Budget(smallBytes),
    mergeBudget: new Budget(Math.floor(readBytes / 2)),
    sendBudget: new Budget(Math.floor(readBytes / 2) - smallBytes),
    pool: new BufferPool(Math.floor(memory_budget / 4)),
  };
}
