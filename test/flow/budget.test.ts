// The budget against a plain queue: who asked first is served first, and no schedule gets more than the limit.

import { describe, expect, test } from "vitest";
import { Budget, type Held } from "../../src/flow/budget.ts";
import { Fault } from "../../src/model/fault.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const never = new AbortController().signal;

/** Lets everything that can go on without the outside go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
}

/** A request and what has become of it so far. */
interface Asked {
  readonly bytes: number;
  readonly abort: AbortController;
  readonly isLoan: boolean;
  wantedCount: number;
  held?: Held;
  error?: unknown;
}

function ask(budget: Budget, bytes: number, kind: "own" | "loan" = "own"): Asked {
  const asked: Asked = { bytes, abort: new AbortController(), isLoan: kind === "loan", wantedCount: 0 };
  const wanted = (): void => {
    asked.wantedCount += 1;
  };
  budget.take(bytes, asked.abort.signal, asked.isLoan ? wanted : undefined).then(
    (held) => {
      asked.held = held;
    },
    (error: unknown) => {
      asked.error = error;
    },
  );
  return asked;
}

describe("taking", () => {
  test("what is free is given at once and comes back by scope", async () => {
    const budget = new Budget(100);
    {
      using held = await budget.take(60, never);
      expect(held.bytes).toBe(60);
      expect(budget.use()).toEqual({ limitBytes: 100, heldBytes: 60, waiting: 0, waitsTotal: 0 });
      expect(budget.freeBytes).toBe(40);
    }
    expect(budget.freeBytes).toBe(100);
  });

  test("the whole limit can be taken, one byte more never", async () => {
    const budget = new Budget(100);
    using _held = await budget.take(100, never);
    await expect(budget.take(101, never)).rejects.toMatchObject({
      code: "overloaded",
      message: "Cannot take 101 bytes: the memory budget is 100",
    });
    expect(budget.use().waiting).toBe(0);
  });

  test("giving back twice counts once", async () => {
    const budget = new Budget(100);
    const held = await budget.take(60, never);
    using _other = await budget.take(40, never);
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    expect(budget.freeBytes).toBe(60);
  });

  test("a small request does not overtake a large one that waits", async () => {
    const budget = new Budget(100);
    const first = await budget.take(60, never);
    const large = ask(budget, 80);
    const small = ask(budget, 10);
    expect(budget.tryTake(10)).toBeUndefined();
    await settle();
    expect([large.held, small.held]).toEqual([undefined, undefined]);
    first[Symbol.dispose]();
    await settle();
    expect([large.held?.bytes, small.held?.bytes]).toEqual([80, 10]);
    expect(budget.use()).toEqual({ limitBytes: 100, heldBytes: 90, waiting: 0, waitsTotal: 2 });
  });

  test("a budget of nothing is a bug", () => {
    expect(() => new Budget(0)).toThrow("Assertion failed: a budget has bytes");
  });
});

describe("aborting", () => {
  test("a signal that has fired takes nothing, though there is enough", async () => {
    const budget = new Budget(100);
    await expect(
      budget.take(10, AbortSignal.abort(new Fault("cancelled", "The client is gone."))),
    ).rejects.toMatchObject({ code: "cancelled" });
    expect(budget.freeBytes).toBe(100);
  });

  test("who gives up waiting makes way for those behind", async () => {
    const budget = new Budget(100);
    using _first = await budget.take(60, never);
    const large = ask(budget, 80);
    const small = ask(budget, 40);
    large.abort.abort(new Fault("cancelled", "The client is gone."));
    await settle();
    expect(large.error).toMatchObject({ code: "cancelled", message: "The client is gone." });
    expect(small.held?.bytes).toBe(40);
    expect(budget.freeBytes).toBe(0);
  });

  test("a signal that fires after the grant changes nothing", async () => {
    const budget = new Budget(100);
    const first = await budget.take(60, never);
    const second = ask(budget, 80);
    first[Symbol.dispose]();
    second.abort.abort(new Fault("cancelled", "The client is gone."));
    await settle();
    expect(second.held?.bytes).toBe(80);
    expect(second.error).toBeUndefined();
    expect(budget.use().heldBytes).toBe(80);
  });

  test("no listener stays on a signal that is used again and again", async () => {
    const budget = new Budget(100);
    const { signal } = new AbortController();
    let listeners = 0;
    const counting = new Proxy(signal, {
      get(target, name) {
        if (name === "addEventListener") listeners += 1;
        if (name === "removeEventListener") listeners -= 1;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    for (let round = 0; round < 20; round += 1) {
      const first = await budget.take(100, counting);
      const second = budget.take(100, counting);
      first[Symbol.dispose]();
      (await second)[Symbol.dispose]();
    }
    expect(listeners).toBe(0);
  });
});

describe("lending", () => {
  test("what was lent is asked for when somebody has to wait, and not before", async () => {
    const budget = new Budget(100);
    let asked = 0;
    const lent = await budget.take(60, never, () => {
      asked += 1;
    });
    using _small = await budget.take(40, never);
    expect(asked).toBe(0);
    const waiter = ask(budget, 50);
    expect(asked).toBe(1);
    lent[Symbol.dispose]();
    await settle();
    expect(waiter.held?.bytes).toBe(50);
  });

  test("the oldest loan goes first, and no more than is needed", async () => {
    const budget = new Budget(90);
    const order: string[] = [];
    const lend = async (name: string): Promise<void> => {
      const held = await budget.take(30, never, () => {
        order.push(name);
        held[Symbol.dispose]();
      });
    };
    await lend("a");
    await lend("b");
    await lend("c");
    const waiter = ask(budget, 50);
    await settle();
    expect(order).toEqual(["a", "b"]);
    expect(waiter.held?.bytes).toBe(50);
    expect(budget.use().heldBytes).toBe(80);
  });

  test("a loan that has been given back is not asked for", async () => {
    const budget = new Budget(100);
    let asked = 0;
    const lent = await budget.take(60, never, () => {
      asked += 1;
    });
    lent[Symbol.dispose]();
    using _all = await budget.take(100, never);
    ask(budget, 1);
    expect(asked).toBe(0);
  });

  test("a loan granted while others wait behind it is asked for at once", async () => {
    const budget = new Budget(100);
    const first = await budget.take(100, never);
    const loan = ask(budget, 60, "loan");
    const behind = ask(budget, 60);
    first[Symbol.dispose]();
    expect(loan.wantedCount).toBe(1);
    await settle();
    expect([loan.held?.bytes, behind.held]).toEqual([60, undefined]);
    loan.held?.[Symbol.dispose]();
    await settle();
    expect(behind.held?.bytes).toBe(60);
  });

  test("a loan granted while nobody waits is not asked for", async () => {
    const budget = new Budget(100);
    const first = await budget.take(100, never);
    const loan = ask(budget, 60, "loan");
    first[Symbol.dispose]();
    await settle();
    expect(loan.held?.bytes).toBe(60);
    expect(loan.wantedCount).toBe(0);
  });
});

test("a random schedule never exceeds the limit, serves in order and leaves nothing behind", async () => {
  const random = new Random("budget: random schedule");
  const coverage = new Coverage("budget: steps", [
    "given at once",
    "given after a wait",
    "several given by one return",
    "aborted while waiting",
    "abort lets others go on",
    "abort of the second in line",
    "tried in vain behind a waiter",
    "tried with success",
    "beyond the limit",
    "lent and asked for",
  ]);
  for (let round = 0; round < 60; round += 1) {
    const limit = 1 + random.below(200);
    const budget = new Budget(limit);
    // What a plain queue would do.
    const holding = new Set<Asked>();
    let waiting: Asked[] = [];
    const heldBytes = (): number => [...holding].reduce((sum, { bytes }) => sum + bytes, 0);
    const serve = (): number => {
      let served = 0;
      for (let next = waiting[0]; next !== undefined && heldBytes() + next.bytes <= limit; next = waiting[0]) {
        waiting = waiting.slice(1);
        holding.add(next);
        served += 1;
      }
      return served;
    };
    let waits = 0;
    for (let step = 0; step < 80; step += 1) {
      const choice = random.below(10);
      if (choice < 4) {
        const bytes = random.below(limit + 2);
        const before = waiting.length;
        const asked = ask(budget, bytes, random.chance(0.5) ? "loan" : "own");
        if (bytes > limit) coverage.hit("beyond the limit");
        else {
          waiting.push(asked);
          if (before === 0 && serve() === 1) coverage.hit("given at once");
          else waits += 1;
        }
        await settle();
        if (bytes > limit) expect(asked.error).toMatchObject({ code: "overloaded" });
      } else if (choice < 7 && holding.size > 0) {
        const asked = random.pick([...holding]);
        holding.delete(asked);
        const served = serve();
        if (served > 0) coverage.hit("given after a wait");
        if (served > 1) coverage.hit("several given by one return");
        asked.held?.[Symbol.dispose]();
      } else if (choice < 9 && waiting.length > 0) {
        const index = random.below(waiting.length);
        const [asked] = waiting.splice(index, 1);
        if (index === 1) coverage.hit("abort of the second in line");
        if (serve() > 0) coverage.hit("abort lets others go on");
        asked?.abort.abort(new Fault("cancelled", "The client is gone."));
        await settle();
        expect(asked?.error).toMatchObject({ code: "cancelled" });
        coverage.hit("aborted while waiting");
      } else if (choice === 9) {
        const bytes = 1 + random.below(limit);
        const expected = waiting.length === 0 && heldBytes() + bytes <= limit;
        const held = budget.tryTake(bytes);
        expect(held !== undefined).toBe(expected);
        if (held !== undefined) {
          coverage.hit("tried with success");
          held[Symbol.dispose]();
        } else if (heldBytes() + bytes <= limit) coverage.hit("tried in vain behind a waiter");
      }
      await settle();
      const { heldBytes: found, waiting: queued, waitsTotal } = budget.use();
      expect(found).toBeLessThanOrEqual(limit);
      expect({ found, queued, waitsTotal }).toEqual({ found: heldBytes(), queued: waiting.length, waitsTotal: waits });
      for (const asked of holding) expect(asked.held?.bytes).toBe(asked.bytes);
      for (const asked of waiting) expect(asked.held).toBeUndefined();
      // Nobody waits behind a loan that does not know of it.
      for (const { isLoan, wantedCount } of waiting.length > 0 ? holding : []) {
        if (!isLoan) continue;
        coverage.hit("lent and asked for");
        expect(wantedCount).toBeGreaterThan(0);
      }
    }
    // From the end, so that none of them is served instead.
    for (const asked of waiting.toReversed()) asked.abort.abort(new Fault("cancelled", "The client is gone."));
    for (const asked of holding) asked.held?.[Symbol.dispose]();
    await settle();
    expect(budget.use()).toMatchObject({ heldBytes: 0, waiting: 0 });
  }
  coverage.check();
});
