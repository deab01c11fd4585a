// Transfers against models of both kinds of remotes, while calls and answers get lost, both ends are killed and others interfere:
// whatever happens, each session is there exactly once with all its rows in order, or parked with the reason why it is not.

import { expect, test } from "vitest";
import type { FaultCode } from "../../src/model/fault.ts";
import type { TopicLocator } from "../../src/model/locator.ts";
import type { Uuid } from "../../src/model/resource.ts";
import { type Cursor, firstCursor, type ParkCause, retriedCursor } from "../../src/model/transfer.ts";
import { type Answer, breaksOff, type Command, type TransferFacts } from "../../src/sync/command.ts";
import { step } from "../../src/sync/transfer.ts";
import { beginTransfer } from "../../src/sync/transfer-place.ts";
import type { TransferContext } from "../../src/sync/transfer-state.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { RemoteModel } from "./remote-model.ts";

const seeds = Number(process.env["MOSAICO_TRANSFER_SEEDS"] ?? 10_000);

const faults = ["request lost", "reply lost", "killed before", "remote restarts"] as const;
type FaultKind = (typeof faults)[number];

const edgeCommands = [
  "create_sequence",
  "create_session",
  "create_topic",
  "topic_status",
  "put",
  "end_put",
  "add_notes",
  "finalize",
  "show_topic",
  "compare_topic",
  "delete_session",
] as const;
const centralCommands = [
  "create_sequence",
  "show_sequence",
  "create_session",
  "create_topic",
  "show_topic",
  "delete_topic",
  "put",
  "end_put",
  "add_notes",
  "finalize",
  "wait",
  "compare_topic",
  "delete_session",
] as const;

interface Run {
  readonly random: Random;
  readonly remote: RemoteModel;
  readonly context: TransferContext;
  readonly hit: (cell: string) => void;
  /** How often something may go wrong before the world is kind. */
  faultsLeft: number;
}

/** Runs a transfer to its end; every break begins it again at the cursor that is stored. */
function transferTo(run: Run, from: Cursor): Cursor {
  const { context } = run;
  let stored = from;
  let transfer = beginTransfer(stored, context);
  for (let steps = 0; steps < 2_000; steps += 1) {
    stored = transfer.cursor;
    if (transfer.command.kind === "end") return stored;
    const answer = carryOut(run, transfer.command);
    transfer = answer === undefined ? beginTransfer(stored, context) : step(transfer, answer, context);
  }
  throw new RangeError(
    `stuck at ${JSON.stringify(stored, (_key, value) => (typeof value === "bigint" ? String(value) : value))}`,
  );
}

/** Undefined when the transfer breaks off. */
function carryOut(run: Run, command: Command): Answer | undefined {
  const { random, remote, context } = run;
  const { kind } = context.traits;
  if (run.faultsLeft > 0 && random.chance(command.kind === "delete_session" ? 0.6 : 0.25)) {
    run.faultsLeft -= 1;
    const fault = random.pick(faults);
    run.hit(`${kind} ${command.kind} ${fault}`);
    spoil(run, command, fault);
    return undefined;
  }
  const answer = remote.run(command);
  if (answer.kind === "refused" && breaksOff(command, answer.code, context.traits)) {
    remote.breakOff();
    return undefined;
  }
  return answer;
}

function spoil({ random, remote, context }: Run, command: Command, fault: FaultKind): void {
  if (fault === "killed before" || fault === "request lost") {
    remote.breakOff();
    return;
  }
  if (fault === "reply lost" && command.kind === "end_put") {
    remote.endLate(1 + random.below(4));
    return;
  }
  if (command.kind === "put") remote.run(command, random.below((context.facts.topics[command.index]?.rows ?? 0) + 1));
  else remote.run(command);
  if (fault === "remote restarts") remote.restart();
  else remote.breakOff();
}

function randomFacts(random: Random): TransferFacts {
  const topics = Array.from({ length: 1 + random.below(3) }, (_none, index) => {
    const rows = random.pick([0, 1, 2, 5]);
    const range = rows === 0 ? undefined : { startNs: 0n, endNs: BigInt(rows - 1) };
    const locator = `s/topic-${index}` as TopicLocator;
    return { locator, uuid: `topic-${index}` as Uuid, rows, range, lostRows: 0, messages: rows };
  });
  return { session: "session" as Uuid, topics };
}

/** What is there of the session: finalized, whole, once. */
function expectOnce(remote: RemoteModel, { topics }: TransferFacts, title: string): void {
  const withTopics = (remote.sequence?.sessions ?? []).filter((session) => session.topics.size > 0);
  expect(withTopics.length, title).toBe(1);
  const [session] = withTopics;
  expect(session?.finalized, title).toBe(true);
  for (const [index, { rows }] of topics.entries())
    expect(session?.topics.get(index)?.rows, `${title}, topic ${index}`).toEqual(
      Array.from({ length: rows }, (_none, row) => row),
    );
  expect(session?.topics.size, title).toBe(topics.length);
}

const remotes = [
  { kind: "edge", countsRows: true, mayDelete: true },
  { kind: "edge", countsRows: true, mayDelete: false },
  { kind: "central", countsRows: true, mayDelete: true },
  { kind: "central", countsRows: true, mayDelete: false },
  { kind: "central", countsRows: false, mayDelete: true },
  { kind: "central", countsRows: false, mayDelete: false },
] as const;

test(`${seeds} transfers over bad links to all kinds of remotes: exactly once, or parked for the lack of a permission`, () => {
  const random = new Random("transfers");
  // A wait is no call, and what is not there is not sent to be deleted.
  const cells = [
    ...edgeCommands.filter((command) => command !== "delete_session").map((command) => `edge ${command}`),
    ...centralCommands.filter((command) => command !== "delete_session").map((command) => `central ${command}`),
  ].flatMap((command) => faults.map((fault) => `${command} ${fault}`));
  const ends = [
    "edge synced",
    "central synced",
    "central without delete synced",
    "central without delete parked reply_lost",
  ];
  const coverage = new Coverage("transfers", [...cells, ...ends]);
  for (let round = 0; round < seeds; round += 1) {
    const options = random.pick(remotes);
    const facts = randomFacts(random);
    const remote = new RemoteModel(random, facts, options);
    const traits = { ...options, onConflict: "refuse", comparesContents: random.chance(0.5) } as const;
    const context: TransferContext = { facts, traits };
    const hit = (cell: string): void => coverage.hit(cell);
    const { place } = transferTo({ random, remote, context, hit, faultsLeft: random.below(12) }, firstCursor);
    const title = `round ${round} of ${JSON.stringify(options)}`;
    const who = options.kind === "central" && !options.mayDelete ? "central without delete" : options.kind;
    if (place.kind === "parked") {
      expect(who, `${title}: ${place.reason}`).toBe("central without delete");
      expect(place.cause, `${title}: ${place.reason}`).toBe("reply_lost");
      coverage.hit(`${who} parked reply_lost`);
      continue;
    }
    expectOnce(remote, facts, title);
    coverage.hit(`${who} synced`);
  }
  coverage.check();
});

/** Others cannot, or cannot be told from what is usual. */
const atEdges = [
  "finalized there before all came",
  "foreign sequence in place of ours",
  "there already, in a sequence of another UUID",
] as const;
const interferences = [
  "session deleted there",
  "rows lost there",
  "row changed there",
  "deleted before it is compared",
  "foreign sequence",
  "foreign sequence, extended",
  "foreign topic being recorded",
  "topic deleted there",
  ...atEdges,
  "upload refused",
  "finalize refused",
] as const;
const isAtEdges = (one: string): boolean => atEdges.some((own) => own === one);
const causes: readonly ParkCause[] = ["conflict", "refused", "different"];

/** Whether there was something to interfere with. */
function interfereOnce(
  remote: RemoteModel,
  interference: (typeof interferences)[number],
  isCompared: boolean,
): boolean {
  const sessions = remote.sequence?.sessions ?? [];
  const open = sessions.find(({ finalized }) => !finalized);
  const victim = isCompared ? sessions[0] : open;
  switch (interference) {
    case "rows lost there":
      return remote.loseRows();
    case "row changed there":
      return remote.changeRow();
    case "topic deleted there": {
      // The one that is looked at last.
      const { topics } = sessions.find(({ finalized }) => finalized) ?? {};
      return topics?.delete(topics.size - 1) ?? false;
    }
    case "finalized there before all came":
      return open !== undefined && remote.finalizeAsIs(open.uuid);
    case "foreign sequence in place of ours":
      return victim !== undefined && remote.replaceSequence();
    default:
      return victim !== undefined && remote.removeSession(victim.uuid);
  }
}

test("others interfere: what is theirs is left alone, what of ours they broke is sent again, and what is refused is parked until it is tried again", () => {
  const random = new Random("transfers: interferences");
  const coverage = new Coverage("interferences", [
    ...interferences.map((one) => `edge ${one}`),
    ...interferences.filter((one) => !isAtEdges(one)).map((one) => `central ${one}`),
    ...causes.map((cause) => `parked ${cause}`),
    "edge delete_session request lost",
    "edge delete_session reply lost",
    "synced",
    "retried",
  ]);
  for (let round = 0; round < seeds; round += 1) {
    const interference = random.pick(interferences);
    const options = random.pick(remotes.filter(({ kind }) => kind === "edge" || !isAtEdges(interference)));
    const facts = randomFacts(random);
    const remote = new RemoteModel(random, facts, options);
    const isExtended = interference === "foreign sequence, extended" || interference === "foreign topic being recorded";
    const isConflict = /^foreign sequence( in place of ours)?$|being recorded$/.test(interference);
    const onConflict = isExtended ? "extend" : "refuse";
    const comparesContents = /changed|compared/.test(interference) || random.chance(0.5);
    const context: TransferContext = { facts, traits: { ...options, onConflict, comparesContents } };
    const seen = new Set<string>();
    const run: Run = {
      random,
      remote,
      context,
      hit: (cell) => seen.add(cell),
      faultsLeft: random.below(interference === "rows lost there" ? 24 : 6),
    };
    const title = `round ${round} of ${JSON.stringify({ ...options, interference })}`;
    const cell = `${options.kind} ${interference}`;
    let cursor = firstCursor;
    const refuse = (command: Command["kind"], code: FaultCode): void => {
      remote.refuses = { command, code };
    };
    switch (interference) {
      case "foreign sequence":
      case "foreign sequence, extended":
      case "foreign topic being recorded": {
        coverage.hit(cell);
        const isOpen = interference === "foreign topic being recorded";
        const index = isOpen ? random.below(facts.topics.length) : 99;
        const topics = new Map([[index, { uuid: "foreign" as Uuid, rows: [7], locked: !isOpen, lostRows: 0 }]]);
        remote.sequence = {
          isOurs: false,
          isAlike: random.chance(0.5),
          sessions: [{ uuid: "foreign" as Uuid, finalized: !isOpen, topics }],
        };
        break;
      }
      case "upload refused":
        coverage.hit(cell);
        // For what it is, or as if something else had happened to the topic, again and again.
        refuse("put", random.pick(["invalid", "wrong_state"]));
        break;
      case "finalize refused":
        coverage.hit(cell);
        refuse("finalize", "wrong_state");
        break;
      case "there already, in a sequence of another UUID": {
        coverage.hit(cell);
        const whole = { locked: true, lostRows: 0 } as const;
        const topics = new Map(
          facts.topics.map(({ uuid, rows }, index) => [index, { ...whole, uuid, rows: [...Array(rows).keys()] }]),
        );
        remote.sequence = {
          isOurs: false,
          isAlike: true,
          sessions: [{ uuid: facts.session, finalized: true, topics }],
        };
        break;
      }
      default: {
        // In the middle of it.
        const before = 1 + random.below(12);
        let steps = 0;
        let happened = false;
        const interfere = remote.run.bind(remote);
        remote.run = (command, rowsMax) => {
          steps += 1;
          const isCompared = command.kind === "compare_topic";
          // What changes after it was compared is not seen.
          if (isCompared && interference === "row changed there") steps = Number.NEGATIVE_INFINITY;
          const isNow = interference === "deleted before it is compared" ? isCompared : steps >= before;
          // Nobody could tell between the two calls.
          const isTooClose = command.kind === "create_session" && interference === "foreign sequence in place of ours";
          if (!happened && isNow && !isTooClose) {
            happened = interfereOnce(remote, interference, isCompared);
            if (happened) coverage.hit(cell);
          }
          return interfere(command, rowsMax);
        };
      }
    }
    cursor = transferTo(run, cursor);
    for (const one of seen) if (one.startsWith("edge delete_session") && /lost$/.test(one)) coverage.hit(one);
    if (isConflict && interference !== "foreign sequence in place of ours")
      expect(cursor.place.kind, title).toBe("parked");
    if (cursor.place.kind === "parked") {
      const { cause } = cursor.place;
      if (cause === "reply_lost") continue;
      coverage.hit(`parked ${cause}`);
      const expected: readonly string[] = isConflict
        ? ["conflict"]
        : interference.endsWith("refused")
          ? ["refused"]
          : ["different"];
      expect(expected, `${title}: ${cursor.place.reason}`).toContain(cause);
      if (cause === "different" && options.mayDelete) {
        // It may have been complete there before anything of it was sent: somebody has to decide.
        expect(cursor.place.reason, title).toMatch(/is not in the session, which is complete there, and stays there$/);
        const [there] = remote.sequence?.sessions ?? [];
        if (interference !== "topic deleted there")
          expect([cell, there?.topics.size], title).toEqual([`edge ${atEdges[0]}`, 0]);
        expect(remote.removeSession(facts.session), title).toBe(true);
      } else if (cause === "different") continue;
      // Somebody mends it.
      remote.refuses = undefined;
      if (cause === "conflict") {
        const [theirs, ...others] = remote.sequence?.sessions ?? [];
        expect([theirs?.uuid, [...(theirs?.topics.values() ?? [])].map(({ rows }) => rows)], title).toEqual([
          "foreign",
          [[7]],
        ]);
        if (interference.startsWith("foreign sequence")) expect(others, title).toEqual([]);
        remote.removeSession("foreign" as Uuid);
        if (interference.startsWith("foreign sequence")) remote.sequence = undefined;
      }
      cursor = transferTo({ ...run, faultsLeft: 0 }, retriedCursor(cursor));
      if (cursor.place.kind === "parked" && cursor.place.cause === "reply_lost") continue;
      coverage.hit("retried");
    }
    expect(cursor.place.kind, title).toBe("synced");
    coverage.hit("synced");
    if (interference === "foreign sequence, extended") {
      const { sessions } = remote.sequence ?? { sessions: [] };
      expect(sessions[0]?.topics.get(99)?.rows, title).toEqual([7]);
      expect(sessions.filter(({ topics }) => topics.size > 0).length, title).toBe(2);
    } else expectOnce(remote, facts, title);
  }
  coverage.check();
});
