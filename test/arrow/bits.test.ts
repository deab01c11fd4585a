// Bits and offsets against plain loops, at every alignment.

import { describe, expect, test } from "vitest";
import { copyBits, countBits, getBit, setBits } from "../../src/arrow/bits.ts";
import { offsetReader, offsetWriter } from "../../src/arrow/offsets.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

test("bits are copied from any place to any place, and counted", () => {
  const random = new Random("bits: copies");
  const coverage = new Coverage("bits: copies", ["both at a byte", "one inside a byte", "none", "with a rest"]);
  const source = random.bytes(16);
  for (let from = 0; from < 17; from += 1) {
    for (let to = 0; to < 17; to += 1) {
      for (const length of [0, 1, 7, 8, 9, 64, 71]) {
        const target = new Uint8Array(16);
        const set = copyBits(source, from, target, to, length);
        const wanted = Array.from({ length: 128 }, (_none, bit) =>
          bit >= to && bit < to + length ? getBit(source, from + bit - to) : 0,
        );
        expect(Array.from({ length: 128 }, (_none, bit) => getBit(target, bit))).toEqual(wanted);
        expect(set).toBe(wanted.reduce((sum, bit) => sum + bit, 0));
        coverage.hit(from % 8 === 0 && to % 8 === 0 ? "both at a byte" : "one inside a byte");
        if (length === 0) coverage.hit("none");
        else if (length % 8 !== 0) coverage.hit("with a rest");
      }
    }
  }
  coverage.check();
});

test("ones are set where they are wanted and nowhere else, and counted where they are asked for", () => {
  const random = new Random("bits: ones");
  const bits = random.bytes(5);
  const mask = random.bytes(5);
  const onesOf = (start: number, end: number, test: (bit: number) => boolean): number =>
    Array.from({ length: 40 }, (_none, bit) => bit).filter((bit) => bit >= start && bit < end && test(bit)).length;
  for (let start = 0; start <= 40; start += 1) {
    for (let end = start; end <= 40; end += 1) {
      const target = new Uint8Array(5);
      setBits(target, start, end - start);
      for (let bit = 0; bit < 40; bit += 1) expect(getBit(target, bit)).toBe(bit >= start && bit < end ? 1 : 0);
      expect(countBits(bits, start, end)).toBe(onesOf(start, end, (bit) => getBit(bits, bit) === 1));
      const common = onesOf(start, end, (bit) => getBit(bits, bit) === 1 && getBit(mask, bit) === 1);
      expect(countBits(bits, start, end, mask)).toBe(common);
    }
  }
});

describe.each([32, 64] as const)("offsets of %i bits", (bits) => {
  const values = [0, 1, 255, 2 ** 31 - 1, ...(bits === 64 ? [2 ** 31, 2 ** 32, 2 ** 32 + 7, 2 ** 53 - 1] : [])];

  test("come back", () => {
    const writer = offsetWriter(values.length, bits);
    values.forEach((value, index) => {
      writer.write(index, value, "a");
    });
    const read = offsetReader(writer.bytes, bits);
    expect(values.map((_value, index) => read(index))).toEqual(values);
    expect(writer.bytes.byteLength).toBe((values.length * bits) / 8);
  });

  test("behind the end of their buffer are none", () => {
    const read = offsetReader(new Uint8Array(2 * (bits / 8) - 1), bits);
    expect(read(0)).toBe(0);
    expect(read(1)).toBeNaN();
    expect(read(2 ** 30)).toBeNaN();
  });

  test("that are negative are read as such", () => {
    expect(offsetReader(new Uint8Array(8).fill(255), bits)(0)).toBe(-1);
  });
});

test("an offset that does not fit 32 bits is refused, naming the column", () => {
  expect(() => offsetWriter(1, 32).write(0, 2 ** 31, "a.b")).toThrow(
    expect.objectContaining({
      code: "overloaded",
      message: 'Column "a.b" needs the offset 2147483648, its type ends at 2147483647.',
    }),
  );
});
