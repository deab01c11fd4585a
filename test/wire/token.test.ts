// Tokens as section 1.4 of the 0.4 protocol has them: grammar, checksum and the texts of the refusals, in their order.

import { expect, test } from "vitest";
import { newApiToken, parseApiToken } from "../../src/wire/token.ts";

// From the protocol: computed by upstream.
const known = [
  ["vrfeceju4lqivysxgaseefa3tsxs0vrl", "1b676530"],
  ["58qb7dssul32r1bewpziy3rfjuewd0a3", "c5505db6"],
  ["s3l8gcdwuadege3pkhou0k0n2t5omfij", "f9010b9e"],
] as const;
const [[payload, fingerprint]] = known;

test.each(known)("msco_%s_%s is a token", (good, crc) => {
  expect(parseApiToken(`msco_${good}_${crc}`)).toEqual({ text: `msco_${good}_${crc}`, fingerprint: crc });
});

test("a checksum with leading zeros has them", () => {
  // The first payload of this form whose CRC-32 begins with a zero digit.
  expect(parseApiToken("msco_00000000000000000000000000000023_0bcda1e8").fingerprint).toMatch(/^0/);
});

test("new tokens are well formed, fresh, and use the whole alphabet", () => {
  const texts = Array.from({ length: 500 }, () => newApiToken());
  for (const token of texts) {
    expect(token.text).toMatch(/^msco_[0-9a-z]{32}_[0-9a-f]{8}$/);
    expect(parseApiToken(token.text)).toEqual(token);
  }
  expect(new Set(texts.map(({ text }) => text)).size).toBe(500);
  expect(new Set(texts.flatMap(({ text }) => [...text.slice(5, 37)])).size).toBe(36);
});

test.each([
  ["", "the token is incomplete"],
  ["msco", "the token is incomplete"],
  [`msco_${payload}`, "the token is incomplete"],
  [`msco_${payload}_${fingerprint}_`, "the token is incomplete"],
  [`msc_${payload}_${fingerprint}`, "bad header"],
  [`MSCO_${payload}_${fingerprint}`, "bad header"],
  [` msco_${payload}_${fingerprint}`, "bad header"],
  [`msco_${payload.slice(1)}_${fingerprint}`, "bad payload"],
  [`msco_${payload}a_${fingerprint}`, "bad payload"],
  [`msco_${payload.toUpperCase()}_${fingerprint}`, "bad payload"],
  [`msco_${payload.slice(1)}-_${fingerprint}`, "bad payload"],
  [`msco_${payload.slice(1)}ü_${fingerprint}`, "bad payload"],
  ["msco__", "bad payload"],
  [`msco_${payload}_`, "bad fingerprint"],
  [`msco_${payload}_${fingerprint}0`, "bad fingerprint"],
  [`msco_${payload}_${fingerprint.toUpperCase()}`, "bad fingerprint"],
  [`msco_${payload}_${fingerprint}\n`, "bad fingerprint"],
  [`msco_${payload}_00000000`, "fingerprint mismatch"],
  [`msco_${payload}_zzzzzzzz`, "fingerprint mismatch"],
])("%j: %s", (text, reason) => {
  expect(() => parseApiToken(text)).toThrow(
    expect.objectContaining({ code: "invalid", message: `Bad request: ${reason}.` }),
  );
});

test("one wrong character of the payload is found wherever it is", () => {
  for (let at = 0; at < payload.length; at += 1) {
    const wrong = `${payload.slice(0, at)}${payload[at] === "0" ? "1" : "0"}${payload.slice(at + 1)}`;
    if (wrong !== payload) expect(() => parseApiToken(`msco_${wrong}_${fingerprint}`)).toThrow("fingerprint mismatch");
  }
});
