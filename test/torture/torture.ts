// `npm run torture -- --minutes N --seed S`: kills at random moments with 30 producers, and deaths at every fail point, until the
// time is up. Ends with 0 when nothing that was acknowledged was lost or changed, every start succeeded, and every phase and every
// fail point was hit.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { failPoints } from "../../src/host/fail-point.ts";
import { randomFrom, randomInteger } from "../load/random.ts";
import { Campaign, phases, words } from "./campaign.ts";
import { describeLoss, lossBeyondIntervalMsMax } from "./recorder.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    workers: { type: "string", default: "30" },
    "data-dir": { type: "string" },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
const workers = Number(values.workers);
if (!(minutes > 0) || !Number.isInteger(seed) || !(workers > 0)) {
  console.error("torture: expected --minutes N, --seed S and --workers W as numbers");
  process.exit(64);
}

const dataDir = values["data-dir"] ?? (await mkdtemp(path.join(tmpdir(), "mosaico-edge-torture-")));
console.log(`torture: ${minutes} minutes, seed ${seed}, ${workers} clients, data in ${dataDir}`);
const random = randomFrom(seed);
const campaign = new Campaign({ dataDir, seed, workers });
const untilMs = performance.now() + minutes * 60_000;
let round = 0;
let toldMs = performance.now();
while (performance.now() < untilMs) {
  const point = failPoints[Math.floor(round / 2) % failPoints.length];
  const phase = phases[Math.floor(round / 2) % phases.length];
  if (round % 2 === 0 && point !== undefined) await campaign.dieAt(point, 1 + randomInteger(random, 6));
  else if (phase !== undefined) await campaign.killInPhase(phase);
  round += 1;
  if (performance.now() - toldMs > 60_000) {
    toldMs = performance.now();
    console.log(`torture: ${Math.round((untilMs - toldMs) / 60_000)} minutes left, ${campaign.kills} deaths`);
  }
}
const rebuilt = await campaign.compareRebuilt();
const end = await campaign.end();
console.log(`torture: ${campaign.kills} deaths; compared ${words(campaign.compared)}`);
console.log(`torture: recovery found ${words(campaign.recovered)}; ${end}`);
console.log(`torture: clients were in ${words(Object.fromEntries(campaign.phaseHits))}`);
console.log(`torture: died at ${words(Object.fromEntries(campaign.pointHits))}`);
console.log(`torture: ${describeLoss(campaign.loss)}`);
console.log(
  `torture: verified, and rebuilt with rows equal in ${words(rebuilt.equal)}; ${rebuilt.openTopics} topics were open; ${rebuilt.unknown} resources had no data`,
);
const missed = [
  ...phases.filter((phase) => (campaign.phaseHits.get(phase) ?? 0) === 0),
  ...failPoints.filter((point) => !campaign.pointHits.has(point)),
];
const beyond = Math.max(0, ...campaign.loss.beyondIntervalMs);
if (beyond > lossBeyondIntervalMsMax) {
  console.error(
    `torture: a death took ${beyond} ms beyond the commit interval, expected at most ${lossBeyondIntervalMsMax}`,
  );
  process.exitCode = 1;
}
if (missed.length > 0) {
  console.error(`torture: never met: ${missed.join(", ")}`);
  process.exitCode = 1;
}
console.log("torture: acknowledged data lost 0, wrong bytes 0, failed starts 0");
if (values["data-dir"] === undefined) await rm(dataDir, { recursive: true, force: true });
