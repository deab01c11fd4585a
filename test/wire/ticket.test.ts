// Tickets: whatever window was asked for comes back, and bytes that are no ticket of ours are refused.

import { describe, expect, test } from "vitest";
import { parseTopicLocator } from "../../src/model/locator.ts";
import { everything, timeNsMax, timeNsMin } from "../../src/model/time.ts";
import { readTicket, writeTicket } from "../../src/wire/ticket.ts";

const topic = parseTopicLocator("drive-07/front/imu");
const encoded = (text: string): Uint8Array => new TextEncoder().encode(text);

test.each([
  [everything],
  [{ startNs: 0n, endNs: 1n }],
  [{ startNs: 1_700_000_000_123_456_789n, endNs: 1_700_000_000_123_456_790n }],
  [{ startNs: timeNsMin, endNs: 5n }],
  [{ startNs: 5n, endNs: timeNsMax }],
  [{ startNs: timeNsMin, endNs: timeNsMax }],
  [{ startNs: 9n, endNs: -9n }],
])("%o", (window) => expect(readTicket(writeTicket({ topic, window }))).toEqual({ topic, window }));

test("without a window a ticket names the topic alone, so that it reads as it always will", () => {
  expect(Buffer.from(writeTicket({ topic, window: everything })).toString()).toBe('{"topic":"drive-07/front/imu"}');
  expect(Buffer.from(writeTicket({ topic, window: { startNs: -1n, endNs: 2n ** 60n } })).toString()).toBe(
    '{"topic":"drive-07/front/imu","start_ns":-1,"end_ns":1152921504606846976}',
  );
});

test("one bound may be missing", () => {
  expect(readTicket(encoded('{"topic":"s/t","end_ns":7}')).window).toEqual({ startNs: timeNsMin, endNs: 7n });
  expect(readTicket(encoded('{"topic":"s/t","start_ns":7}')).window).toEqual({ startNs: 7n, endNs: timeNsMax });
});

describe("what is no ticket", () => {
  test.each([
    ["no bytes", "", "the ticket is not JSON"],
    ["no JSON", "seq1/imu", "the ticket is not JSON"],
    ["no object", '"s/t"', "the ticket: "],
    ["no topic", "{}", "topic: "],
    ["a sequence", '{"topic":"s"}', "names a sequence, expected a topic"],
    ["a session", '{"topic":"s:1"}', "names a session, expected a topic"],
    ["a bad name", '{"topic":"s/%"}', "Locator contains unsupported characters"],
    ["a fraction", '{"topic":"s/t","start_ns":1.5}', "start_ns: expected an int64, found the number 1.5"],
    ["a time beyond int64", '{"topic":"s/t","end_ns":9223372036854775808}', "end_ns: expected an int64"],
    ["a text for a time", '{"topic":"s/t","end_ns":"1"}', 'end_ns: expected an int64, found the string "1"'],
  ])("%s", (_title, text, reason) => {
    expect(() => readTicket(encoded(text))).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining(reason) }),
    );
  });

  test("a ticket of the central daemon", () => {
    const bincode = Uint8Array.from(Buffer.from("08736571312f696d7501fbd00701fba00f", "hex"));
    expect(() => readTicket(bincode)).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: "Bad request: a ticket of 17 bytes is not from this server.",
      }),
    );
  });
});
