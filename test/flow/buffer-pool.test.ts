// The pool gives buffers out again, never one to two at once, and keeps no more than it may.

import { expect, test } from "vitest";
import { BufferPool } from "../../src/flow/buffer-pool.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const KiB = 1024;

test("classes: at least as long as asked for, and from 16 KiB on at most a fifth is wasted", () => {
  let last = 0;
  for (let length = 1; length < 600 * 2 ** 20; length = Math.ceil(length * 1.01)) {
    const size = BufferPool.classBytes(length);
    expect(size).toBeGreaterThanOrEqual(length);
    expect(size).toBeGreaterThanOrEqual(last);
    expect(BufferPool.classBytes(size)).toBe(size);
    if (length > 16 * KiB) expect((size - length) / size).toBeLessThanOrEqual(0.2);
    last = size;
  }
});

test.each([
  [0, 4 * KiB],
  [1, 4 * KiB],
  [4 * KiB, 4 * KiB],
  [4 * KiB + 1, 8 * KiB],
  [16 * KiB, 16 * KiB],
  [16 * KiB + 1, 20 * KiB],
  [2 ** 24, 2 ** 24],
  [2 ** 24 + 5, 2 ** 24 + 2 ** 22],
])("%i bytes lie in a class of %i", (length, size) => {
  expect(BufferPool.classBytes(length)).toBe(size);
  expect(new BufferPool(0).lease(length).bytes.byteLength).toBe(size);
});

test("what was given back is given out again, to one at a time", () => {
  const pool = new BufferPool(64 * KiB);
  const first = pool.lease(5 * KiB);
  first[Symbol.dispose]();
  const second = pool.lease(7 * KiB);
  expect(second.bytes).toBe(first.bytes);
  expect(pool.lease(7 * KiB).bytes).not.toBe(second.bytes);
});

test("giving back twice does not put a buffer into the pool twice", () => {
  const pool = new BufferPool(64 * KiB);
  const lease = pool.lease(4 * KiB);
  lease[Symbol.dispose]();
  lease[Symbol.dispose]();
  expect(pool.lease(4 * KiB).bytes).not.toBe(pool.lease(4 * KiB).bytes);
});

test("each buffer has memory of its own", () => {
  const { bytes } = new BufferPool(64 * KiB).lease(4 * KiB);
  expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
});

test("a pool that may keep nothing keeps nothing", () => {
  const pool = new BufferPool(0);
  const lease = pool.lease(4 * KiB);
  lease[Symbol.dispose]();
  expect(pool.lease(4 * KiB).bytes).not.toBe(lease.bytes);
});

test("when it is full, the largest buffer goes first", () => {
  const pool = new BufferPool(24 * KiB);
  const large = pool.lease(16 * KiB);
  const small = [pool.lease(4 * KiB), pool.lease(4 * KiB), pool.lease(4 * KiB)];
  large[Symbol.dispose]();
  for (const lease of small) lease[Symbol.dispose]();
  expect(pool.lease(16 * KiB).bytes).not.toBe(large.bytes);
  const again = small.map(() => pool.lease(4 * KiB).bytes);
  expect(new Set(again)).toEqual(new Set(small.map(({ bytes }) => bytes)));
});

test("a buffer that is larger than all that may be kept drives nothing out", () => {
  const pool = new BufferPool(24 * KiB);
  const small = pool.lease(16 * KiB);
  const large = pool.lease(32 * KiB);
  small[Symbol.dispose]();
  large[Symbol.dispose]();
  expect(pool.lease(16 * KiB).bytes).toBe(small.bytes);
});

test("a random schedule never hands a buffer to two, and never keeps more than it may", () => {
  const random = new Random("pool: random schedule");
  const coverage = new Coverage("pool: leases", ["new", "given out again", "kept no longer"]);
  const keptBytesMax = 200 * KiB;
  const pool = new BufferPool(keptBytesMax);
  const out = new Map<Uint8Array, Disposable>();
  const idle = new Set<Uint8Array>();
  const known = new Set<Uint8Array>();
  for (let step = 0; step < 5_000; step += 1) {
    if (out.size > 20 || (out.size > 0 && random.chance(0.48))) {
      const [bytes, lease] = random.pick([...out]);
      out.delete(bytes);
      idle.add(bytes);
      lease[Symbol.dispose]();
      continue;
    }
    const length = random.below(60 * KiB);
    const lease = pool.lease(length);
    expect(lease.bytes.byteLength).toBe(BufferPool.classBytes(length));
    expect(out.has(lease.bytes)).toBe(false);
    coverage.hit(known.has(lease.bytes) ? "given out again" : "new");
    known.add(lease.bytes);
    idle.delete(lease.bytes);
    out.set(lease.bytes, lease);
  }
  // What the pool still has comes out again; the rest it has let go.
  let kept = 0;
  for (const lease of out.values()) lease[Symbol.dispose]();
  for (const bytes of out.keys()) idle.add(bytes);
  for (const size of new Set([...idle].map(({ byteLength }) => byteLength))) {
    for (let bytes = pool.lease(size).bytes; idle.delete(bytes); bytes = pool.lease(size).bytes) kept += size;
  }
  for (const _gone of idle) coverage.hit("kept no longer");
  expect(kept).toBeLessThanOrEqual(keptBytesMax);
  expect(kept).toBeGreaterThan(keptBytesMax / 2);
  coverage.check();
});
