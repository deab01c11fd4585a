// Cutting, taking and merging rows of every Arrow type against pyarrow: golden.py makes streams of all types, alone and nested in
// each other, plain and compressed; here rows are gathered out of them; golden.py checks that they are the rows meant, to the bit.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Batch, readBatch } from "../../src/arrow/batch.ts";
import { decompressBatch } from "../../src/arrow/compression.ts";
import { gather } from "../../src/arrow/gather.ts";
import type { RowRun } from "../../src/arrow/gather-job.ts";
import { readMessage } from "../../src/arrow/message.ts";
import type { Schema } from "../../src/arrow/schema.ts";
import { timesOf } from "../../src/arrow/timestamps.ts";
import { Fault } from "../../src/model/fault.ts";
import { skipsPython } from "../clients/driver.ts";
import { splitStream } from "../load/messages.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { seed } from "../seed.ts";
import { Golden, type Source } from "./python.ts";
import { joinStream, readStream, type StreamMessage } from "./stream.ts";

const slowMs = 60_000;
const bytesMax = 2 ** 26;

interface Job {
  readonly kind: string;
  runs: readonly RowRun[];
}

const kinds = [
  "whole",
  "nothing",
  "cut",
  "taken one by one",
  "merged",
  "one row many times",
  "gathered again",
] as const;

/** What is gathered out of batches with so many rows. */
function jobsFor(random: Random, rows: readonly number[]): Job[] {
  const run = (source: number): RowRun => {
    const all = rows[source] ?? 0;
    const start = random.below(all + 1);
    return { source, start, length: random.below(all - start + 1) };
  };
  const row = (): RowRun => {
    const source = random.pick([0, 2, 3]);
    return { source, start: random.below(rows[source] ?? 0), length: 1 };
  };
  const same = row();
  return [
    { kind: "whole", runs: rows.map((length, source) => ({ source, start: 0, length })) },
    { kind: "nothing", runs: [] },
    { kind: "cut", runs: [{ source: 3, start: 3, length: 11 }] },
    { kind: "taken one by one", runs: Array.from({ length: 20 }, row) },
    { kind: "merged", runs: Array.from({ length: 8 }, () => run(random.below(4))) },
    { kind: "one row many times", runs: Array.from({ length: 70 }, () => same) },
  ];
}

const batchOf = (schema: Schema, { header, body }: StreamMessage): Batch =>
  readBatch(schema, readMessage(header, body.byteLength), body);

/** The jobs done, and for the last one rows of what the first ones gave. */
function doJobs(random: Random, stream: Uint8Array): { jobs: Job[]; result: Uint8Array } {
  const { schema, before, batches } = readStream(stream);
  const plain = batches.map((batch) => decompressBatch(batch, bytesMax));
  const jobs = jobsFor(
    random,
    plain.map(({ rows }) => rows),
  );
  const outputs = jobs.map((job) => {
    try {
      return gather(schema, plain, job.runs);
    } catch (error) {
      // A row of large items would make many times the bytes that there are: no read asks for that.
      if (job.kind !== "one row many times" || !(error instanceof Fault) || error.code !== "overloaded") throw error;
      job.runs = job.runs.slice(0, 5);
      return gather(schema, plain, job.runs);
    }
  });
  const [whole, , cut] = outputs;
  if (whole === undefined || cut === undefined) throw new RangeError("there are jobs");
  const again = [batchOf(schema, cut), batchOf(schema, whole)];
  const last = { source: 1, start: 2, length: (again[1]?.rows ?? 0) - 4 };
  outputs.push(gather(schema, again, [{ source: 0, start: 1, length: 5 }, last]));
  // Rows of the batches that pyarrow knows: of the cut one, and of the whole one.
  const rows = plain.flatMap((batch, source) =>
    Array.from({ length: batch.rows }, (_none, start) => ({ source, start, length: 1 })),
  );
  jobs.push({ kind: "gathered again", runs: [{ source: 3, start: 4, length: 5 }, ...rows.slice(2, 2 + last.length)] });
  return { jobs, result: joinStream([...before, ...outputs]) };
}

const refusals = ["invalid", "corrupt", "unsupported", "overloaded"] as const;

/** Why nothing can be gathered out of a stream; undefined when it can. Anything but a refusal in words is thrown. */
function refusalOf(random: Random, stream: Uint8Array, name: string): (typeof refusals)[number] | undefined {
  try {
    const { schema, batches } = readStream(stream);
    const plain = batches.map((batch) => decompressBatch(batch, bytesMax));
    for (const batch of plain) timesOf(schema, batch);
    const rows = plain.map((batch) => batch.rows);
    if (rows.some((count) => count > 1_000)) return undefined;
    for (const { runs } of jobsFor(random, rows)) {
      gather(
        schema,
        plain,
        runs.filter(({ source, start, length }) => start + length <= (rows[source] ?? -1)),
      );
    }
    return undefined;
  } catch (error) {
    const code = error instanceof Fault ? refusals.find((known) => known === error.code) : undefined;
    if (code === undefined) throw new Error(`${name}: ${error}`, { cause: error });
    return code;
  }
}

describe.skipIf(skipsPython)("rows of every type are those that pyarrow would take", () => {
  const golden = new Golden();
  let sources: readonly Source[] = [];
  let bytes: Uint8Array = new Uint8Array(0);

  beforeAll(async () => {
    await golden.run("golden.py", "make", String(seed));
    const made = golden.readJson<{ sources: Source[]; unable: Record<string, string> }>("sources.json");
    sources = made.sources;
    bytes = golden.read("sources.bin");
    console.log(`gather: ${sources.length} streams; pyarrow cannot make ${JSON.stringify(made.unable)}`);
    expect(Object.keys(made.unable).length).toBeLessThan(sources.length / 50);
  }, slowMs);

  afterAll(() => golden[Symbol.dispose]());

  test(
    "alone and nested, plain, LZ4 and ZSTD",
    async () => {
      const random = new Random("gather: rows");
      const coverage = new Coverage("gather: compressions", ["none", "lz4", "zstd", ...kinds]);
      const results: Uint8Array[] = [];
      const listed: object[] = [];
      let start = 0;
      for (const source of sources) {
        coverage.hit(source.compression);
        const stream = bytes.subarray(source.start, source.start + source.bytes);
        let done: { jobs: Job[]; result: Uint8Array };
        try {
          done = doJobs(random, stream);
        } catch (error) {
          throw new Error(`${source.name}, ${source.compression}: ${error}`, { cause: error });
        }
        for (const { kind } of done.jobs) coverage.hit(kind);
        results.push(done.result);
        listed.push({ source, jobs: done.jobs, result: { start, bytes: done.result.byteLength } });
        start += done.result.byteLength;
      }
      golden.write("results.bin", Buffer.concat(results));
      golden.write("results.json", JSON.stringify(listed));
      const verdict = JSON.parse(await golden.run("golden.py", "check")) as {
        entries: number;
        values: number;
        wrong: string[];
      };
      console.log(`gather: pyarrow compared ${verdict.values} values of ${verdict.entries} streams`);
      expect(verdict.wrong).toEqual([]);
      expect(verdict.entries).toBe(sources.length);
      coverage.check();
    },
    slowMs,
  );

  test("bytes changed anywhere are rows or a refusal, never a crash", () => {
    const random = new Random("gather: changed bytes");
    const places = ["schema", "header", "body"] as const;
    const coverage = new Coverage("gather: changed bytes", [
      ...places.flatMap((place) => [`${place}: rows`, `${place}: refused`]),
      ...refusals,
    ]);
    for (const source of sources) {
      if (source.bytes > 30_000) continue;
      const original = splitStream(bytes.subarray(source.start, source.start + source.bytes));
      for (let round = 0; round < 6; round += 1) {
        const place = random.pick(places);
        const messages = original.map(({ header, body }) => ({
          header: Uint8Array.from(header),
          body: Uint8Array.from(body),
        }));
        const [schema] = messages;
        const batches = messages.filter(({ header }) => readMessage(header).kind === "batch");
        const target = place === "schema" ? schema?.header : random.pick(batches)[place];
        if (target === undefined || target.byteLength === 0) continue;
        for (let change = random.below(3); change >= 0; change -= 1) {
          const at = random.below(target.byteLength);
          target[at] = random.pick([
            0,
            1,
            127,
            128,
            255,
            random.below(256),
            (target[at] ?? 0) ^ (1 << random.below(8)),
          ]);
        }
        const code = refusalOf(random, joinStream(messages), source.name);
        coverage.hit(`${place}: ${code === undefined ? "rows" : "refused"}`);
        if (code !== undefined) coverage.hit(code);
      }
    }
    coverage.check();
  });

  test("all kinds of types were there", () => {
    const names = new Set(sources.map(({ name }) => name));
    const wanted = ["null", "bool", "int8", "uint64", "halffloat", "float", "double", "date32[day]", "date64[ms]"];
    wanted.push("time32[s]", "time64[ns]", "timestamp[ns, tz=UTC]", "duration[us]", "month_day_nano_interval");
    wanted.push("decimal32(9, 2)", "decimal64(18, 0)", "decimal128(38, 10)", "decimal256(76, 40)");
    wanted.push("string", "large_string", "string_view", "binary", "large_binary", "binary_view");
    wanted.push("fixed_size_binary[16]", "fixed_size_binary[0]", "list", "large_list", "list_view", "large_list_view");
    wanted.push("fixed_size_list", "struct", "map", "sparse_union", "dense_union", "dictionary", "run_end_encoded");
    const wrappers = new Set([...names].filter((name) => name.includes("<")).map((name) => name.split("<")[0]));
    expect(wanted.filter((name) => !names.has(name))).toEqual([]);
    expect([...wrappers].sort()).toEqual([
      "dense_union",
      "dictionary",
      "fixed_size_list",
      "large_list",
      "large_list_view",
      "list",
      "list_view",
      "map",
      "run_end16",
      "run_end32",
      "run_end64",
      "sparse_union",
      "struct",
    ]);
    console.log(`gather: ${names.size} types`);
  });
});
