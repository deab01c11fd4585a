// The command `ontology`, with and without a store, beside a server that runs; and the directory of definitions.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Float64, Int64, makeData, makeVector } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ontologyFilesMax } from "../../src/model/limits.ts";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { type RunningServer, runToEnd, startServer } from "../server.ts";

const folder = mkdtempSync(path.join(tmpdir(), "mosaico-edge-ontology-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const missing = path.join(folder, "missing");

function file(name: string, content: unknown): string {
  const full = path.join(folder, name);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, typeof content === "string" ? content : JSON.stringify(content));
  return full;
}

async function ontology(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(["ontology", ...args]);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

const json = async (...args: readonly string[]): Promise<unknown> => JSON.parse(await ontology(...args));

const wheel = {
  tag: "wheel",
  description: "a wheel",
  fields: { speed: "double", "fix.lat": "double?", "fix.lon": "double?" },
  roles: { position: { latitude: "fix.lat", longitude: "fix.lon" } },
};

describe("without a store", () => {
  test("list has the built-in models", async () => {
    const lines = (await json("list", "--json")) as { tag: string; source: string; roles: string[] }[];
    expect(lines.length).toBe(113);
    expect(lines).toContainEqual({
      tag: "GPS",
      format: "default",
      source: "built-in",
      description: "SDK 0.6 and 0.7",
      fields: 36,
      roles: ["position", "1 vector"],
    });
    const table = (await ontology("list")).split("\n");
    expect(table[0]).toMatch(/^TAG +FORMAT +SOURCE +FIELDS +ROLES +DESCRIPTION$/);
    expect(table.find((line) => line.startsWith("gps "))).toMatch(
      /^gps +default +built-in +18 +position, 1 vector +SDK 0\.4 and 0\.5$/,
    );
  });

  test("show has the fields of a tag", async () => {
    const shown = await ontology("show", "gps");
    expect(shown).toMatch(/^gps \(built-in, SDK 0\.4 and 0\.5\), format default$/m);
    expect(shown).toMatch(/^ {2}position\.x +double +required$/m);
    expect(shown).toMatch(/^ {2}velocity +struct\? +may be missing$/m);
    expect(shown).toMatch(/^ {2}position: latitude position\.x, longitude position\.y$/m);
    expect(shown).toMatch(/^ {2}vector: velocity\.x velocity\.y velocity\.z$/m);
    expect(await json("show", "gps", "--json")).toMatchObject([{ tag: "gps", fields: { "position.x": "double" } }]);
  });

  test("export has nothing of a user's, or all, and that can be registered", async () => {
    expect(await json("export")).toEqual([]);
    const all = (await json("export", "--all")) as unknown[];
    expect(all.length).toBe(113);
    const dataDir = path.join(folder, "all");
    await ontology("register", file("all.json", all), "--data-dir", dataDir);
    expect(await json("export", "--data-dir", dataDir)).toEqual(all);
  });

  test.each<[readonly string[], number, string]>([
    [["show", "Gps"], 66, 'There is no model of the tag "Gps"'],
    [["list", "--data-dir", missing], 66, missing],
    [["list", "--ontology-dir", missing], 66, missing],
    [["remove", "gps", "--data-dir", missing], 66, missing],
    [["register", missing, "--data-dir", path.join(folder, "new")], 66, missing],
    [
      ["list", "--data-dir", folder],
      66,
      "is no data directory of mosaico-edge: it has no store.json, no catalog and no sessions",
    ],
    [["register", "DEFINITION", "--data-dir", folder], 75, `${folder} is no data directory`],
  ])("%j ends with %i", async (args, code, sentence) => {
    const definition = file("good.json", wheel);
    const ended = await runToEnd(["ontology", ...args.map((one) => (one === "DEFINITION" ? definition : one))]);
    expect(ended.stderr).toContain(sentence);
    expect([ended.code, ended.stdout]).toEqual([code, ""]);
  });
});

describe("beside a server", () => {
  let server: RunningServer;
  let client: FlightClient;
  beforeAll(async () => {
    server = await startServer({ args: ["--ontology-policy", "strict"] });
    client = new FlightClient(server.port);
  });
  afterAll(async () => {
    client?.[Symbol.dispose]();
    await server?.[Symbol.asyncDispose]();
  });

  /** Why a session with one topic, whose only field besides the time is `name`, is not finalized; undefined when it is. */
  async function refusal(sequence: string, tag: string, name: string): Promise<string | undefined> {
    const session = await openSession(client, sequence);
    const topic = await createTopic(client, session, `${sequence}/t`, tag);
    const timestamp_ns = makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(1n) }));
    const value = makeVector(makeData({ type: new Float64(), data: Float64Array.of(1) }));
    await client.put(topic, toMessages([{ timestamp_ns, [name]: value }]));
    return await client.action("session_finalize", { session_uuid: session }).then(
      () => undefined,
      (error: unknown) => String(error),
    );
  }

  test("what is registered counts from the next finalize on, until it is removed", async () => {
    const at = ["--data-dir", server.dataDir];
    expect(await refusal("unknown", "wheel", "velocity")).toBeUndefined();
    expect(await ontology("register", file("wheel.json", wheel), ...at)).toBe("registered wheel: 1 generation\n");
    expect(await refusal("known", "wheel", "velocity")).toContain("field speed: expected double, found nothing");
    expect(await refusal("fits", "wheel", "speed")).toBeUndefined();
    expect(await json("export", ...at)).toEqual([
      { ...wheel, format: "default", fields: { ...wheel.fields, fix: "struct?" } },
    ]);
    const twice = [wheel, { tag: "wheel", fields: { velocity: "double" } }];
    expect(await ontology("register", file("wheel.json", twice), ...at)).toBe("replaced wheel: 2 generations\n");
    expect(await refusal("second", "wheel", "velocity")).toBeUndefined();
    expect(
      ((await json("list", ...at, "--json")) as { source: string }[]).filter((one) => one.source !== "built-in"),
    ).toHaveLength(2);
    expect((await runToEnd(["verify", ...at])).code).toBe(0);
    expect(await ontology("remove", "wheel", ...at)).toBe("");
    expect(await json("export", ...at)).toEqual([]);
    expect(await refusal("forgotten", "wheel", "anything")).toBeUndefined();
    const again = await runToEnd(["ontology", "remove", "wheel", ...at]);
    expect([again.code, again.stderr]).toEqual([66, 'mosaico-edge: No model of the tag "wheel" is registered\n']);
    const builtIn = await runToEnd(["ontology", "remove", "gps", ...at]);
    expect(builtIn.stderr).toContain("; its built-in model is part of the program");
  });

  test("a generation of a user's is one more, unless it replaces the built-in ones", async () => {
    const at = ["--data-dir", server.dataDir];
    expect(await refusal("string-1", "String", "data")).toContain("field data: expected string, found double");
    await ontology("register", file("string.json", { tag: "String", fields: { words: "double" } }), ...at);
    expect(await refusal("string-2", "String", "words")).toBeUndefined();
    const pressure = (replaces: boolean) => ({ tag: "Pressure", fields: { bar: "double" }, replaces });
    await ontology("register", file("pressure.json", pressure(false)), ...at);
    expect(await refusal("pressure-1", "Pressure", "value")).toBeUndefined();
    await ontology("register", file("pressure.json", pressure(true)), ...at);
    expect(await refusal("pressure-2", "Pressure", "value")).toContain("field bar: expected double, found nothing");
    expect(await json("show", "Pressure", ...at, "--json")).toHaveLength(1);
  });

  test("finds the store as the server does: by variable and file too", async () => {
    const config = file("edge.toml", `data_dir = ${JSON.stringify(server.dataDir)}\n`);
    await ontology("register", file("axle.json", { tag: "axle", fields: { load: "double" } }), "--config", config);
    expect(await json("export", "--config", config)).toContainEqual(expect.objectContaining({ tag: "axle" }));
    expect(await json("export", "--config", file("none.toml", ""))).toEqual([]);
    await ontology("remove", "axle", "--config", config);
    const env = { MOSAICO_EDGE_DATA_DIR: missing };
    const { code, stderr } = await runToEnd(["ontology", "list"], env);
    expect(stderr).toContain(missing);
    expect(code).toBe(66);
  });

  test("of a file with a mistake nothing is registered", async () => {
    const bad = file("bad.json", [wheel, { tag: "other", fields: { a: "dubble" } }]);
    const { code, stdout, stderr } = await runToEnd(["ontology", "register", bad, "--data-dir", server.dataDir]);
    expect(stderr).toContain(`${bad}: [1].fields.a: expected an Arrow type like double`);
    expect(stderr).toContain('found the string "dubble"');
    expect([code, stdout]).toEqual([64, ""]);
    const lines = (await json("list", "--data-dir", server.dataDir, "--json")) as { tag: string }[];
    expect(lines.map(({ tag }) => tag)).not.toContain("wheel");
  });

  test("tags with other characters than ASCII", async () => {
    const at = ["--data-dir", server.dataDir];
    const tags = ["R\u00e4d", "\u8eca", "a b", "!", "\u{1f6de}"];
    await ontology(
      "register",
      file(
        "tags.json",
        tags.map((tag) => ({ tag, fields: { speed: "double" } })),
      ),
      ...at,
    );
    const own = (await json("export", ...at)) as { tag: string }[];
    expect(own.map(({ tag }) => tag)).toEqual(expect.arrayContaining(tags));
    expect(await refusal("rad", "R\u00e4d", "x")).toContain("field speed: expected double, found nothing");
    for (const tag of tags) await ontology("remove", tag, ...at);
  });
});

describe("a directory of definitions", () => {
  test("is read at start; other files are not", async () => {
    const directory = path.join(folder, "definitions");
    file("definitions/b.json", { tag: "wheel", fields: { velocity: "double" } });
    file("definitions/a.json", [wheel, { tag: "other", fields: {} }]);
    file("definitions/notes.txt", "{");
    file("definitions/.hidden.json", "{");
    const lines = (await json("list", "--ontology-dir", directory, "--json")) as { tag: string; source: string }[];
    expect(lines.filter(({ source }) => source === "directory").map(({ tag }) => tag)).toEqual([
      "other",
      "wheel",
      "wheel",
    ]);
    await using server = await startServer({ args: ["--ontology-dir", directory, "--ontology-policy", "strict"] });
    using client = new FlightClient(server.port);
    const session = await openSession(client, "wheels");
    const timestamp_ns = makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(1n) }));
    await client.put(await createTopic(client, session, "wheels/t", "wheel"), toMessages([{ timestamp_ns }]));
    await expect(client.action("session_finalize", { session_uuid: session })).rejects.toThrow(
      "topic `wheels/t` does not fit the model wheel: field speed: expected double, found nothing",
    );
  });

  const many = path.join(folder, "many");
  const large = path.join(folder, "large");
  const broken = path.join(folder, "broken");
  beforeAll(() => {
    for (let number = 0; number <= ontologyFilesMax.files; number += 1) file(`many/${number}.json`, wheel);
    file("large/a.json", " ".repeat(ontologyFilesMax.fileBytes + 1));
    file("broken/a.json", wheel);
    file("broken/b.json", { tag: "t", fields: { "a.b": "double", a: "int8" } });
  });
  test.each([
    [missing, 66, `Cannot read ${missing}`],
    [path.join(folder, "good.json"), 64, "it is a file, expected a directory"],
    [many, 64, `${many}: expected at most 1000 files *.json, found 1001`],
    [large, 64, `${large}/a.json: expected at most 1048576 bytes, found 1048577`],
    [broken, 64, `${broken}/b.json: fields.a.b: expected a to be struct, found int8`],
  ])("%s: the server does not start, and says why", async (directory, code, sentence) => {
    file("good.json", wheel);
    const dataDir = path.join(folder, "never");
    for (const args of [
      ["run", "--data-dir", dataDir, "--port", "0"],
      ["ontology", "list"],
    ]) {
      const ended = await runToEnd([...args, "--ontology-dir", directory]);
      expect(ended.stderr).toContain(sentence);
      expect(ended.code).toBe(code);
    }
  });
});
