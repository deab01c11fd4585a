// Permissions: 0.4's nested words and 0.6's free combinations are the same bits.

import { describe, expect, test } from "vitest";
import {
  allows,
  allPermissions,
  type Permission,
  type PermissionBits,
  parsePermissions,
  permissionBit,
  permissionWords,
} from "../../src/model/permission.ts";
import { Coverage } from "./coverage.ts";

const words = Object.keys(permissionBit) as Permission[];

test.each([
  ["read", 1],
  ["write", 3],
  ["delete", 7],
  ["manage", 15],
  [" write ", 3],
])("the word %j alone means itself and what is below", (text, bits) => expect(parsePermissions(text)).toBe(bits));

test.each([
  ["read", 1],
  ["write", 2],
  ["delete", 4],
  ["manage", 8],
])("the word %s alone, exactly", (text, bits) => expect(parsePermissions(text, "exact")).toBe(bits));

test("several words mean exactly these, in any order, and are written back so", () => {
  const coverage = new Coverage("permission: combinations", ["of two", "of three", "of four"]);
  for (let bits = 1; bits <= allPermissions; bits += 1) {
    const chosen = words.filter((word) => (bits & permissionBit[word]) !== 0);
    if (chosen.length < 2) continue;
    expect(parsePermissions(chosen.join("|"))).toBe(bits);
    expect(parsePermissions(chosen.toReversed().join(" | "))).toBe(bits);
    expect(permissionWords(bits as PermissionBits)).toBe(chosen.join("|"));
    coverage.hit(["of two", "of three", "of four"][chosen.length - 2] ?? "");
  }
  coverage.check();
});

test("a key may what its bits say and nothing else", () => {
  for (let bits = 0; bits <= allPermissions; bits += 1) {
    const may = words.filter((word) => allows(bits as PermissionBits, word));
    expect(may.reduce((sum, word) => sum + permissionBit[word], 0)).toBe(bits);
  }
});

describe("no permissions", () => {
  test.each(["", "|", "read|", "|read", "READ", "admin", "read,write", "toString", "constructor", "__proto__", "1"])(
    "%j",
    (text) =>
      expect(() => parsePermissions(text)).toThrow(
        expect.objectContaining({
          code: "invalid",
          message: `Bad request: invalid string to permission cast: ${JSON.stringify(text)}, expected read, write, delete or manage, or several joined by |.`,
        }),
      ),
  );
});
