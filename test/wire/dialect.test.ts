// Which shape of session_create a client gets: the rules of shared/protocol/clients.md, section 3.2, over all that can be known.

import { describe, expect, test } from "vitest";
import {
  type ConnectionMarks,
  decideGeneration,
  freshConnection,
  type Generation,
  noteCall,
  noteProof,
  otherGeneration,
  provenGeneration,
  readsSessionLocator,
} from "../../src/wire/dialect.ts";
import { Coverage, combinations } from "../model/coverage.ts";

const memories = [
  undefined,
  { generation: "0.4", legacy: "0.4" },
  { generation: "0.5", legacy: "0.5" },
  { generation: "0.6" },
  { generation: "0.6", legacy: "0.4" },
  { generation: "0.6", legacy: "0.5" },
] as const;

const legacyOf = (memory: (typeof memories)[number]) =>
  memory !== undefined && "legacy" in memory ? memory.legacy : undefined;

const everything = combinations({
  firstCall: [undefined, "list", "version", "info", "other"],
  proof: [undefined, "new", "old", "0.4"],
  key: [undefined, "0.4", "0.5"],
  keyMemory: memories,
  peerMemory: memories,
  legacySdk: [undefined, "0.4", "0.5"],
} as const);

interface Rule {
  readonly name: string;
  applies(row: (typeof everything)[number]): boolean;
  answer(row: (typeof everything)[number]): Generation;
}

/** Listed first, or used what only 0.4 and 0.5 have (mosaico-delta.md, 3.2). */
function isLegacy({ firstCall, proof }: (typeof everything)[number]): boolean {
  return firstCall === "list" || proof === "old";
}

/** The first rule that applies decides. */
const rules: readonly Rule[] = [
  { name: "1 deleted by session_uuid", applies: ({ proof }) => proof === "0.4", answer: () => "0.4" },
  {
    name: "1 probed with info or version",
    applies: ({ firstCall }) => firstCall === "info" || firstCall === "version",
    answer: () => "0.6",
  },
  {
    name: "1 listed first, then proved not to be 0.4",
    applies: ({ proof, firstCall }) => proof === "new" && firstCall === "list",
    answer: () => "0.5",
  },
  { name: "1 proved not to be 0.4", applies: ({ proof }) => proof === "new", answer: () => "0.6" },
  { name: "2 said by the key", applies: ({ key }) => key !== undefined, answer: ({ key }) => key ?? "0.6" },
  {
    name: "3 0.4 or 0.5, memory of the key",
    applies: (row) => isLegacy(row) && legacyOf(row.keyMemory) !== undefined,
    answer: ({ keyMemory }) => legacyOf(keyMemory) ?? "0.6",
  },
  {
    name: "3 listed first with a key that only 0.6 and later have used",
    applies: ({ keyMemory, proof }) => keyMemory !== undefined && legacyOf(keyMemory) === undefined && proof !== "old",
    answer: () => "0.6",
  },
  {
    name: "4 0.4 or 0.5, configured",
    applies: (row) => isLegacy(row) && row.legacySdk !== undefined,
    answer: ({ legacySdk }) => legacySdk ?? "0.6",
  },
  {
    name: "4 0.4 or 0.5, memory of the peer",
    applies: (row) => isLegacy(row) && legacyOf(row.peerMemory) !== undefined,
    answer: ({ peerMemory }) => legacyOf(peerMemory) ?? "0.6",
  },
  { name: "4 0.4 or 0.5, nothing known", applies: isLegacy, answer: () => "0.4" },
  {
    name: "5 reconnected, memory of the key",
    applies: ({ keyMemory }) => keyMemory !== undefined,
    answer: ({ keyMemory }) => keyMemory?.generation ?? "0.6",
  },
  {
    name: "5 reconnected, memory of the peer",
    applies: ({ peerMemory }) => peerMemory !== undefined,
    answer: ({ peerMemory }) => peerMemory?.generation ?? "0.6",
  },
  { name: "5 reconnected, unknown", applies: () => true, answer: () => "0.6" },
];

test("every combination of marks and hints is decided by the first rule that applies", () => {
  const coverage = new Coverage(
    "dialect: rules",
    rules.map(({ name }) => name),
  );
  expect(everything).toHaveLength(5 * 4 * 3 * 6 * 6 * 3);
  for (const row of everything) {
    const { firstCall, proof, ...hints } = row;
    const rule = rules.find((one) => one.applies(row));
    coverage.hit(rule?.name ?? "");
    expect(decideGeneration({ firstCall, proof }, hints), JSON.stringify(row)).toBe(rule?.answer(row));
  }
  coverage.check();
});

test("what the connection alone proves does not depend on hints", () => {
  for (const { firstCall, proof, ...hints } of everything) {
    const proven = provenGeneration({ firstCall, proof });
    if (proven !== undefined) expect(decideGeneration({ firstCall, proof }, hints)).toBe(proven);
  }
});

test("only 0.4 reads an answer without locator; a wrong guess is mended by the other shape", () => {
  expect(readsSessionLocator("0.4")).toBe(false);
  expect(readsSessionLocator("0.5")).toBe(true);
  expect(readsSessionLocator("0.6")).toBe(true);
  for (const generation of ["0.4", "0.5", "0.6"] as const) {
    expect(readsSessionLocator(otherGeneration(generation))).toBe(!readsSessionLocator(generation));
  }
});

describe("marks", () => {
  test("only the first call of a connection is kept", () => {
    let marks = freshConnection;
    for (const call of ["list", "version", "info", "other"] as const) marks = noteCall(marks, call, undefined);
    expect(marks).toEqual({ firstCall: "list", proof: undefined });
  });

  test("a user of 0.4 who calls version() right after connecting is still one who listed first", () => {
    const marks = noteCall(noteCall(freshConnection, "list", undefined), "version", undefined);
    expect(decideGeneration(marks, { legacySdk: "0.4" })).toBe("0.4");
  });

  test.each<[ConnectionMarks["proof"], ConnectionMarks["proof"], ConnectionMarks["proof"]]>([
    [undefined, undefined, undefined],
    [undefined, "old", "old"],
    [undefined, "new", "new"],
    [undefined, "0.4", "0.4"],
    ["old", undefined, "old"],
    ["old", "old", "old"],
    ["old", "new", "new"],
    ["old", "0.4", "0.4"],
    ["new", undefined, "new"],
    ["new", "old", "new"],
    ["new", "new", "new"],
    ["0.4", undefined, "0.4"],
    ["0.4", "old", "0.4"],
    ["0.4", "0.4", "0.4"],
  ])("after %s a proof of %s leaves %s", (before, proof, after) => {
    expect(noteProof({ firstCall: "list", proof: before }, proof)).toEqual({ firstCall: "list", proof: after });
  });

  test("0.5 is recognised by what it does after listing", () => {
    const listed = noteCall(freshConnection, "list", undefined);
    expect(provenGeneration(listed)).toBeUndefined();
    expect(provenGeneration(noteProof(noteProof(listed, "old"), "new"))).toBe("0.5");
    expect(provenGeneration(noteProof(listed, "0.4"))).toBe("0.4");
  });
});
