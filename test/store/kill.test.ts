// kill -9 at random moments and at every fail point, in short: test/torture has the machinery, and the long run.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { failPoints } from "../../src/host/fail-point.ts";
import { Campaign, failPointProgram, phases, words } from "../torture/campaign.ts";
import { describeLoss, lossBeyondIntervalMsMax } from "../torture/recorder.ts";

const seed = 20_260_102;
const rounds = 52;
const killsMin = 50;
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), "mosaico-edge-kill-"));
});

afterEach(async () => rm(dataDir, { recursive: true, force: true }));

test("what was acknowledged survives kills at random moments", { timeout: 180_000 }, async () => {
  console.log(`kill: seed ${seed}`);
  const campaign = new Campaign({ dataDir, seed, workers: 4 });
  for (let round = 0; round < rounds; round += 1)
    await campaign.killInPhase(phases[round % phases.length] ?? "mid-upload");
  const rebuilt = await campaign.compareRebuilt();
  const end = await campaign.end();
  const { kills, compared, recovered, phaseHits } = campaign;
  console.log(`kill: ${kills} kills; compared ${words(compared)}`);
  console.log(`kill: recovery found ${words(recovered)}; ${end}`);
  console.log(`kill: clients were in ${words(Object.fromEntries(phaseHits))}`);
  console.log(`kill: ${describeLoss(campaign.loss)}`);
  console.log(`kill: verified, and rebuilt with equal rows in ${words(rebuilt.equal)}`);
  expect(campaign.loss.batchesLost).toBeGreaterThan(0);
  expect(Math.max(...campaign.loss.beyondIntervalMs)).toBeLessThanOrEqual(lossBeyondIntervalMsMax);
  for (const phase of phases) expect.soft(phaseHits.get(phase), `kills during: ${phase}`).toBeGreaterThan(0);
  expect(kills).toBeGreaterThanOrEqual(killsMin);
  // Restarts that found something to repair: the kills came at moments that matter.
  expect(recovered.sweptPaths).toBeGreaterThan(0);
  expect(recovered.cutFiles).toBeGreaterThan(0);
});

test("what was acknowledged survives a death at every fail point", { timeout: 240_000 }, async () => {
  expect(existsSync(failPointProgram), `${failPointProgram}: node build/bundle.mjs --fail-points makes it`).toBe(true);
  console.log(`fail points: seed ${seed + 1}`);
  const campaign = new Campaign({ dataDir, seed: seed + 1, workers: 4 });
  for (const point of failPoints) {
    // The first time may be early in the life of a server; a later one is in the middle of others' work.
    for (const nth of point.startsWith("recover") || point === "tail: removed" ? [1] : [1, 3])
      await campaign.dieAt(point, nth);
  }
  // What a death leaves depends on what others were doing: those that were missed get another chance.
  for (let round = 0; round < 12; round += 1) {
    for (const point of failPoints) if (!campaign.pointHits.has(point)) await campaign.dieAt(point, 1);
  }
  const end = await campaign.end();
  console.log(`fail points: ${campaign.kills} deaths; compared ${words(campaign.compared)}; ${end}`);
  console.log(`fail points: died at ${words(Object.fromEntries(campaign.pointHits))}`);
  for (const point of failPoints) expect.soft(campaign.pointHits.get(point) ?? 0, point).toBeGreaterThan(0);
});
