// Power cuts: whatever a cut at any moment may leave on the disk, a server that is started on it keeps what was acknowledged.
// A server is asked for everything while all that it does to its disk is written down; from that, directories are made as a
// cut between any two system calls could have left them, with and without what was not synced, and a server is started on each.

import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomFrom, randomInteger } from "../load/random.ts";
import { checkState } from "./crash-check.ts";
import { type Act, actOf, type CrashState, RecordedDisk, type StateKind, stateKinds } from "./crash-disk.ts";
import { type Recording, readRecording, record } from "./crash-recording.ts";
import { noShims } from "./shim.ts";
import { kindOf, syncedKinds } from "./trace.ts";

const seed = Number(process.env["MOSAICO_CRASH_SEED"] ?? 20_260_103);
const statesMost = Number(process.env["MOSAICO_CRASH_STATES"] ?? 150);
const minuteMs = 60_000;
/** A folder with a recording, and one state of it as an error has named it: to see the same again. */
const given = { folder: process.env["MOSAICO_CRASH_RECORDING"], state: process.env["MOSAICO_CRASH_STATE"] };
const checkedAtOnce = 2;

if (noShims !== undefined) console.warn(`crash.test.ts is skipped: ${noShims}`);

/** What happens to a disk in this program. A kind of act that does not come up in the recording fails the test. */
const acts: readonly Act[] = [
  ...(["create chunk", "write chunk", "cut chunk", "sync chunk"] as const),
  ...(["create tail", "write tail", "sync tail", "remove tail"] as const),
  ...(["create document", "write document", "sync document", "rename document"] as const),
  ...(["create directory", "rename directory", "remove directory", "sync directory"] as const),
  ...(["write catalog", "sync catalog", "commit catalog"] as const),
  "answer",
];

describe.skipIf(noShims !== undefined)("power cuts", () => {
  let folder: string;
  let recording: Recording;
  let disk: RecordedDisk;
  let failed = false;

  beforeAll(async () => {
    // Paths in the trace are those that the kernel tells: without symbolic links.
    folder = given.folder ?? realpathSync(mkdtempSync(path.join(tmpdir(), "mosaico-edge-crash-recording-")));
    if (given.folder === undefined) await record(folder, seed);
    recording = readRecording(folder);
    disk = new RecordedDisk(recording);
    console.log(`crash: seed ${seed}; ${recording.events.length} events`);
  });

  afterAll(() => {
    if (given.folder === undefined && !failed) rmSync(folder, { recursive: true, force: true });
  });

  test("what was acknowledged survives", { timeout: 20_000 + 2_000 * statesMost }, async () => {
    const states = given.state === undefined ? chooseStates(recording) : [parseState(given.state)];
    const total = { states: 0, batches: 0, goneOn: 0 };
    const errors = await checkAll(states, async (state) => {
      const { compared, goneOn } = await checkState(recording, disk, state);
      total.states += 1;
      total.batches += compared.batches;
      total.goneOn += goneOn;
    });
    failed = errors.length > 0;
    console.log(
      `crash: ${total.states} states, ${total.batches} batches compared, ${total.goneOn} cut uploads went on`,
    );
    if (given.state === undefined) expectCoverage(recording, states);
    expect(errors.slice(0, 10)).toEqual([]);
    expect(total.goneOn).toBeGreaterThan(0);
  });

  // What the states above are worth: each kind of sync is needed, and that it is not made is seen.
  test.each(syncedKinds)("without the syncs of %s something is lost", { timeout: 4 * minuteMs }, async (kind) => {
    const { events, root } = recording;
    const ignored = events.flatMap((event, index) =>
      event.kind === "syncEnd" && kindOf(path.relative(root, event.path)) === kind ? [index] : [],
    );
    expect(ignored.length).toBeGreaterThan(0);
    const forgetful = new RecordedDisk(recording, new Set(ignored));
    const states = chooseStates(recording).filter((state) => state.kind !== "prefix");
    let tried = 0;
    let lost: string | undefined;
    for (const state of states.toReversed()) {
      if (lost !== undefined) break;
      tried += 1;
      await checkState(recording, forgetful, state).catch((error: unknown) => {
        [lost] = String(error).split("\n");
      });
    }
    console.log(`crash: without ${ignored.length} syncs of ${kind}, state ${tried}: ${lost}`);
    expect(lost).toBeDefined();
  });
});

interface Chosen extends CrashState {
  readonly act?: Act;
}

/** All kinds of acts in turn, each with all kinds of states; the cut is behind an event of that kind, chosen by chance. */
function chooseStates({ events, root, history }: Recording): Chosen[] {
  const random = randomFrom(seed);
  const cuts = new Map<Act, number[]>(acts.map((act) => [act, []]));
  for (const index of events.keys()) {
    const act = history.answerEvents.has(index) ? "answer" : actOf(events, index, root);
    if (act !== undefined) cuts.get(act)?.push(index + 1);
  }
  return Array.from({ length: statesMost }, (_none, index) => {
    const act = acts[Math.floor(index / stateKinds.length) % acts.length] ?? "answer";
    const kind = stateKinds[index % stateKinds.length] ?? "mixed";
    const places = cuts.get(act) ?? [];
    const cut = places[randomInteger(random, places.length)] ?? 0;
    return { act, kind, cut, seed: randomInteger(random, 2 ** 31) };
  });
}

function parseState(text: string): Chosen {
  const [kind, cut, own] = text.split(":");
  return { kind: kind as StateKind, cut: Number(cut), seed: Number(own) };
}

/** Checks some states at once; what was wrong, a text each. */
async function checkAll<T extends CrashState>(
  states: readonly T[],
  check: (state: T) => Promise<void>,
): Promise<string[]> {
  const errors: string[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let state = states[next++]; state !== undefined; state = states[next++])
      await check(state).catch((error: unknown) => errors.push(error instanceof Error ? error.message : String(error)));
  };
  await Promise.all(Array.from({ length: checkedAtOnce }, work));
  return errors;
}

/** Prints how often each act was cut behind, and fails where the recording has none. */
function expectCoverage(recording: Recording, states: readonly Chosen[]): void {
  const count = (act: Act, kind: StateKind): number =>
    states.filter((state) => state.act === act && state.kind === kind && state.cut > 0).length;
  console.log(`crash: cut behind (${stateKinds.join(", ")})`);
  for (const act of acts) {
    const counts = stateKinds.map((kind) => count(act, kind));
    console.log(`crash:   ${act}: ${counts.join(", ")}`);
    if (statesMost >= acts.length * stateKinds.length)
      expect
        .soft(
          counts.every((one) => one > 0),
          `states behind: ${act}`,
        )
        .toBe(true);
  }
  const { events, root } = recording;
  const strange = events
    .flatMap((_event, index) => actOf(events, index, root) ?? [])
    .filter((act) => !acts.includes(act));
  console.log(`crash: not in the table: ${[...new Set(strange)].join(", ")}`);
}
