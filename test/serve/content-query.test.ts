// Queries on contents over a socket: what is found, in which time ranges, and clusters; on sealed chunks, and on what still grows.

import { create, fromBinary } from "@bufbuild/protobuf";
import { Float64, Int64, makeData, makeVector, Utf8, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { operandsMax, timeRanges } from "../../src/model/limits.ts";
import { ActionSchema, ResultSchema } from "../../src/wire/flight_pb.js";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { type RunningServer, startServer } from "../server.ts";

let server: RunningServer;
let client: FlightClient;
const batches = 5;
const rows = 100;

/** Latitude rises by 0.01 degrees per row, a new mode begins with each batch. */
const drive = toMessages(
  Array.from({ length: batches }, (_none, batch) => {
    const numbers = Array.from({ length: rows }, (_row, row) => batch * rows + row);
    return {
      timestamp_ns: makeVector(
        makeData({ type: new Int64(), data: BigInt64Array.from(numbers, (number) => BigInt(10 * number)) }),
      ),
      latitude: vectorFromArray(
        numbers.map((number) => 40 + number / 100),
        new Float64(),
      ),
      longitude: vectorFromArray(
        numbers.map(() => 9),
        new Float64(),
      ),
      mode: vectorFromArray(
        numbers.map(() => `mode ${batch}`),
        new Utf8(),
      ),
    };
  }),
);

beforeAll(async () => {
  server = await startServer();
  client = new FlightClient(server.port);
  for (const [sequence, tags] of Object.entries({ both: ["track", "other"], one: ["track"] })) {
    const session = await openSession(client, sequence);
    for (const tag of tags) {
      const put = client.openPut(await createTopic(client, session, `${sequence}/${tag}`, tag));
      for (const message of drive) await put.sendData(message);
      // The other topics stay open, their rows in the tail log.
      if (sequence === "both") await put.finish();
    }
    if (sequence === "both") await client.action("session_finalize", { session_uuid: session });
  }
  // What is still in flight is committed within the interval.
  const durable = async (): Promise<boolean> => (await found({ "track.mode": { $eq: "mode 4" } })).length === 2;
  while (!(await durable())) await new Promise((resolve) => setTimeout(resolve, 20));
});

afterAll(async () => {
  client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

interface Answer {
  readonly items: readonly { readonly sequence: string; readonly topics: readonly Record<string, unknown>[] }[];
}

async function found(ontology: object, more: object = {}): Promise<Record<string, unknown>[]> {
  const { items } = (await client.action("query", { ...more, ontology })) as Answer;
  return items.flatMap(({ topics }) => topics);
}

async function streamed(type: string, body: object): Promise<unknown[]> {
  const answers = await client.all(
    "DoAction",
    ActionSchema,
    create(ActionSchema, { type, body: Buffer.from(JSON.stringify(body)) }),
  );
  return answers.map((answer) => {
    const { action, response } = JSON.parse(Buffer.from(fromBinary(ResultSchema, answer).body).toString()) as {
      action: string;
      response: unknown;
    };
    expect(action).toBe(type);
    return response;
  });
}

const both = { sequence: { locator: { $eq: "both" } } };
const timestamps = { include_timestamp_range: true };

describe("a query", () => {
  test("finds topics by their rows, sealed and growing ones", async () => {
    const locators = (await found({ "track.latitude": { $gt: 44.98 } })).map(({ locator }) => locator);
    expect(locators.toSorted()).toEqual(["both/track", "one/track"]);
    expect(await found({ "track.latitude": { $gt: 44.99 } })).toEqual([]);
  });

  test("conditions hold on the same row", async () => {
    expect(await found({ "track.latitude": { $lt: 41 }, "track.mode": { $eq: "mode 0" } })).toHaveLength(2);
    expect(await found({ "track.latitude": { $lt: 41 }, "track.mode": { $eq: "mode 1" } })).toEqual([]);
  });

  test("several tags are met by the same sequence", async () => {
    const items = await found({ "track.latitude": { $gt: 40 }, "other.latitude": { $gt: 40 } });
    expect(items.map(({ locator }) => locator)).toEqual(["both/other", "both/track"]);
  });

  test("the range is that of the matching rows, over all batches", async () => {
    const [item] = await found({ "track.latitude": { $between: [40.5, 43.205] }, ...timestamps }, both);
    expect(item?.["timestamp_range"]).toEqual([500, 3200]);
  });

  test("$within, $or, $not and time ranges", async () => {
    const ranges = async (ontology: object) =>
      (await found({ ...ontology, include_time_ranges: { gap_ns: 10, limit: 10 } }, both)).map(
        (item) => item["time_ranges"],
      );
    expect(await ranges({ track: { $within: { box: [41, 8, 41.095, 10] } } })).toEqual([[[1000, 1090]]]);
    expect(await ranges({ $or: [{ "track.latitude": { $lt: 40.02 } }, { "track.mode": { $eq: "mode 3" } }] })).toEqual([
      [
        [0, 10],
        [3000, 3990],
      ],
    ]);
    expect(await ranges({ $not: { "track.latitude": { $geq: 40.03 } } })).toEqual([[[0, 20]]]);
    // 0.01 degrees of latitude are 1,112 m.
    expect(await ranges({ track: { $within: { circle: [42, 9, 2300] } } })).toEqual([[[1980, 2020]]]);
  });

  test("a topic of many batches is not too much for a condition that is slow on each", {
    timeout: 30_000,
  }, async () => {
    // Large enough that none is gathered with others.
    const slow = toMessages(
      Array.from({ length: 30 }, (_none, number) => ({
        timestamp_ns: makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(BigInt(number)) })),
        text: vectorFromArray([`${"a".repeat(700_000)}${number === 29 ? "b" : ""}`], new Utf8()),
      })),
    );
    await client.put(await createTopic(client, await openSession(client, "slow"), "slow/texts"), slow);
    // At each character four are compared: 2.8 million steps for a batch, 84 million in all.
    const items = await found({ "test.text": { $match: "*???b*" } });
    expect(items.map(({ locator }) => locator)).toEqual(["slow/texts"]);
  });

  test("more time ranges than an answer may have are refused, naming how many", async () => {
    const times = BigInt64Array.from({ length: timeRanges.most }, (_none, row) => BigInt(2 * row));
    const flicker = toMessages([{ timestamp_ns: makeVector(makeData({ type: new Int64(), data: times })) }]);
    const session = await openSession(client, "flicker");
    const topics = 1 + timeRanges.total / timeRanges.most;
    for (let number = 0; number < topics; number += 1)
      await client.put(await createTopic(client, session, `flicker/${number}`, "flicker"), flicker);
    const ask = (limit: number) => found({ "flicker.timestamp_ns": "$ex", include_time_ranges: { gap_ns: 1, limit } });
    const first = await ask(10);
    expect(first.map((topic) => (topic["time_ranges"] as object[]).length)).toEqual(
      Array.from({ length: topics }, () => 10),
    );
    expect(first.every((topic) => topic["has_more_time_ranges"] === true)).toBe(true);
    await expect(ask(timeRanges.most)).rejects.toMatchObject({
      code: 8,
      message: expect.stringContaining(`more than ${timeRanges.total} time ranges`),
    });
    await client.action("session_delete", { session_uuid: session });
  });

  test("one of many numbers and texts is found, and none that is between them", async () => {
    const numbers = Array.from({ length: operandsMax - 1 }, (_none, index) => 100 + index / 100);
    const among = (more: number) => ({ "track.latitude": { $in: [...numbers, more] } });
    expect(await found(among(41.005))).toEqual([]);
    expect(await found(among(41.01))).toHaveLength(2);
    expect(await found({ $not: among(41.01), "track.latitude": { $between: [41.005, 41.015] } })).toEqual([]);
    const texts = Array.from({ length: 1_000 }, (_none, index) => `mode ${index + 4.5}`);
    expect(await found({ "track.mode": { $in: texts } })).toEqual([]);
    expect(await found({ "track.mode": { $in: [...texts, "mode 3"] } })).toHaveLength(2);
  });

  test("a query of no conditions on contents, and of unknown columns and tags, finds nothing", async () => {
    for (const ontology of [
      {},
      timestamps,
      { "track.speed": "$nex" },
      { "nothing.x": { $gt: 1 } },
      { "track.mode": { $gt: 1 } },
    ])
      expect(await found(ontology, both)).toEqual([]);
  });
});

describe("clusters", () => {
  test("begin anew where rows are missing", async () => {
    const clusters = await streamed("topic_filter_clusterize", {
      locator: "both/track",
      clustering_dt_ns: 10,
      ontology: { "track.mode": { $in: ["mode 0", "mode 2"] } },
      timestamp_range: null,
    });
    expect(clusters).toEqual([
      { ts: { start_ns: 0, end_ns: 990 }, id: 0 },
      { ts: { start_ns: 2000, end_ns: 2990 }, id: 1 },
    ]);
  });

  test("0 makes one of all, and no condition means every row", async () => {
    const clusters = await streamed("topic_filter_clusterize", {
      locator: "one/track",
      clustering_dt_ns: 0,
      ontology: {},
      timestamp_range: { start_ns: 15, end_ns: 40 },
    });
    expect(clusters).toEqual([{ ts: { start_ns: 20, end_ns: 40 }, id: 0 }]);
  });

  test("of two topics have windows in common", async () => {
    const topic = (tag: string, modes: readonly string[]) => ({
      locator: `both/${tag}`,
      clustering_dt_ns: 10,
      ontology: { [`${tag}.mode`]: { $in: modes } },
    });
    const windows = await streamed("topic_filter_intersect", {
      topics: [topic("track", ["mode 0", "mode 1", "mode 3"]), topic("other", ["mode 1", "mode 4"])],
      intersect_dt_ns: 10,
    });
    // The second pair only comes close: 3990 and 4000 are met halfway.
    expect(windows).toEqual([
      { ts: { start_ns: 1000, end_ns: 1990 }, id: 0 },
      { ts: { start_ns: 3995, end_ns: 3995 }, id: 1 },
    ]);
  });

  test("a topic that there is not, and conditions for another tag, are refused", async () => {
    const ask = (locator: string, ontology: object) =>
      streamed("topic_filter_clusterize", { locator, clustering_dt_ns: 10, ontology });
    await expect(ask("both/none", {})).rejects.toMatchObject({ code: 5 });
    await expect(ask("both/track", { "other.mode": { $eq: "x" } })).rejects.toThrow(
      "Bad request: topic `both/track` has the ontology tag `track`, its conditions are for `other`.",
    );
  });
});
