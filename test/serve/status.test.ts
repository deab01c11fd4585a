// Faults as gRPC statuses: the numbers of the specification, words for the caller, causes for the log only.

import { describe, expect, test } from "vitest";
import type { Log, LogFields, LogLevel } from "../../src/host/log.ts";
import { Fault, type FaultCode, faultCodes } from "../../src/model/fault.ts";
import { encodeStatusMessage, logFailure, okStatus, toStatus } from "../../src/serve/status.ts";

// https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const numbers: Readonly<Record<FaultCode, number>> = {
  cancelled: 1,
  invalid: 3,
  expired: 4,
  absent: 5,
  exists: 6,
  denied: 7,
  overloaded: 8,
  wrong_state: 9,
  unsupported: 12,
  internal: 13,
  unavailable: 14,
  corrupt: 15,
  unauthenticated: 16,
};

test.each(faultCodes)("a fault %s has its number and its words", (code) => {
  expect(toStatus(new Fault(code, "Words, as they are"))).toEqual({
    code: numbers[code],
    details: "Words, as they are",
  });
});

test.each([new Error("/secret/path"), new TypeError("x is undefined"), "text", undefined, null, { code: 5 }])(
  "%s is a bug: nothing of it reaches the caller",
  (error) => expect(toStatus(error)).toEqual({ code: 13, details: "Internal error." }),
);

test("OK has no words", () => expect(okStatus).toEqual({ code: 0, details: "" }));

describe("the log", () => {
  /** Keeps what is logged. */
  function openKept(): { log: Log; lines: [LogLevel, string, LogFields][] } {
    const lines: [LogLevel, string, LogFields][] = [];
    const keep =
      (level: LogLevel) =>
      (event: string, fields: LogFields = {}): void => {
        lines.push([level, event, fields]);
      };
    return {
      log: { debug: keep("debug"), info: keep("info"), warning: keep("warning"), error: keep("error") },
      lines,
    };
  }
  const where = { call: "DoGet", peer: "127.0.0.1:5" };

  test("a refusal is one line of information", () => {
    const { log, lines } = openKept();
    expect(logFailure(log, where, new Fault("absent", "There is none."))).toEqual({
      code: 5,
      details: "There is none.",
    });
    expect(lines).toEqual([["info", "call_refused", { ...where, status: 5, details: "There is none." }]]);
  });

  test("a client that went away is no failure", () => {
    const { log, lines } = openKept();
    expect(logFailure(log, where, new Fault("cancelled", "Gone.")).code).toBe(1);
    expect(lines).toEqual([]);
  });

  test.each([new Error("cause"), new Fault("internal", "A bug.")])(
    "%s is one line of error with its cause",
    (error) => {
      const { log, lines } = openKept();
      expect(logFailure(log, where, error).code).toBe(13);
      expect(lines).toMatchObject([["error", "call_failed", { ...where, status: 13, cause: error }]]);
    },
  );
});

describe("grpc-message", () => {
  test.each([
    ["plain text, 100", "plain text, 100"],
    ["100 %", "100 %25"],
    ["~ }", "~ }"],
    ["a\nb\tc", "a%0Ab%09c"],
    ["Zürich 東", "Z%C3%BCrich %E6%9D%B1"],
    ["🚗", "%F0%9F%9A%97"],
    ["\u007f\u0000", "%7F%00"],
    ["", ""],
  ])("%j is sent as %j", (text, encoded) => {
    expect(encodeStatusMessage(text)).toBe(encoded);
    expect(decodeURIComponent(encoded)).toBe(text);
  });

  test("half of a surrogate pair does no harm", () => expect(encodeStatusMessage("\ud800")).toBe("%EF%BF%BD"));
});
