// Headers of archives against the system's tar, and sizes to where no disk goes.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { sizeInTarHeader, tarHeader, tarPadding } from "../../src/bundle/tar-header.ts";
import { changedHeader } from "./archive.ts";
import { Place } from "./stores.ts";

const place = new Place("tar");
afterAll(() => place[Symbol.dispose]());

const sizes = [
  0,
  1,
  511,
  512,
  513,
  2 ** 32 - 1,
  2 ** 32,
  8 ** 11 - 1,
  8 ** 11,
  8 ** 11 + 1,
  2 ** 40,
  Number.MAX_SAFE_INTEGER,
];

describe("a size", () => {
  test.each(sizes)("of %d bytes is read back", (bytes) => {
    expect(sizeInTarHeader(tarHeader("sequences/x.json", bytes))).toBe(bytes);
  });

  test.each(sizes.filter((bytes) => bytes > 0 && bytes < 2 ** 41))("of %d bytes is what tar reads", (bytes) => {
    const file = place.path("one.tar");
    writeFileSync(file, tarHeader("sequences/x.json", bytes));
    let listed: string;
    try {
      listed = execFileSync("tar", ["-tvf", file], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    } catch (error) {
      // The bytes themselves are not there.
      listed = String((error as { stdout: unknown }).stdout);
    }
    expect(listed).toMatch(new RegExp(`^-rw-r--r-- 0/0 +${bytes} .*sequences/x.json`));
  });

  test.each(["7777777777x\0", "           \0", "-0000000001\0", "000000000018", "0x1\0\0\0\0\0\0\0\0\0"])(
    "is not %j",
    (text) => {
      const header = changedHeader(tarHeader("x", 1), (bytes) => void bytes.write(text, 124, "latin1"));
      expect(sizeInTarHeader(header)).toBeUndefined();
    },
  );

  test("is not beyond what numbers hold", () => {
    const header = tarHeader("x", 8 ** 11);
    header.writeBigUInt64BE(2n ** 60n, 128);
    expect(sizeInTarHeader(header)).toBeUndefined();
  });
});

test("it is as GNU tar writes it, where that was told to leave out what changes", () => {
  const folder = place.path("given");
  mkdirSync(path.join(folder, "sequences"), { recursive: true });
  const content = Buffer.from("some bytes");
  writeFileSync(path.join(folder, "sequences/x.json"), content);
  const file = place.path("given.tar");
  const options = ["--format=ustar", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=0644"];
  execFileSync("tar", [...options, "-cf", file, "-C", folder, "sequences/x.json"]);
  const theirs = readFileSync(file).subarray(0, 512);
  const ours = tarHeader("sequences/x.json", content.byteLength);
  // GNU tar writes device numbers, which regular files have not, as zeros in octal.
  const alike = changedHeader(ours, (bytes) => {
    bytes.write("0000000\0", 329, "latin1");
    bytes.write("0000000\0", 337, "latin1");
  });
  expect(alike.equals(theirs)).toBe(true);
});

test.each([
  [0, 0],
  [1, 511],
  [511, 1],
  [512, 0],
  [513, 511],
])("behind %d bytes come %d", (bytes, padding) => expect(tarPadding(bytes)).toBe(padding));
