/** An agent for each target that the catalog has, also when commands add, change or remove some while the server runs. */

import { listTargets } from "../catalog/target-rows.ts";
import { startPeriodic } from "../flow/periodic.ts";
import { targetsLookMs } from "../model/sync-limits.ts";
import type { Target } from "../model/target.ts";
import type { AgentUse } from "./agent-use.ts";
import { type AgentParts, TargetAgent } from "./target-agent.ts";

interface Running {
  /** As it was when the agent began: a change begins another one. */
  readonly row: string;
  readonly agent: TargetAgent;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export class Sync implements AsyncDisposable {
  readonly #parts: AgentParts;
  readonly #running = new Map<string, Running>();
  readonly #looking: AsyncDisposable;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#looking = startPeriodic({
      everyMs: targetsLookMs,
      act: () => this.#look(),
      failed: (error) => parts.log.warning("sync_failed", { reason: String(error) }),
    });
  }

  /** There is another finalized session. */
  wake(): void {
    for (const { agent } of this.#running.values()) agent.wake();
  }

  /** Of each target that is not paused, by name. */
  use(): Map<string, AgentUse> {
    return new Map([...this.#running].map(([name, { agent }]) => [name, agent.use()]));
  }

  async #look(): Promise<void> {
    const { catalog } = this.#parts;
    catalog.refresh();
    const wanted = new Map<string, Target>();
    for (const target of listTargets(catalog)) if (!target.paused) wanted.set(target.name, target);
    for (const [name, running] of this.#running) {
      const target = wanted.get(name);
      if (target !== undefined && rowOf(target) === running.row) continue;
      await stopped(running);
      this.#running.delete(name);
    }
    for (const [name, target] of wanted) {
      const running = this.#running.get(name);
      if (running === undefined) this.#running.set(name, this.#begin(target));
      else running.agent.wakeForLeftovers();
    }
  }

  #begin(target: Target): Running {
    const stop = new AbortController();
    const agent = new TargetAgent(this.#parts, target);
    return { row: rowOf(target), agent, stop, ended: agent.run(stop.signal) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#looking[Symbol.asyncDispose]();
    await Promise.all([...this.#running.values()].map(stopped));
    this.#running.clear();
  }
}

/** What an agent itself notes does not begin another one. */
function rowOf({ store: _store, isUnconfirmed: _isUnconfirmed, ...target }: Target): string {
  return JSON.stringify(target, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}

async function stopped({ stop, ended }: Running): Promise<void> {
  stop.abort();
  await ended;
}
