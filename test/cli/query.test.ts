// The command `query` on the store of a server that runs and of one that has stopped: the friendly form, the JSON of the protocol,
// tables, and what it says of conditions that it cannot read.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { Float64, Int64, makeData, makeVector, Utf8, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseWhere } from "../../src/cli/where.ts";
import { writeJson } from "../../src/model/json.ts";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { type RunningServer, runToEnd, serverCommand, startServer } from "../server.ts";

let server: RunningServer;
const large = 2n ** 53n;

async function fill(port: number): Promise<void> {
  using client = new FlightClient(port);
  for (const [sequence, first] of Object.entries({ "drive-1": 0, "drive-2": 50, lab: 200 })) {
    const session = await openSession(client, sequence);
    const numbers = Array.from({ length: 100 }, (_none, row) => first + row);
    const int64 = (of: (number: number) => bigint) =>
      makeVector(makeData({ type: new Int64(), data: BigInt64Array.from(numbers, of) }));
    const columns = {
      timestamp_ns: int64((number) => 1_700_000_000_000_000_000n + BigInt(number)),
      x: vectorFromArray(numbers, new Float64()),
      count: int64((number) => large + BigInt(number)),
      mode: vectorFromArray(
        numbers.map((number) => (number < 100 ? "slow mode" : "fast")),
        new Utf8(),
      ),
    };
    await client.put(await createTopic(client, session, `${sequence}/imu`, "motion"), toMessages([columns]));
    if (sequence !== "lab") await client.action("session_finalize", { session_uuid: session });
  }
}

beforeAll(async () => {
  server = await startServer();
  await fill(server.port);
});

afterAll(async () => await server[Symbol.asyncDispose]());

const query = (...args: readonly string[]) => runToEnd(["query", "--data-dir", server.dataDir, ...args]);

async function found(...args: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await query(...args, "--json");
  expect([code, stderr]).toEqual([0, ""]);
  const { items } = JSON.parse(stdout) as { items: { topics: { locator: string }[] }[] };
  return items.flatMap(({ topics }) => topics.map(({ locator }) => locator));
}

const all = ["drive-1/imu", "drive-2/imu", "lab/imu"];

test.each<[readonly string[], readonly string[]]>([
  [
    ["--where", "motion.x > 148"],
    ["drive-2/imu", "lab/imu"],
  ],
  [["--where", "motion.x>=40", "--where", "motion.x<=41"], ["drive-1/imu"]],
  [["--where", "motion.x > 99", "--where", "motion.mode = slow mode"], []],
  [
    ["--where", 'motion.mode = "slow mode"'],
    ["drive-1/imu", "drive-2/imu"],
  ],
  [["--where", "motion.mode ~ f?st*", "--sequence", "drive-*"], ["drive-2/imu"]],
  [["--where", `motion.count = ${large + 1n}`], ["drive-1/imu"]],
  [
    ["--where", `motion.count in [${large}, ${large + 250n}]`],
    ["drive-1/imu", "lab/imu"],
  ],
  [["--where", "motion.x outside 0 and 149"], ["lab/imu"]],
  [
    ["--where", "motion.x between 40 and 60"],
    ["drive-1/imu", "drive-2/imu"],
  ],
  [["--where", "motion.mode exists"], all],
  [["--where", "motion.mode missing"], []],
  [["--topic", "*/imu"], all],
  [["--sequence", "lab"], ["lab/imu"]],
  [[`{"ontology":{"motion.count":{"$gt":${large + 248n}}}}`], ["lab/imu"]],
])("%j finds %j", async (args, locators) => expect(await found(...args)).toEqual(locators));

test("a table has the time ranges of the rows, and what was read for them", async () => {
  const args = ["--where", "motion.x between 140 and 142", "--ranges", "1", "--explain"];
  const { code, stdout } = await query(...args);
  expect(code).toBe(0);
  expect(stdout.split("\n")).toEqual([
    "TOPIC        TAG     FIRST                           LAST",
    "drive-2/imu  motion  2023-11-14T22:13:20.000000140Z  2023-11-14T22:13:20.000000142Z",
    "1 topic of 1 sequence",
    "6 names and 3 rows of the catalog looked at",
    "        SKIPPED  READ  ALL ROWS MATCH",
    "topics  2        1     0",
    "chunks  0        1     0",
    "zones   0        1     0",
    expect.stringMatching(/^1 batches read, \d+ of \d+ bytes \(\d+\.\d\d %\); 100 rows tested, 3 matched$/),
    "",
  ]);
});

test("a topic is named as it is printed, or by its path", async () => {
  expect(await found("--topic", "lab/imu")).toEqual(["lab/imu"]);
  expect(await found("--topic", "drive-*/imu")).toEqual(["drive-1/imu", "drive-2/imu"]);
  expect(await found("--topic", "/imu", "--sequence", "lab")).toEqual(["lab/imu"]);
  expect(await query("--topic", "imu")).toMatchObject({ code: 64, stderr: expect.stringContaining("SEQUENCE/PATH") });
  expect(await query("--topic", "lab/imu", "--sequence", "lab")).toMatchObject({ code: 64 });
});

test("what nothing can match is told", async () => {
  expect(await query("--where", "Motion.x > 1")).toMatchObject({
    code: 0,
    stdout: "0 topics of 0 sequences\n",
    stderr: expect.stringContaining('no topic that was asked has the ontology tag "Motion"'),
  });
  expect(await query("--where", "motion.x > 1 and motion.y < 2")).toMatchObject({ code: 64 });
});

test("whoever reads its output may have had enough", async () => {
  const command = [...serverCommand().args, "ontology", "list"].map((word) => `'${word}'`).join(" ");
  const shell = spawnSync("bash", ["-c", `set -o pipefail; '${serverCommand().file}' ${command} | true`], {
    encoding: "utf8",
  });
  expect([shell.status, shell.stderr]).toEqual([0, ""]);
});

test("of names it says what was looked at", async () => {
  const { stdout } = await query("--sequence", "lab", "--explain");
  expect(stdout.split("\n").slice(-4)).toEqual([
    "lab/imu  motion",
    "1 topic of 1 sequence",
    "4 names and 1 rows of the catalog looked at",
    "",
  ]);
});

test("also when no server runs, and nothing is written", async () => {
  await using other = await startServer();
  await fill(other.port);
  await other.stop();
  const catalog = path.join(other.dataDir, "catalog/data.mdb");
  const before = readFileSync(catalog);
  const { code, stdout } = await runToEnd(["query", "--data-dir", other.dataDir, "--where", "motion.x > 148"]);
  expect([code, stdout.split("\n")]).toEqual([
    0,
    ["TOPIC        TAG", "drive-2/imu  motion", "lab/imu      motion", "2 topics of 2 sequences", ""],
  ]);
  expect(readFileSync(catalog).equals(before)).toBe(true);
});

test.each<[readonly string[], number, string]>([
  [[], 64, "found nothing"],
  [["{"], 64, "the query is not JSON"],
  [["[]"], 64, "expected a JSON object, found []"],
  [["{}", "--where", "a.b = 1"], 64, "found both"],
  [["--ranges", "5", "--sequence", "*"], 64, "--ranges: expected --where"],
  [["--where", "a.b = 1", "--ranges", "soon"], 64, "--ranges is not JSON"],
  [["--where", "motion.x"], 64, "--where: expected TAG.FIELD = != < <= > >= ~ VALUE, between A and B"],
  [["--where", "motion.x between 5 and 3"], 64, "`ontology.motion.x.$between` has empty range: 5 is above 3"],
  [["--where", "x = 3"], 64, "ontology.x: expected <tag>.<field>"],
  [["--where", "motion within round 3"], 64, 'found "motion within round 3"'],
])("%j ends with %i", async (args, code, sentence) => {
  const ended = await query(...args);
  expect(ended.stderr).toContain(sentence);
  expect([ended.code, ended.stdout]).toEqual([code, ""]);
});

describe("a condition", () => {
  test.each([
    ["a.b=1", '{"a.b":{"$eq":1}}'],
    ["a.b == 1.0", '{"a.b":{"$eq":1.0}}'],
    [" a.b  !=  x y ", '{"a.b":{"$neq":"x y"}}'],
    ['a.b = "1"', '{"a.b":{"$eq":"1"}}'],
    ["a.b<true", '{"a.b":{"$lt":true}}'],
    ["a.b ~ 12", '{"a.b":{"$match":"12"}}'],
    ["a.in >= -1e3", '{"a.in":{"$geq":-1e3}}'],
    ["a.b[!] > 18446744073709551615", '{"a.b[!]":{"$gt":18446744073709551615}}'],
    ["a.b[?].c <= 3", '{"a.b[?].c":{"$leq":3}}'],
    ["a.b between 1 and 2", '{"a.b":{"$between":[1,2]}}'],
    ["a.b outside sand and stone", '{"a.b":{"$outside":["sand","stone"]}}'],
    ['a.b in["x",2]', '{"a.b":{"$in":["x",2]}}'],
    ["a.b = [1,2]", '{"a.b":{"$eq":[1,2]}}'],
    ["a.b exists", '{"a.b":{"$ex":null}}'],
    ["a.b missing", '{"a.b":{"$nex":null}}'],
    ["GPS within box 45 9 46, 10.5", '{"GPS":{"$within":{"box":[45,9,46,10.5]}}}'],
    ["GPS within circle 45 9 100", '{"GPS":{"$within":{"circle":[45,9,100]}}}'],
    ["IMU.acceleration norm > 20", '{"IMU.acceleration":{"$norm":{"$gt":20}}}'],
    ["a.norm >= 2", '{"a.norm":{"$geq":2}}'],
    ["v norm between 1 and 2", '{"v":{"$norm":{"$between":[1,2]}}}'],
  ])("%j is %s", (text, json) => expect(writeJson(parseWhere(text))).toBe(json));

  test.each([
    "",
    "a.b",
    "= 3",
    "a.b =",
    "a.b exists 3",
    "a.b between 3",
    "a.b in 3",
    "a.b in [1,",
    "a.b within",
    "a b c",
  ])("%j is refused", (text) => expect(() => parseWhere(text)).toThrow(expect.objectContaining({ code: "invalid" })));
});
