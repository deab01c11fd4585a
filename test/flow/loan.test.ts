// Loans: memory for work that pauses. Nobody who merely does not read may keep the others waiting.

import { expect, test, vi } from "vitest";
import { Budget } from "../../src/flow/budget.ts";
import { Loan } from "../../src/flow/loan.ts";
import { Fault } from "../../src/model/fault.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const never = new AbortController().signal;

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
}

/** Lets everything that can go on without the outside go on. */
const settle = (): Promise<void> => turns(8);

/** A loan that counts how often its work was dropped. */
function lend(budget: Budget, leastMs = 0): { loan: Loan; dropped: () => number } {
  let dropped = 0;
  const loan = new Loan(budget, {
    leastMs,
    dropWork: () => {
      dropped += 1;
    },
  });
  return { loan, dropped: () => dropped };
}

test("a paused loan gives its bytes to whoever comes", async () => {
  const budget = new Budget(100);
  const { loan, dropped } = lend(budget);
  await loan.take(80, never);
  loan.pause();
  expect(dropped()).toBe(0);
  using held = await budget.take(50, never);
  expect(held.bytes).toBe(50);
  expect(dropped()).toBe(1);
  expect(budget.use().heldBytes).toBe(50);
});

test("a loan is left to its work for a while, whoever waits and however often it pauses; then it is called back", async () => {
  vi.useFakeTimers();
  try {
    const budget = new Budget(100);
    const { loan, dropped } = lend(budget, 300);
    await loan.take(80, never);
    const waiter = budget.take(50, never);
    for (let elapsedMs = 0; elapsedMs < 290; elapsedMs += 10) {
      loan.pause();
      vi.advanceTimersByTime(10);
      loan.resume();
    }
    expect(dropped()).toBe(0);
    loan.pause();
    expect(dropped()).toBe(0);
    vi.advanceTimersByTime(10);
    expect(dropped()).toBe(1);
    (await waiter)[Symbol.dispose]();
    expect(vi.getTimerCount()).toBe(0);
    loan.resume();
    await loan.take(80, never);
    loan[Symbol.dispose]();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("a loan at work is left alone until its next pause", async () => {
  const budget = new Budget(100);
  const { loan, dropped } = lend(budget);
  await loan.take(80, never);
  let got = false;
  const waiter = budget.take(50, never).then((held) => {
    got = true;
    return held;
  });
  await settle();
  expect([got, dropped()]).toEqual([false, 0]);
  loan.pause();
  using _held = await waiter;
  expect(dropped()).toBe(1);
});

test("a loan that nobody wants outlives its pauses", async () => {
  const budget = new Budget(100);
  const { loan, dropped } = lend(budget);
  await loan.take(80, never);
  for (let round = 0; round < 3; round += 1) {
    loan.pause();
    loan.resume();
  }
  expect(dropped()).toBe(0);
  expect(budget.use().heldBytes).toBe(80);
  loan[Symbol.dispose]();
  expect(budget.use().heldBytes).toBe(0);
});

test("after a resume it is at work again and keeps its bytes", async () => {
  const budget = new Budget(100);
  const { loan, dropped } = lend(budget);
  await loan.take(80, never);
  loan.pause();
  loan.resume();
  const waiter = budget.take(50, never);
  await settle();
  expect(dropped()).toBe(0);
  loan.pause();
  (await waiter)[Symbol.dispose]();
  expect(dropped()).toBe(1);
});

test("a loan granted while others still wait in the queue is called back at its next pause", async () => {
  const budget = new Budget(100);
  const first = await budget.take(100, never);
  const { loan, dropped } = lend(budget);
  const taken = loan.take(80, never);
  // It came while the loan still waited: nothing was lent that could have been asked for.
  let behind = 0;
  const waiter = budget.take(80, never).then((held) => {
    behind = held.bytes;
    return held;
  });
  first[Symbol.dispose]();
  await taken;
  expect([behind, dropped()]).toEqual([0, 0]);
  loan.pause();
  await settle();
  expect([behind, dropped()]).toEqual([80, 1]);
  (await waiter)[Symbol.dispose]();
  expect(budget.use()).toMatchObject({ heldBytes: 0, waiting: 0 });
});

test("work is dropped once, however often it pauses afterwards, and can begin anew", async () => {
  const budget = new Budget(100);
  const { loan, dropped } = lend(budget);
  await loan.take(80, never);
  loan.pause();
  (await budget.take(50, never))[Symbol.dispose]();
  loan.resume();
  loan.pause();
  expect(dropped()).toBe(1);
  loan.resume();
  await loan.take(80, never);
  loan.pause();
  expect(dropped()).toBe(1);
  expect(budget.use().heldBytes).toBe(80);
  (await budget.take(50, never))[Symbol.dispose]();
  expect(dropped()).toBe(2);
});

test("more than the budget ever has is cut to the budget", async () => {
  const budget = new Budget(100);
  const { loan } = lend(budget);
  await loan.take(1_000, never);
  expect(budget.use().heldBytes).toBe(100);
});

test("who is cancelled while waiting holds nothing and can ask again", async () => {
  const budget = new Budget(100);
  const first = await budget.take(100, never);
  const { loan, dropped } = lend(budget);
  const abort = new AbortController();
  const taken = loan.take(80, abort.signal);
  abort.abort(new Fault("cancelled", "The client is gone."));
  await expect(taken).rejects.toMatchObject({ code: "cancelled" });
  first[Symbol.dispose]();
  expect(budget.use()).toMatchObject({ heldBytes: 0, waiting: 0 });
  await loan.take(80, never);
  loan[Symbol.dispose]();
  loan[Symbol.dispose]();
  expect(budget.use().heldBytes).toBe(0);
  expect(dropped()).toBe(0);
});

test("taking twice at once is a bug", async () => {
  const { loan } = lend(new Budget(100));
  await loan.take(10, never);
  await expect(loan.take(10, never)).rejects.toThrow("Assertion failed: a loan is taken once at a time");
});

test("any number of readers gets through a budget for one, whatever clients stop reading", async () => {
  const random = new Random("loan: readers");
  const coverage = new Coverage("loan: rounds", [
    "work begun anew",
    "work kept over a pause",
    "client that never reads again",
    "client that went away while waiting",
  ]);
  for (let round = 0; round < 40; round += 1) {
    const limit = 50 + random.below(200);
    const budget = new Budget(limit);
    const ends: (() => void)[] = [];
    let finished = 0;
    const readers = 2 + random.below(6);
    const run = async (stuck: boolean, leaves: boolean, pauses: number): Promise<void> => {
      const abort = new AbortController();
      if (leaves) void turns(random.below(12)).then(() => abort.abort(new Fault("cancelled", "The client is gone.")));
      let work: object | undefined;
      using loan = new Loan(budget, {
        leastMs: 0,
        dropWork: () => {
          work = undefined;
        },
      });
      for (let pause = 0; pause < pauses; pause += 1) {
        if (work === undefined) {
          if (pause > 0) coverage.hit("work begun anew");
          await loan.take(limit / 2 + random.below(limit), abort.signal);
          work = {};
          await turns(random.below(4));
        } else coverage.hit("work kept over a pause");
        loan.pause();
        if (stuck && pause === 1) {
          coverage.hit("client that never reads again");
          await new Promise<void>((resolve) => ends.push(resolve));
        }
        await turns(random.below(6));
        loan.resume();
      }
      finished += 1;
    };
    const outcomes: Promise<void>[] = [];
    let quick = 0;
    for (let index = 0; index < readers; index += 1) {
      const kind = random.below(4);
      if (kind > 1) quick += 1;
      outcomes.push(run(kind === 0, kind === 1, kind === 0 ? 3 : 1 + random.below(5)));
      await turns(random.below(3));
    }
    await turns(2_000);
    expect(finished, `round ${round}: readers that went on reading, budget ${limit}`).toBeGreaterThanOrEqual(quick);
    for (const end of ends) end();
    for (const outcome of await Promise.allSettled(outcomes)) {
      if (outcome.status === "fulfilled") continue;
      expect(outcome.reason).toMatchObject({ code: "cancelled" });
      coverage.hit("client that went away while waiting");
    }
    expect(budget.use()).toMatchObject({ heldBytes: 0, waiting: 0 });
  }
  coverage.check();
});
