// Faults as gRPC statuses: the numbers of the specification, words for the caller.

import { describe, expect, test } from "vitest";
import { Fault, type FaultCode, faultCodes } from "../../src/model/fault.ts";
import { encodeStatusMessage, faultCodeOf, okStatus, toStatus } from "../../src/wire/grpc-status.ts";

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

test("a status of a server that we call means the same as when we answer it; what is none of ours means trouble there", () => {
  for (const code of faultCodes) expect(faultCodeOf(toStatus(new Fault(code, "x")).code)).toBe(code);
  const others: readonly (readonly [number, string])[] = [
    [2, "internal"],
    [10, "unavailable"],
    [11, "invalid"],
    [99, "internal"],
  ];
  for (const [status, code] of others) expect(faultCodeOf(status), `status ${status}`).toBe(code);
});
