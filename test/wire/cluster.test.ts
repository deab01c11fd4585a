// Requests of topic_filter_clusterize and topic_filter_intersect, as SDK 0.6 and 0.7 send them and as they must not be. What they
// answer with and how: shared/protocol/mosaico-delta.md 4.2.

import { describe, expect, test } from "vitest";
import { parseAction } from "../../src/wire/action.ts";

const read = (name: string, body: string) => parseAction(name, new TextEncoder().encode(body)).request;
const clusterize = (members: string) => {
  const request = read("topic_filter_clusterize", `{"locator":"drive-07/imu",${members}}`);
  if (request.kind !== "topic_filter_clusterize") throw new RangeError("the action has a kind of its own");
  return request.cluster;
};
const whole = { topic: "drive-07/imu", filter: undefined, gapNs: 0n, range: undefined };
const bare = '"clustering_dt_ns":0,"ontology":{}';

describe("clusterize", () => {
  test.each<[string, object]>([
    [bare, {}],
    [`${bare},"timestamp_range":null,"unknown":[]`, {}],
    ['"clustering_dt_ns":18446744073709551615,"ontology":{}', { gapNs: 2n ** 64n - 1n }],
    ['"clustering_dt_ns":9007199254740993,"ontology":{}', { gapNs: 9_007_199_254_740_993n }],
    [
      '"clustering_dt_ns":0,"ontology":{"IMU.acceleration.x":{"$gt":5.0}}',
      {
        filter: {
          ontologyTag: "IMU",
          rows: { kind: "field", path: { field: "acceleration.x" }, condition: { kind: "gt", operand: 5 } },
        },
      },
    ],
    [
      '"clustering_dt_ns":0,"ontology":{"IMU.a":"$ex","$not":{"IMU.b":"$nex"}}',
      {
        filter: {
          ontologyTag: "IMU",
          rows: {
            kind: "all",
            of: [
              { kind: "field", path: { field: "a" }, condition: { kind: "exists" } },
              { kind: "not", of: { kind: "field", path: { field: "b" }, condition: { kind: "missing" } } },
            ],
          },
        },
      },
    ],
    // Patterns are globs: the action is of 0.6.
    [
      '"clustering_dt_ns":0,"ontology":{"String.data":{"$match":"%"}}',
      {
        filter: {
          ontologyTag: "String",
          rows: {
            kind: "field",
            path: { field: "data" },
            condition: { kind: "match", pattern: [{ kind: "literal", character: "%" }] },
          },
        },
      },
    ],
    [
      `${bare},"timestamp_range":{"start_ns":-9223372036854775808,"end_ns":9223372036854775807}`,
      { range: { startNs: -(2n ** 63n), endNs: 2n ** 63n - 1n } },
    ],
    [
      `${bare},"timestamp_range":{"start_ns":1700000000123456789,"end_ns":1700000000123456789}`,
      { range: { startNs: 1_700_000_000_123_456_789n, endNs: 1_700_000_000_123_456_789n } },
    ],
    [`${bare},"timestamp_range":[-5,9007199254740993]`, { range: { startNs: -5n, endNs: 9_007_199_254_740_993n } }],
    [`${bare},"timestamp_range":{"start_ns":null,"end_ns":7}`, { range: { startNs: -(2n ** 63n), endNs: 7n } }],
    [`${bare},"timestamp_range":[7,null]`, { range: { startNs: 7n, endNs: 2n ** 63n - 1n } }],
  ])("%s", (members, expected) => expect(clusterize(members)).toEqual({ ...whole, ...expected }));

  test.each([
    ['"clustering_dt_ns":-1,"ontology":{}', "clustering_dt_ns: expected a uint64, found the number -1"],
    ['"clustering_dt_ns":1.0,"ontology":{}', "clustering_dt_ns: expected a uint64, found the number 1.0"],
    [
      '"clustering_dt_ns":18446744073709551616,"ontology":{}',
      "clustering_dt_ns: expected a uint64, found the number 18446744073709551616",
    ],
    ['"clustering_dt_ns":0,"ontology":[]', "ontology: expected an object, found an array of 0"],
    [`${bare},"timestamp_range":5`, "timestamp_range: expected an object or an array of two, found the number 5"],
    [`${bare},"timestamp_range":[]`, "timestamp_range: expected an object or an array of two, found an array of 0"],
    [
      `${bare},"timestamp_range":[1,2,3]`,
      "timestamp_range: expected an object or an array of two, found an array of 3",
    ],
    [`${bare},"timestamp_range":{"start_ns":1}`, "timestamp_range: end_ns: expected an int64, found nothing"],
    [`${bare},"timestamp_range":["1",2]`, 'timestamp_range: start_ns: expected an int64, found the string "1"'],
    [`${bare},"timestamp_range":[1,1.5]`, "timestamp_range: end_ns: expected an int64, found the number 1.5"],
    [
      `${bare},"timestamp_range":[0,9223372036854775808]`,
      "timestamp_range: end_ns: expected an int64, found the number 9223372036854775808",
    ],
    [`${bare},"timestamp_range":[6,5]`, "timestamp_range: expected a start that is not above the end, found 6 and 5"],
  ])("%s is refused", (members, reason) => {
    expect(() => clusterize(members)).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: `Bad request: the body of topic_filter_clusterize: ${reason}.`,
      }),
    );
  });

  test.each([
    [
      '{"IMU.a":"$ex","GPS.b":"$ex"}',
      'Bad request: ontology: expected conditions of one ontology tag, found "IMU" and "GPS".',
    ],
    ['{"IMU":"$ex"}', "Bad request: ontology.IMU: expected <tag>.<field>, found no field."],
    [
      '{"IMU.a":"$ex","include_timestamp_range":true}',
      "Bad request: ontology.include_timestamp_range: expected <tag>.<field>, found no field.",
    ],
  ])("of the conditions %s is refused", (ontology, message) => {
    expect(() => clusterize(`"clustering_dt_ns":0,"ontology":${ontology}`)).toThrow(
      expect.objectContaining({ code: "invalid", message }),
    );
  });
});

describe("intersect", () => {
  const topic = (locator: string, ontology = "{}") =>
    `{"locator":"${locator}","clustering_dt_ns":3,"ontology":${ontology}}`;
  const intersect = (topics: readonly string[], toleranceNs = "0") =>
    read("topic_filter_intersect", `{"topics":[${topics.join(",")}],"intersect_dt_ns":${toleranceNs}}`);

  test("topics of one sequence, each with conditions of its own", () => {
    const gps = topic("/s/gps", '{"GPS":{"$within":{"circle":[44.5,11.3,50]}}}');
    const imu = topic("s/imu", '{"IMU.a":{"$eq":1}}');
    expect(intersect([gps, imu], "18446744073709551615")).toEqual({
      kind: "topic_filter_intersect",
      clusters: [
        {
          ...whole,
          gapNs: 3n,
          topic: "s/gps",
          filter: {
            ontologyTag: "GPS",
            rows: {
              kind: "within",
              field: "",
              area: { kind: "circle", latitude: 44.5, longitude: 11.3, radiusM: 50 },
            },
          },
        },
        {
          ...whole,
          gapNs: 3n,
          topic: "s/imu",
          filter: {
            ontologyTag: "IMU",
            rows: { kind: "field", path: { field: "a" }, condition: { kind: "eq", operand: 1n } },
          },
        },
      ],
      toleranceNs: 2n ** 64n - 1n,
    });
  });

  test("one topic may come twice, and each may have a range", () => {
    const ranged = '{"locator":"s/a","clustering_dt_ns":0,"ontology":{},"timestamp_range":[1,2]}';
    expect(intersect([ranged, topic("s/a")])).toMatchObject({
      clusters: [
        { topic: "s/a", range: { startNs: 1n, endNs: 2n } },
        { topic: "s/a", range: undefined },
      ],
    });
  });

  const body = "Bad request: the body of topic_filter_intersect: ";
  test.each([
    [[], `${body}topics: expected two at least, found 0.`],
    [[topic("s/a")], `${body}topics: expected two at least, found 1.`],
    [
      [topic("s/a"), topic("s/b"), topic("t/a")],
      `${body}topics: expected topics of one sequence, found \`s\` and \`t\`.`,
    ],
    [[topic("s/a"), "5"], `${body}topics.1: expected an object, found the number 5.`],
    [[topic("s/a"), "[]"], `${body}topics.1: expected an object, found an array of 0.`],
    [
      [topic("s/a"), "{}"],
      `${body}topics.1: locator: expected string, found nothing; clustering_dt_ns: expected a uint64, found nothing; ontology: expected an object, found nothing.`,
    ],
    [
      [topic("s/a"), '{"locator":"s/b","clustering_dt_ns":0,"ontology":{},"timestamp_range":[2,1]}'],
      `${body}topics.1: timestamp_range: expected a start that is not above the end, found 2 and 1.`,
    ],
    [
      [topic("s/a"), topic("s/b", '{"IMU.a":{"$gt":null}}')],
      "Bad request: topics.1.ontology.IMU.a.$gt: expected a number, string or boolean, found null.",
    ],
    [
      [topic("s/a"), topic("s/b", '{"IMU.a":"$ex","GPS.a":"$ex"}')],
      'Bad request: topics.1.ontology: expected conditions of one ontology tag, found "IMU" and "GPS".',
    ],
    [
      [topic("s/a"), topic("s")],
      'Locator contains unsupported characters: "s" names a sequence, expected a topic (sequence/path).',
    ],
  ])("of %j is refused", (topics, message) => {
    expect(() => intersect(topics)).toThrow(expect.objectContaining({ code: "invalid", message }));
  });

  test("a tolerance is a uint64", () => {
    for (const [tolerance, found] of [
      ["-1", "the number -1"],
      ["0.5", "the number 0.5"],
      ["18446744073709551616", "the number 18446744073709551616"],
      ["null", "null"],
    ] as const) {
      expect(() => intersect([topic("s/a"), topic("s/b")], tolerance)).toThrow(
        expect.objectContaining({
          code: "invalid",
          message: `${body}intersect_dt_ns: expected a uint64, found ${found}.`,
        }),
      );
    }
  });

  test("the number of topics has a limit", () => {
    const many = Array.from({ length: 257 }, (_none, index) => topic(`s/t${index}`));
    expect(() => intersect(many.slice(1))).not.toThrow();
    expect(() => intersect(many)).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: "Bad request: the body of topic_filter_intersect has 257 topics, at most 256 are allowed.",
      }),
    );
  });
});
