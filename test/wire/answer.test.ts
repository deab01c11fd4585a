// Answers as the SDKs need them (shared/protocol/clients.md, section 4): the strict ones to the key, the others with every key
// that one of the four generations cannot do without.

import { describe, expect, test } from "vitest";
import { parseSequenceName, parseSessionLocator, parseTopicLocator } from "../../src/model/locator.ts";
import type { JsonText, Sequence, Session, Topic, Ulid, Uuid } from "../../src/model/resource.ts";
import { timeNsMax } from "../../src/model/time.ts";
import {
  apiKeyAnswer,
  clusterAnswer,
  infoAnswer,
  notificationsAnswer,
  queryAnswer,
  sequenceAppMetadata,
  sequenceSchemaMetadata,
  sessionCreateAnswer,
  topicAppMetadata,
  topicCreateAnswer,
  topicSchemaMetadata,
  versionAnswer,
  writeAnswer,
  writeEmptyAnswer,
  writeStreamedAnswer,
} from "../../src/wire/answer.ts";

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
const read = (bytes: Uint8Array): Record<string, unknown> => JSON.parse(textOf(bytes)) as Record<string, unknown>;

const name = parseSequenceName("drive-07");
const sequence: Sequence = {
  ulid: "S" as Ulid,
  uuid: "11111111-1111-4111-8111-111111111111" as Uuid,
  name,
  userMetadata: '{"km":12.50,"n":18446744073709551615}' as JsonText,
  createdAtNs: 1_745_140_000_123_456_789n,
};
const session: Session = {
  ulid: "T" as Ulid,
  uuid: "22222222-2222-4222-8222-222222222222" as Uuid,
  alias: "33333333-3333-4333-8333-333333333333" as Uuid,
  locator: parseSessionLocator("drive-07:T"),
  sequence: name,
  sequenceUlid: sequence.ulid,
  createdAtNs: 1_745_140_000_130_000_001n,
  topicNumberNext: 1,
};
const topic: Topic = {
  uuid: "44444444-4444-4444-8444-444444444444" as Uuid,
  locator: parseTopicLocator("drive-07/front/imu"),
  session: session.ulid,
  number: 0,
  ontologyTag: "imu",
  serializationFormat: "default",
  userMetadata: '{"rate_hz":200}' as JsonText,
  createdAtNs: 1_745_140_000_140_000_003n,
  completedAtNs: 1_745_140_006_000_000_007n,
  extent: { rows: 5, bytes: 48_213, chunks: 3, range: { startNs: -5n, endNs: 2n ** 62n + 1n } },
};
const emptyTopic: Topic = { ...topic, completedAtNs: undefined, extent: { rows: 0, bytes: 0, chunks: 0 } };

describe("envelopes", () => {
  test("with data", () => expect(textOf(writeAnswer("x", { a: 1 }))).toBe('{"action":"x","response":{"a":1}}'));
  test("without data", () => expect(textOf(writeAnswer("x", null))).toBe('{"action":"x","response":null}'));
  test("that never had any", () => expect(textOf(writeEmptyAnswer())).toBe('{"action":"empty"}'));
});

describe("strict answers have exactly the keys that the SDK takes", () => {
  test.each([
    ["0.4", ["uuid"]],
    ["0.5", ["uuid", "locator"]],
    ["0.6", ["uuid", "locator"]],
  ] as const)("session_create for %s", (generation, keys) => {
    const answer = sessionCreateAnswer(session, generation) as Record<string, unknown>;
    expect(Object.keys(answer)).toEqual(keys);
    expect(answer["uuid"]).toBe(session.uuid);
    if (generation !== "0.4") expect(answer["locator"]).toBe("drive-07:T");
  });
  test("topic_create", () => expect(topicCreateAnswer(topic)).toEqual({ uuid: topic.uuid }));
});

describe("probes", () => {
  test("version", () => {
    expect(versionAnswer()).toEqual({ version: "0.7.0", semver: { major: 0, minor: 7, patch: 0, pre: "" } });
  });
  test("info has the three limits that 0.7 asks for, and says what it is", () => {
    expect(
      infoAnswer({ decodeBytes: 3, encodeBytes: 2, targetBytes: 1 }, { edgeVersion: "1.2.3", storeId: "s-1" }),
    ).toEqual({
      ...versionAnswer(),
      config: {
        grpc_max_decode_message_size: 3,
        grpc_max_encode_message_size: 2,
        grpc_target_encode_message_size: 1,
      },
      edge: {
        version: "1.2.3",
        capabilities: ["acks", "resume", "topic_status", "client_uuid", "sequence_uuid"],
        store: "s-1",
      },
    });
  });
});

test("notifications have a time that every Python reads", () => {
  const answer = notificationsAnswer(topic.locator, [
    { type: "error", message: "lost", createdAtNs: 1_776_678_065_999_999_999n },
    { type: "error", message: "end of time", createdAtNs: timeNsMax },
    { type: "error", message: "no clock yet", createdAtNs: 0n },
  ]) as { notifications: Record<string, unknown>[] };
  expect(answer.notifications[0]).toEqual({
    name: "drive-07/front/imu",
    notification_type: "error",
    msg: "lost",
    created_datetime: "2026-04-20 09:41:05 UTC",
  });
  for (const { created_datetime: time } of answer.notifications) {
    expect(time).toMatch(/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} UTC$/);
  }
  expect(notificationsAnswer(name, [])).toEqual({ notifications: [] });
});

test("a query answers tags always, and ranges exactly when asked", () => {
  const items = [
    {
      sequence: name,
      topics: [
        { ...topic, range: topic.extent.range },
        { ...emptyTopic, range: undefined },
      ],
    },
  ];
  expect(textOf(writeAnswer("query", queryAnswer(items)))).toBe(
    '{"action":"query","response":{"items":[{"sequence":"drive-07","topics":[' +
      '{"locator":"drive-07/front/imu","ontology_tag":"imu","timestamp_range":[-5,4611686018427387905]},' +
      '{"locator":"drive-07/front/imu","ontology_tag":"imu"}]}]}}',
  );
  expect(queryAnswer([])).toEqual({ items: [] });
});

test("time ranges are exact, in their order, and an empty list when none was found", () => {
  const ranges = [
    { startNs: -(2n ** 63n), endNs: -1n },
    { startNs: 9_007_199_254_740_993n, endNs: 2n ** 63n - 1n },
  ];
  const items = [
    {
      sequence: name,
      topics: [
        { ...topic, range: ranges[1], ranges },
        { ...topic, ranges: [] },
      ],
    },
  ];
  expect(textOf(writeAnswer("query", queryAnswer(items)))).toBe(
    '{"action":"query","response":{"items":[{"sequence":"drive-07","topics":[' +
      '{"locator":"drive-07/front/imu","ontology_tag":"imu","timestamp_range":[9007199254740993,9223372036854775807],' +
      '"time_ranges":[[-9223372036854775808,-1],[9007199254740993,9223372036854775807]]},' +
      '{"locator":"drive-07/front/imu","ontology_tag":"imu","time_ranges":[]}]}]}}',
  );
});

test.each(["topic_filter_clusterize", "topic_filter_intersect"])("an item of %s is one whole envelope", (action) => {
  const bytes = writeStreamedAnswer(
    action,
    clusterAnswer({ startNs: 9_007_199_254_740_993n, endNs: 2n ** 63n - 1n }, 3),
  );
  expect(textOf(bytes)).toBe(
    `{"action":"${action}","response":{"ts":{"start_ns":9007199254740993,"end_ns":9223372036854775807},"id":3}}\n`,
  );
});

test("the state of a key never has its token, and null where it does not expire", () => {
  const key = { fingerprint: "1b676530", description: "d", createdAtNs: 2n ** 60n + 1n };
  expect(textOf(writeAnswer("api_key_status", apiKeyAnswer(key)))).toBe(
    '{"action":"api_key_status","response":{"api_key_fingerprint":"1b676530","description":"d","created_at_ns":1152921504606846977,"expires_at_ns":null}}',
  );
  expect(textOf(writeAnswer("x", apiKeyAnswer({ ...key, expiresAtNs: 7n })))).toContain('"expires_at_ns":7}');
});

describe("app_metadata of a sequence", () => {
  const views = [
    { session, shownUuid: session.alias, topics: [topic] },
    { session: { ...session, completedAtNs: 9n }, shownUuid: session.uuid, topics: [] },
  ];
  test("has what any generation needs", () => {
    const found = read(sequenceAppMetadata(sequence, views));
    expect(found).toMatchObject({ resource_locator: "drive-07", user_metadata: { km: 12.5 } });
    expect(Object.keys(found).sort()).toEqual(["created_at_ns", "resource_locator", "sessions", "user_metadata"]);
    expect(found["sessions"]).toEqual([
      {
        uuid: session.alias,
        locator: "drive-07:T",
        created_at_ns: Number(session.createdAtNs),
        completed_at_ns: null,
        topics: ["drive-07/front/imu"],
        locked: false,
      },
      {
        uuid: session.uuid,
        locator: "drive-07:T",
        created_at_ns: Number(session.createdAtNs),
        completed_at_ns: 9,
        topics: [],
        locked: true,
      },
    ]);
  });
  test("keeps times and the client's numbers to the digit", () => {
    const text = textOf(sequenceAppMetadata(sequence, views));
    expect(text).toContain('"created_at_ns":1745140000123456789');
    expect(text).toContain('"created_at_ns":1745140000130000001');
    expect(text).toContain('"user_metadata":{"km":12.50,"n":18446744073709551615}');
  });
  test("has an array of sessions and an object of metadata though there are none", () => {
    const bare = { ...sequence, userMetadata: "null" as JsonText };
    expect(read(sequenceAppMetadata(bare, []))).toMatchObject({ sessions: [], user_metadata: {} });
  });
});

describe("app_metadata of a topic", () => {
  /** Dotted key -> generations that skip the topic or refuse to stream it when the key is missing or null. */
  const needed = {
    resource_locator: "0.4 0.5 0.6 0.7",
    created_at_ns: "0.4 0.5 0.6 0.7",
    locked: "0.4 0.5 0.6 0.7",
    "info.chunks_number": "0.4 0.5 0.6",
    "info.total_bytes": "0.4 0.5 0.6",
    ontology_tag: "0.7",
    serialization_format: "0.7",
    user_metadata: "0.7",
    "data_info.total_row_count": "0.7",
    "data_info.total_bytes": "0.7",
    "data_info.total_chunks_count": "0.7",
  };
  const at = (value: unknown, path: string): unknown =>
    path.split(".").reduce<unknown>((inner, step) => (inner as Record<string, unknown> | null)?.[step], value);

  test.each([
    ["complete", topic],
    ["open and empty", emptyTopic],
    ["with null for metadata", { ...topic, userMetadata: "null" as JsonText }],
  ])("%s: has every key that a generation needs", (_title, given) => {
    const found = read(topicAppMetadata(given, undefined));
    for (const [path, generations] of Object.entries(needed)) {
      expect(at(found, path) ?? null, `${path}, needed by ${generations}`).not.toBeNull();
    }
    expect(found).not.toHaveProperty("time_window_info");
  });

  test("complete, to the digit", () => {
    expect(textOf(topicAppMetadata(topic, undefined))).toBe(
      '{"created_at_ns":1745140000140000003,"completed_at_ns":1745140006000000007,"locked":true,' +
        '"resource_locator":"drive-07/front/imu",' +
        '"info":{"chunks_number":3,"total_bytes":48213,"timestamp":{"start_ns":-5,"end_ns":4611686018427387905}},' +
        '"ontology_tag":"imu","serialization_format":"default","user_metadata":{"rate_hz":200},' +
        '"data_info":{"interval":{"start_ns":-5,"end_ns":4611686018427387905},"total_row_count":5,"total_bytes":48213,"total_chunks_count":3}}',
    );
  });

  test("without rows: zeros and no interval, never null for info", () => {
    expect(read(topicAppMetadata(emptyTopic, undefined))).toMatchObject({
      completed_at_ns: null,
      locked: false,
      info: { chunks_number: 0, total_bytes: 0, timestamp: null },
      data_info: { interval: null, total_row_count: 0, total_bytes: 0, total_chunks_count: 0 },
    });
  });

  test("a window shows what lies in it, and the whole topic stays as it is", () => {
    const window = { rows: 2, range: { startNs: 1n, endNs: 2n } };
    expect(read(topicAppMetadata(topic, window))).toMatchObject({
      time_window_info: { interval: { start_ns: 1, end_ns: 2 }, row_count: 2 },
      data_info: { total_row_count: 5 },
    });
    expect(read(topicAppMetadata(topic, { rows: 0, range: undefined }))["time_window_info"]).toEqual({
      interval: null,
      row_count: 0,
    });
  });
});

describe("schema metadata", () => {
  test("of a sequence", () => {
    expect([...sequenceSchemaMetadata(sequence)]).toEqual([
      ["mosaico:context", "sequence"],
      ["mosaico:user_metadata", '{"km":12.50,"n":18446744073709551615}'],
    ]);
    expect(sequenceSchemaMetadata({ ...sequence, userMetadata: "null" as JsonText }).get("mosaico:user_metadata")).toBe(
      "{}",
    );
  });
  test("of a topic: counts and bounds are those of what is sent", () => {
    expect([...topicSchemaMetadata(topic, { rows: 2, range: { startNs: 1n, endNs: 2n ** 60n + 1n } })]).toEqual([
      ["mosaico:context", "topic"],
      [
        "mosaico:properties",
        '{"serialization_format":"default","ontology_tag":"imu","message_count":2,"timestamp_ns_min":1,"timestamp_ns_max":1152921504606846977}',
      ],
      ["mosaico:user_metadata", '{"rate_hz":200}'],
    ]);
  });
  test("of a topic without rows has no counts", () => {
    expect(topicSchemaMetadata(emptyTopic, { rows: 0, range: undefined }).get("mosaico:properties")).toBe(
      '{"serialization_format":"default","ontology_tag":"imu"}',
    );
  });
});

test("user metadata is answered as it was written: order, equal keys and spellings", () => {
  const userMetadata = '{"z":1,"2":2,"1":3,"z":1.50}' as JsonText;
  const texts = [
    textOf(sequenceAppMetadata({ ...sequence, userMetadata }, [])),
    textOf(topicAppMetadata({ ...topic, userMetadata }, undefined)),
  ];
  for (const text of texts) expect(text).toContain(`"user_metadata":${userMetadata}`);
  const keys = [
    sequenceSchemaMetadata({ ...sequence, userMetadata }),
    topicSchemaMetadata({ ...topic, userMetadata }, topic.extent),
  ];
  for (const key of keys) expect(key.get("mosaico:user_metadata")).toBe(userMetadata);
});
