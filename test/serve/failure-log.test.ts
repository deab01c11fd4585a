// Failed calls in the log: at which level, and how often.

import { describe, expect, test } from "vitest";
import type { Log, LogFields, LogLevel } from "../../src/host/log.ts";
import { Fault } from "../../src/model/fault.ts";
import { refusalIntervalMs, refusalKindsMax } from "../../src/model/limits.ts";
import { FailureLog } from "../../src/serve/failure-log.ts";

/** Keeps what is logged. */
function openKept(): { failures: FailureLog; lines: [LogLevel, string, LogFields][] } {
  const lines: [LogLevel, string, LogFields][] = [];
  const keep =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}): void => {
      lines.push([level, event, fields]);
    };
  const log: Log = { debug: keep("debug"), info: keep("info"), warning: keep("warning"), error: keep("error") };
  return { failures: new FailureLog(log), lines };
}

const where = { call: "DoGet", peer: "127.0.0.1:5" };
const wrongKey = new Fault("unauthenticated", "Wrong key.");

const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
test.each<[string, Fault, number, LogLevel, string]>([
  ["a refusal", new Fault("absent", "w"), 5, "info", "call_refused"],
  ["memory that is used up", new Fault("overloaded", "w"), 8, "info", "call_refused"],
  ["a full disk", new Fault("overloaded", "w", new Fault("overloaded", "x", full)), 8, "warning", "call_refused"],
  ["a full disk at once", new Fault("overloaded", "w", full), 8, "warning", "call_refused"],
  [
    "a full disk, as LMDB says it",
    new Fault("overloaded", "w", Object.assign(new Error("x"), { code: 28 })),
    8,
    "warning",
    "call_refused",
  ],
  ["broken data", new Fault("corrupt", "w"), 15, "error", "call_failed"],
])("%s is one line of its level", (_what, fault, status, level, event) => {
  const { failures, lines } = openKept();
  expect(failures.failed(where, fault, 0)).toEqual({ code: status, details: "w" });
  expect(lines).toEqual([[level, event, { ...where, status, details: "w" }]]);
});

test.each([new Error("cause"), new Fault("internal", "A bug.")])("%s is one line of error with its cause", (error) => {
  const { failures, lines } = openKept();
  expect(failures.failed(where, error, 0).code).toBe(13);
  expect(lines).toMatchObject([["error", "call_failed", { ...where, status: 13, cause: error }]]);
});

test("a client that went away is no failure", () => {
  const { failures, lines } = openKept();
  expect(failures.failed(where, new Fault("cancelled", "Gone."), 0).code).toBe(1);
  expect(lines).toEqual([]);
});

describe("equal refusals", () => {
  const polled = (failures: FailureLog, nowMs: number, port = 5): void =>
    void failures.failed({ call: "DoGet", peer: `127.0.0.1:${port}` }, wrongKey, nowMs);
  const counts = (lines: readonly (readonly [LogLevel, string, LogFields])[]) =>
    lines.map(([, , { peer, repeated }]) => [peer, repeated]);

  test("are one line at once, then one per interval with the number of those left out, the last when the server stops", () => {
    const { failures, lines } = openKept();
    for (const [nowMs, port] of [
      [0, 1],
      [1, 2],
      [refusalIntervalMs - 1, 3],
      [refusalIntervalMs, 4],
      [refusalIntervalMs + 1, 5],
    ] as const)
      polled(failures, nowMs, port);
    expect(counts(lines)).toEqual([
      ["127.0.0.1:1", undefined],
      ["127.0.0.1:4", 2],
    ]);
    failures.close();
    failures.close();
    expect(counts(lines.slice(2))).toEqual([["127.0.0.1:5", undefined]]);
  });

  test("that have ended are told with the next failure of another kind", () => {
    const { failures, lines } = openKept();
    for (let nowMs = 0; nowMs < 3; nowMs += 1) polled(failures, nowMs);
    failures.failed({ call: "DoPut", peer: "[::1]:7" }, wrongKey, refusalIntervalMs);
    expect(counts(lines)).toEqual([
      ["127.0.0.1:5", undefined],
      ["127.0.0.1:5", 1],
      ["[::1]:7", undefined],
    ]);
  });

  test.each([
    ["call", { call: "DoPut", peer: where.peer }, wrongKey],
    ["address", { call: "DoGet", peer: "127.0.0.2:5" }, wrongKey],
    ["status", where, new Fault("absent", "Wrong key.")],
  ])("of another %s are another line", (_what, other, fault) => {
    const { failures, lines } = openKept();
    failures.failed(where, wrongKey, 0);
    failures.failed(other, fault, 0);
    expect(lines).toHaveLength(2);
  });

  test("words of a refusal do not count, those of an error do", () => {
    const { failures, lines } = openKept();
    for (const code of ["absent", "corrupt"] as const)
      for (const words of ["one", "two", "one"]) failures.failed(where, new Fault(code, words), 0);
    expect(lines.map(([, , { details }]) => details)).toEqual(["one", "one", "two"]);
  });

  test("however many kinds there are, few are kept, and each refusal is in a line or counted", () => {
    const { failures, lines } = openKept();
    let calls = 0;
    for (let round = 0; round < 2; round += 1)
      for (let kind = 0; kind <= refusalKindsMax; kind += 1)
        for (let repeat = 0; repeat < 2; repeat += 1) {
          failures.failed({ call: "DoGet", peer: `10.0.${kind >> 8}.${kind & 255}:1` }, wrongKey, 0);
          calls += 1;
        }
    expect(failures.kinds).toBe(refusalKindsMax);
    failures.close();
    expect(failures.kinds).toBe(0);
    expect(lines.reduce((sum, [, , { repeated }]) => sum + 1 + Number(repeated ?? 0), 0)).toBe(calls);
  });
});
