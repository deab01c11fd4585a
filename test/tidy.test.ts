// Style as a test: what compiler, formatter and linter cannot see. Each check is a pure function of the sources, answers
// findings as `file:line: sentence`, and is first shown a source that breaks it.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = path.resolve(import.meta.dirname, "..");
const linesMax = 500;

/** Imports go to a lower floor or stay in their folder. Files directly in src are the composition root's floor. */
const floorOf: Readonly<Record<string, number>> = {
  model: 0,
  host: 1,
  flow: 1,
  arrow: 1,
  wire: 2,
  store: 2,
  catalog: 2,
  ingest: 3,
  query: 3,
  care: 3,
  client: 3,
  serve: 4,
  sync: 4,
  bundle: 4,
  cli: 5,
  "main.ts": 6,
  "addon.ts": 6,
};

/** Who may import what: a folder of src, or one file of it. Packages that are not listed have no door yet. */
const doorsOf: Readonly<Record<string, readonly string[]>> = {
  lmdb: ["catalog"],
  "@grpc/grpc-js": ["serve", "client"],
  "node:http2": ["serve", "client"],
  "node:fs": ["host", "addon.ts"],
  "node:fs/promises": ["host", "addon.ts"],
  "node:crypto": ["host"],
  uuid: ["host/entropy.ts"],
  ulid: ["host/entropy.ts"],
  zod: ["wire", "cli"],
  commander: ["cli"],
  "smol-toml": ["cli"],
  flatbuffers: ["arrow"],
  "@bufbuild/protobuf": ["wire", "serve", "client"],
};

/** Expressions with one home, by how they are written. */
const homeOf: Readonly<Record<string, string>> = {
  "process.exit": "main.ts",
  "process.abort": "main.ts",
  "Math.random": "host/entropy.ts",
  randomBytes: "host/entropy.ts",
  randomUUID: "host/entropy.ts",
  randomInt: "host/entropy.ts",
  getRandomValues: "host/entropy.ts",
};

const vagueNames: ReadonlySet<string> = new Set([
  "index",
  "utils",
  "util",
  "helpers",
  "helper",
  "common",
  "manager",
  "service",
]);

interface Source {
  /** Below src, with slashes. */
  readonly name: string;
  readonly text: string;
}

interface Import {
  readonly from: string;
  readonly line: number;
}

type Check = (sources: readonly Source[]) => string[];

const importsGoDown: Check = (sources) =>
  sources.flatMap((source) => {
    const floor = floorOf[folderOf(source.name)];
    if (floor === undefined)
      return [finding(source, 1, `${folderOf(source.name)} has no floor; give it one in floorOf`)];
    return importsOf(source).flatMap(({ from, line }) => {
      if (!from.startsWith(".")) return [];
      const target = resolveImport(source.name, from);
      const targetFloor = floorOf[folderOf(target)];
      if (folderOf(target) === folderOf(source.name) || (targetFloor !== undefined && targetFloor < floor)) return [];
      return [finding(source, line, `imports ${target}: imports go down the floors, never up and never to a sibling`)];
    });
  });

const oneDoorPerDependency: Check = (sources) =>
  sources.flatMap((source) =>
    importsOf(source).flatMap(({ from, line }) => {
      if (from.startsWith(".")) return [];
      const name = packageOf(from);
      const doors = doorsOf[name];
      if (doors === undefined)
        return name.startsWith("node:") ? [] : [finding(source, line, `${name} has no door; give it one in doorsOf`)];
      if (doors.some((door) => door === source.name || door === folderOf(source.name))) return [];
      return [finding(source, line, `imports ${name}, which is only for ${doors.join(", ")}`)];
    }),
  );

const everyFileIsImported: Check = (sources) => {
  const imported = new Set(
    sources.flatMap((source) =>
      importsOf(source)
        .filter(({ from }) => from.startsWith("."))
        .map(({ from }) => resolveImport(source.name, from)),
    ),
  );
  return (
    sources
      // Declarations are read by the compiler beside what they declare.
      .filter(({ name }) => !name.endsWith(".d.ts") && name !== "main.ts" && name !== "addon.ts" && !imported.has(name))
      .map((source) => finding(source, 1, "nothing imports this file"))
  );
};

const namesAreNouns: Check = (sources) =>
  sources.flatMap((source) =>
    source.name
      .split("/")
      .map((part) => part.replace(/\..*$/, ""))
      .filter((part) => vagueNames.has(part))
      .map((part) => finding(source, 1, `"${part}" says nothing: name the noun that is in it`)),
  );

const filesAreShort: Check = (sources) =>
  sources.flatMap((source) => {
    const lines = source.text.replace(/\n$/, "").split("\n").length;
    return isGenerated(source.name) || lines <= linesMax
      ? []
      : [finding(source, linesMax + 1, `${lines} lines; at most ${linesMax}`)];
  });

const expressionsHaveOneHome: Check = (sources) =>
  sources.flatMap((source) =>
    namesUsed(source).flatMap(({ from, line }) => {
      const home = Object.hasOwn(homeOf, from) ? homeOf[from] : undefined;
      return home === undefined || home === source.name ? [] : [finding(source, line, `${from} is only for ${home}`)];
    }),
  );

const nothingIsLeftUndone: Check = (sources) =>
  sources.flatMap((source) =>
    source.text.split("\n").flatMap((line, index) => {
      const mark = /\b(TODO|FIXME|XXX)\b|\.only\b(?=\()|\.skip\(/.exec(line);
      return mark === null ? [] : [finding(source, index + 1, `"${mark[0]}" is left here`)];
    }),
  );

/** Of package.json, not of a source. */
function versionsAreExact({ name, text }: Source): string[] {
  const manifest = JSON.parse(text) as Record<string, unknown>;
  const groups = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "overrides"];
  return groups.flatMap((group) =>
    Object.entries((manifest[group] ?? {}) as Record<string, unknown>)
      .filter(([, version]) => typeof version !== "string" || !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      .map(([dependency, version]) => {
        const line = text.split("\n").findIndex((one) => one.includes(`"${dependency}"`)) + 1;
        return `${name}:${line}: ${dependency} at ${JSON.stringify(version)} is not one exact version`;
      }),
  );
}

function finding(source: Source, line: number, sentence: string): string {
  return `src/${source.name}:${line}: ${sentence}`;
}

function folderOf(name: string): string {
  return name.split("/")[0] ?? name;
}

function isGenerated(name: string): boolean {
  return /_pb(\.d)?\.[jt]s$/.test(name);
}

function packageOf(from: string): string {
  if (from.startsWith("node:")) return from;
  return from.split("/", from.startsWith("@") ? 2 : 1).join("/");
}

function resolveImport(importer: string, from: string): string {
  return path.posix.normalize(path.posix.join(path.posix.dirname(importer), from));
}

/** Static, dynamic, type-only and re-exporting imports, as written. */
function importsOf(source: Source): Import[] {
  return ts.preProcessFile(source.text, true, true).importedFiles.map(({ fileName, pos }) => ({
    from: fileName,
    line: source.text.slice(0, pos).split("\n").length,
  }));
}

/** Identifiers, and accesses like `process.exit`, outside comments and strings. */
function namesUsed(source: Source): Import[] {
  const file = ts.createSourceFile(source.name, source.text, ts.ScriptTarget.Latest);
  const names: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) || ts.isIdentifier(node)) {
      const start = node.getStart(file);
      names.push({
        from: source.text.slice(start, node.end),
        line: file.getLineAndCharacterOfPosition(start).line + 1,
      });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return names;
}

function readSources(): Source[] {
  return readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.[jt]s$/.test(name))
    .sort()
    .map((name) => ({ name, text: readFileSync(path.join(root, "src", name), "utf8") }));
}

const bad = (name: string, text: string): Source => ({ name, text });

const checks: readonly { title: string; check: Check; broken: readonly Source[]; found: readonly string[] }[] = [
  {
    title: "imports go down the floors",
    check: importsGoDown,
    broken: [
      bad("wire/shape.ts", 'import { a } from "./token.ts";\nimport type { S } from "../store/layout.ts";\n'),
      bad("model/time.ts", 'export * from "../host/clock.ts";\n'),
      bad("serve/flight.ts", 'const later = () => import("../cli/run.ts");\n'),
      bad("attic/box.ts", ""),
    ],
    found: [
      "src/wire/shape.ts:2: imports store/layout.ts: imports go down the floors, never up and never to a sibling",
      "src/model/time.ts:1: imports host/clock.ts: imports go down the floors, never up and never to a sibling",
      "src/serve/flight.ts:1: imports cli/run.ts: imports go down the floors, never up and never to a sibling",
      "src/attic/box.ts:1: attic has no floor; give it one in floorOf",
    ],
  },
  {
    title: "each dependency has one door",
    check: oneDoorPerDependency,
    broken: [
      bad(
        "store/layout.ts",
        '\nimport { open } from "lmdb";\nimport { readFile } from "node:fs/promises";\nimport { join } from "node:path";\n',
      ),
      bad("host/clock.ts", 'import { v4 } from "uuid";\n'),
      bad("cli/run.ts", 'import pino from "pino/file";\n'),
      bad("addon.ts", 'import { readFileSync } from "node:fs";\n'),
    ],
    found: [
      "src/store/layout.ts:2: imports lmdb, which is only for catalog",
      "src/store/layout.ts:3: imports node:fs/promises, which is only for host, addon.ts",
      "src/host/clock.ts:1: imports uuid, which is only for host/entropy.ts",
      "src/cli/run.ts:1: pino has no door; give it one in doorsOf",
    ],
  },
  {
    title: "every file is imported",
    check: everyFileIsImported,
    broken: [
      bad("main.ts", 'import "./cli/run.ts";\n'),
      bad("cli/run.ts", ""),
      bad("cli/lost.ts", ""),
      bad("arrow/lz4js.d.ts", ""),
    ],
    found: ["src/cli/lost.ts:1: nothing imports this file"],
  },
  {
    title: "names are nouns",
    check: namesAreNouns,
    broken: [bad("wire/index.ts", ""), bad("model/helpers/time.ts", ""), bad("store/layout.ts", "")],
    found: [
      'src/wire/index.ts:1: "index" says nothing: name the noun that is in it',
      'src/model/helpers/time.ts:1: "helpers" says nothing: name the noun that is in it',
    ],
  },
  {
    title: `no file has more than ${linesMax} lines`,
    check: filesAreShort,
    broken: [
      bad("store/long.ts", "a;\n".repeat(linesMax + 1)),
      bad("store/fits.ts", "a;\n".repeat(linesMax)),
      bad("wire/flight_pb.js", "a;\n".repeat(linesMax + 1)),
    ],
    found: [`src/store/long.ts:501: 501 lines; at most ${linesMax}`],
  },
  {
    title: "only main.ts ends the process, only host/entropy.ts is random",
    check: expressionsHaveOneHome,
    broken: [
      bad("cli/run.ts", '// process.exit(1)\nconst text = "process.exit";\nif (text) process.exit(1);\n'),
      bad("main.ts", "process.exit(0);\n"),
      bad("flow/budget.ts", "const a = Math.random();\nconst b = crypto.randomUUID();\n"),
    ],
    found: [
      "src/cli/run.ts:3: process.exit is only for main.ts",
      "src/flow/budget.ts:1: Math.random is only for host/entropy.ts",
      "src/flow/budget.ts:2: randomUUID is only for host/entropy.ts",
    ],
  },
  {
    title: "nothing is left undone",
    check: nothingIsLeftUndone,
    broken: [bad("model/time.ts", "// TODO: later\nconst a = 1; // FIXME\n// XXX\nit.only(a);\nit.skip(a);\n")],
    found: [
      'src/model/time.ts:1: "TODO" is left here',
      'src/model/time.ts:2: "FIXME" is left here',
      'src/model/time.ts:3: "XXX" is left here',
      'src/model/time.ts:4: ".only" is left here',
      'src/model/time.ts:5: ".skip(" is left here',
    ],
  },
];

const sources = readSources();

describe.each(checks)("$title", ({ check, broken, found }) => {
  test("a source that breaks the rule is found", () => expect(check(broken)).toEqual(found));
  test("src keeps the rule", () => expect(check(sources)).toEqual([]));
});

describe("dependencies have exact versions", () => {
  test("a range is found", () => {
    const text =
      '{\n  "dependencies": {\n    "a": "1.2.3",\n    "b": "^1.2.3"\n  },\n  "overrides": { "c": { "d": "1.0.0" } }\n}';
    expect(versionsAreExact({ name: "package.json", text })).toEqual([
      'package.json:4: b at "^1.2.3" is not one exact version',
      'package.json:6: c at {"d":"1.0.0"} is not one exact version',
    ]);
  });
  test("package.json has none", () => {
    const text = readFileSync(path.join(root, "package.json"), "utf8");
    expect(versionsAreExact({ name: "package.json", text })).toEqual([]);
  });
});

test("src was read", () => expect(sources.map(({ name }) => name)).toContain("main.ts"));
