// Leaves of a schema and the columns that a path means.

import { describe, expect, test } from "vitest";
import { leafAt, leavesOf, resolvePath } from "../../src/arrow/leaf.ts";
import type { Field } from "../../src/arrow/schema.ts";
import type { FieldPath, ItemChoice } from "../../src/model/predicate.ts";
import { fieldOf, int, schemaOf } from "./made.ts";

const struct = (name: string, ...children: readonly Field[]): Field => fieldOf(name, { kind: "struct" }, children);
const list = (name: string, item: Field): Field => fieldOf(name, { kind: "list", offsetBits: 32 }, [item]);
const text = (name: string): Field => fieldOf(name, { kind: "utf8", offsetBits: 32 });
const number = (name: string): Field => fieldOf(name, int(32));
const encoded = (field: Field): Field => ({
  ...field,
  dictionary: { id: 1n, indexType: { kind: "int", bits: 8, signed: true }, ordered: false },
});

const leavesIn = (...fields: readonly Field[]): string[] =>
  leavesOf(schemaOf(...fields)).list.map(({ path, kind, chain }) => `${path} ${kind} ${chain.join(".")}`);

describe("leaves", () => {
  test("are in schema order, structs opened, lists before their items", () => {
    expect(
      leavesIn(
        number("n"),
        struct("a", text("b"), struct("c", fieldOf("d", { kind: "bool" })), struct("empty")),
        list("ranges", number("item")),
        list("points", struct("item", number("x"), list("y", text("item")))),
        list("matrix", list("item", number("item"))),
      ),
    ).toEqual([
      "n number 0",
      "a.b text 1.0",
      "a.c.d boolean 1.1.0",
      "ranges unordered 2",
      "ranges[] number 2.0",
      "points unordered 3",
      "points[].x number 3.0.0",
      "points[].y unordered 3.0.1",
      "points[].y[] text 3.0.1.0",
      "matrix unordered 4",
      "matrix[] unordered 4.0",
      "matrix[][] number 4.0.0",
    ]);
  });

  test.each<[string, Field["type"], readonly Field[], string[]]>([
    ["fixed lists", { kind: "fixedList", size: 3 }, [number("item")], ["a unordered 0", "a[] number 0.0"]],
    ["list views", { kind: "listView", offsetBits: 64 }, [number("item")], ["a unordered 0", "a[] number 0.0"]],
    ["large lists", { kind: "list", offsetBits: 64 }, [number("item")], ["a unordered 0", "a[] number 0.0"]],
    ["maps", { kind: "map", offsetBits: 32, keysSorted: false }, [struct("entries", text("key"))], ["a unordered 0"]],
    ["unions", { kind: "union", mode: "dense", typeIds: [0] }, [number("x")], ["a unordered 0"]],
    ["run-end encoding", { kind: "runEnd" }, [number("ends"), number("values")], ["a unordered 0"]],
    ["binary", { kind: "binary", offsetBits: 32 }, [], ["a unordered 0"]],
    ["decimals", { kind: "decimal", bits: 128, precision: 38, scale: 2 }, [], ["a unordered 0"]],
    ["intervals", { kind: "interval", bits: 64, unit: 1 }, [], ["a unordered 0"]],
    ["nothing but nulls", { kind: "null" }, [], ["a unordered 0"]],
    ["halves", { kind: "float", bits: 16 }, [], ["a number 0"]],
    ["times", { kind: "timestamp", bits: 64, unit: 3, timezone: "UTC" }, [], ["a number 0"]],
    ["views", { kind: "utf8View" }, [], ["a text 0"]],
  ])("%s", (_title, type, children, leaves) => {
    expect(leavesIn(fieldOf("a", type, children))).toEqual(leaves);
  });

  test("what a dictionary holds is not opened", () => {
    expect(leavesIn(encoded(struct("a", number("x"))), encoded(text("b")))).toEqual(["a unordered 0", "b text 1"]);
  });

  test("behind the limit there are none, and a chain finds those that there are", () => {
    const schema = schemaOf(number("a"), struct("s", list("b", number("item")), number("c")), number("d"));
    for (let most = 0; most <= 6; most += 1) {
      const leaves = leavesOf(schema, most);
      expect(leaves.list.map(({ path }) => path)).toEqual(["a", "s.b", "s.b[]", "s.c", "d"].slice(0, most));
      leaves.list.forEach(({ chain }, index) => {
        expect(leafAt(leaves, chain)).toBe(index);
      });
      expect(leafAt(leaves, [1])).toBeUndefined();
      expect(leafAt(leaves, [2])).toBe(most >= 5 ? 4 : undefined);
      expect(leafAt(leaves, [9, 9])).toBeUndefined();
    }
  });
});

describe("paths", () => {
  const schema = schemaOf(
    number("a"),
    number("a.b.c"),
    struct("a.b", number("d"), number("e")),
    struct("a", struct("b", number("c"), number("d"), number("f")), list("g", number("item"))),
    struct("x", number("y")),
    number("x.y"),
    number("q.r"),
    list("q.r", number("item")),
    list("points", struct("item", number("x"), struct("p", number("x")), number("p.x"), number("p.z"))),
    number(""),
    encoded(struct("enum", number("x"))),
  );
  const any: ItemChoice = { kind: "any" };
  const chainOf = (path: FieldPath): string | undefined => {
    const found = resolvePath(schema, path);
    if (found === undefined) return undefined;
    const items = found.items === undefined ? "" : ` > ${found.items.chain.join(".")} ${found.items.field.name}`;
    return `${found.chain.join(".")} ${found.field.name}${items}`;
  };

  test.each<[FieldPath, string | undefined]>([
    [{ field: "a" }, "0 a"],
    [{ field: "a.b.c" }, "1 a.b.c"],
    [{ field: "a.b" }, "2 a.b"],
    [{ field: "a.b.d" }, "2.0 d"],
    [{ field: "a.b.f" }, "3.0.2 f"],
    [{ field: "x.y" }, "4.0 y"],
    [{ field: "q.r" }, "6 q.r"],
    [{ field: "q.r", items: any }, "7 q.r > 0 item"],
    [{ field: "a.g", items: any }, "3.1 g > 0 item"],
    [{ field: "points", items: any }, "8 points > 0 item"],
    [{ field: "points", items: any, itemField: "x" }, "8 points > 0.0 x"],
    [{ field: "points", items: any, itemField: "p.x" }, "8 points > 0.1.0 x"],
    [{ field: "points", items: any, itemField: "p.z" }, "8 points > 0.3 p.z"],
    [{ field: "enum.x" }, "10.0 x"],
    [{ field: "" }, "9 "],
    [{ field: "a.b.c.d" }, undefined],
    [{ field: "a." }, undefined],
    [{ field: "ab" }, undefined],
    [{ field: "points.x" }, undefined],
    [{ field: "points.item" }, undefined],
    [{ field: "x", items: any }, undefined],
    [{ field: "a.g", items: any, itemField: "item" }, undefined],
    [{ field: "points", items: any, itemField: "w" }, undefined],
  ])("%j means %s", (path, meant) => {
    expect(chainOf(path)).toBe(meant);
  });

  test("names that could be split in very many ways take no time", () => {
    let field = number("a");
    for (let depth = 0; depth < 60; depth += 1) field = struct("a", field, number("a.a"), struct("a.a", number("b")));
    const wide = schemaOf(...Array.from({ length: 200 }, () => field));
    expect(resolvePath(wide, { field: `${"a.".repeat(61)}c` })).toBeUndefined();
  });
});
