/** Starts what looks after the store while it is served: room on the disk, retention, sessions that nobody returns to. */

import { Abandoned } from "../care/abandoned.ts";
import { ClockWatch } from "../care/clock-watch.ts";
import { Retention } from "../care/retention.ts";
import type { Space } from "../care/space.ts";
import { findSequence, findSession } from "../catalog/resources.ts";
import { startPeriodic } from "../flow/periodic.ts";
import { type FinalizeParts, finalizeSession } from "../ingest/finalize.ts";
import { deleteEmptySequence, deleteSession, deleteTopic, type RemoveParts } from "../ingest/remove.ts";
import { Fault } from "../model/fault.ts";
import { retentionTickMs } from "../model/limits.ts";
import type { Ulid } from "../model/resource.ts";
import { retentionPolicy } from "./policy.ts";
import type { Config } from "./settings.ts";

export interface CareParts extends FinalizeParts, RemoveParts {
  readonly space: Space;
  readonly config: Config;
}

export interface Care extends AsyncDisposable {
  readonly retention: Retention;
  readonly abandoned: Abandoned;
}

export function startCare(parts: CareParts): Care {
  const { catalog, clock, log, space, uploads, config } = parts;
  const retention = new Retention({
    catalog,
    clock,
    log,
    space,
    policy: retentionPolicy(config),
    evict: (session, check) => evict(parts, session, check),
  });
  const abandoned = new Abandoned({
    catalog,
    clock,
    log,
    policy: config.open_sessions,
    graceMs: config.open_session_grace,
    hands: {
      isUploading: parts.isUploading,
      completeTopic: (topic) => uploads.completeTopic(topic),
      deleteTopic: ({ locator }, check) => deleteTopic(parts, locator, check),
      finalizeSession: async ({ uuid }) => void (await finalizeSession(parts, uuid)),
      deleteSession: async ({ ulid }, check) => void (await deleteSession(parts, ulid, check)),
    },
  });
  const clockWatch = new ClockWatch({ catalog, clock, log, openTopics: () => uploads.openTopics() });
  const stack = new AsyncDisposableStack();
  let told = "";
  const failed = (event: string) => (error: unknown) => {
    // The same reason second after second is one line.
    const reason = String(error);
    if (reason !== told) log.warning(event, { reason });
    told = reason;
  };
  stack.use(
    startPeriodic({
      everyMs: retentionTickMs,
      async act() {
        await clockWatch.tick();
        await space.keepCatalogRoom();
        // Nothing else is waited for in between, while an upload would fill what retention saw free.
        space.tick((await retention.tick()) ? "made room" : "made none");
      },
      failed: failed("retention_failed"),
    }),
  );
  stack.use(
    startPeriodic({
      everyMs: Math.min(60_000, config.open_session_grace / 4),
      act: () => abandoned.tick(),
      failed: failed("abandoned_failed"),
    }),
  );
  stack.use(
    startPeriodic({
      everyMs: Math.min(60_000, config.chunk_age / 4),
      act: () => uploads.sealOlder(config.chunk_age),
      failed: failed("seal_failed"),
    }),
  );
  return { retention, abandoned, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A sequence whose last session went goes too: a name without data would stay for ever. */
async function evict(parts: CareParts, ulid: Ulid, check: () => void): Promise<void> {
  const { catalog } = parts;
  const session = findSession(catalog, ulid);
  if (session === undefined) return;
  const { emptied } = await deleteSession(parts, ulid, check, "here");
  const sequence = findSequence(catalog, session.sequence);
  if (sequence !== undefined)
    await deleteEmptySequence(parts, sequence.name, sequence.uuid).catch((error: unknown) => {
      // It has others, or somebody records on in it.
      if (!(error instanceof Fault) || (error.code !== "wrong_state" && error.code !== "absent")) throw error;
    });
  await emptied;
}
