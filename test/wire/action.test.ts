// Action bodies as SDK 0.4, 0.5, 0.6 and 0.7 send them, and every key of them with every wrong type.

import { describe, expect, test } from "vitest";
import { actionBytesMax, notificationBytesMax, relayedBytes } from "../../src/model/limits.ts";
import {
  type ActionRequest,
  type DialectProof,
  listActions,
  parseAction,
  parsePutCommand,
  parseResourceCommand,
} from "../../src/wire/action.ts";
import { Coverage } from "../model/coverage.ts";

const encoded = (text: string): Uint8Array => new TextEncoder().encode(text);
const uuid = "3f0c1a52-7f0e-4c7b-9b1e-6a1f2f6f9a10";

interface Good {
  /** Who sends it. */
  readonly from: string;
  readonly name: string;
  readonly body: string;
  readonly request: unknown;
  readonly permission: string | undefined;
  readonly proof?: DialectProof;
}

const target = { sequence: { kind: "sequence", name: "drive-07" }, topic: { kind: "topic", locator: "drive-07/imu" } };

const good: readonly Good[] = [
  { from: "0.4 0.6", name: "version", body: "{}", request: { kind: "version" }, permission: undefined },
  { from: "curl", name: "version", body: "", request: { kind: "version" }, permission: undefined },
  { from: "0.7", name: "info", body: "{}", request: { kind: "info" }, permission: undefined, proof: "new" },
  { from: "curl", name: "info", body: "", request: { kind: "info" }, permission: undefined, proof: "new" },
  {
    from: "all",
    name: "sequence_create",
    body: '{"locator": "/drive-07", "user_metadata": {"km": 12.50, "n": 18446744073709551615, "one": 1.0}}',
    request: {
      kind: "sequence_create",
      name: "drive-07",
      userMetadata: '{"km":12.50,"n":18446744073709551615,"one":1.0}',
    },
    permission: "write",
  },
  {
    from: "foreign",
    name: "sequence_create",
    body: '{"user_metadata": {"z": 1, "2": 2, "1": 3, "z": "\\u00e9"}, "locator": "drive-07"}',
    request: { kind: "sequence_create", name: "drive-07", userMetadata: '{"z":1,"2":2,"1":3,"z":"\\u00e9"}' },
    permission: "write",
  },
  {
    from: "foreign",
    name: "sequence_create",
    body: '{"locator":"drive-07","user_metadata":null,"unknown":{}}',
    request: { kind: "sequence_create", name: "drive-07", userMetadata: "null" },
    permission: "write",
  },
  {
    from: "all",
    name: "sequence_delete",
    body: '{"locator":"drive-07"}',
    request: { kind: "sequence_delete", name: "drive-07" },
    permission: "delete",
  },
  {
    from: "all",
    name: "session_create",
    body: '{"locator":"drive-07"}',
    request: { kind: "session_create", sequence: "drive-07" },
    permission: "write",
  },
  {
    from: "clients that know us",
    name: "session_create",
    body: `{"locator":"drive-07","uuid":"${uuid}"}`,
    request: { kind: "session_create", sequence: "drive-07", uuid },
    permission: "write",
  },
  {
    from: "clients that know us",
    name: "edge_topic_status",
    body: `{"topic_uuid":"${uuid}"}`,
    request: { kind: "edge_topic_status", topic: uuid },
    permission: "write",
  },
  {
    from: "clients that know us",
    name: "edge_sequence_delete_empty",
    body: `{"locator":"drive-07","uuid":"${uuid}"}`,
    request: { kind: "edge_sequence_delete_empty", name: "drive-07", uuid },
    permission: "delete",
  },
  {
    from: "clients that know us",
    name: "edge_session_delete_open",
    body: `{"session_uuid":"${uuid}"}`,
    request: { kind: "edge_session_delete_open", session: uuid },
    permission: "delete",
  },
  {
    from: "all",
    name: "session_finalize",
    body: `{"session_uuid":"${uuid}"}`,
    request: { kind: "session_finalize", session: uuid },
    permission: "write",
  },
  {
    from: "0.4",
    name: "session_delete",
    body: `{"session_uuid":"${uuid}"}`,
    request: { kind: "session_delete", session: uuid },
    permission: "delete",
    proof: "0.4",
  },
  {
    from: "0.5 0.6 0.7",
    name: "session_delete",
    body: '{"locator":"drive-07:01J"}',
    request: { kind: "session_delete", session: "drive-07:01J" },
    permission: "delete",
    proof: "new",
  },
  {
    from: "all",
    name: "topic_create",
    body: `{"session_uuid": "${uuid}", "locator": "drive-07/imu", "serialization_format": "ragged", "ontology_tag": "imu", "user_metadata": {}}`,
    request: {
      kind: "topic_create",
      session: uuid,
      locator: "drive-07/imu",
      ontologyTag: "imu",
      serializationFormat: "ragged",
      userMetadata: "{}",
    },
    permission: "write",
  },
  {
    from: "all",
    name: "topic_delete",
    body: '{"locator":"drive-07/imu"}',
    request: { kind: "topic_delete", locator: "drive-07/imu" },
    permission: "delete",
  },
  ...(["sequence", "topic"] as const).flatMap((resource): Good[] => {
    const locator = resource === "sequence" ? "drive-07" : "drive-07/imu";
    return [
      {
        from: "all",
        name: `${resource}_notification_create`,
        body: `{"locator":"${locator}","notification_type":"error","msg":"lost sync"}`,
        request: { kind: "notification_create", target: target[resource], type: "error", message: "lost sync" },
        permission: "write",
      },
      {
        from: "all",
        name: `${resource}_notification_list`,
        body: `{"locator":"${locator}"}`,
        request: { kind: "notification_list", target: target[resource] },
        permission: "read",
      },
      {
        from: "all",
        name: `${resource}_notification_purge`,
        body: `{"locator":"${locator}"}`,
        request: { kind: "notification_purge", target: target[resource] },
        permission: "delete",
      },
    ];
  }),
  {
    from: "0.4 0.5",
    name: "query",
    body: '{"topic":{"locator":{"$match":"imu"}}}',
    request: expect.objectContaining({ kind: "query" }),
    permission: "read",
    proof: "old",
  },
  {
    from: "0.6 0.7",
    name: "query",
    body: '{"sequence":{"name":{"$match":"*"}}}',
    request: expect.objectContaining({ kind: "query" }),
    permission: "read",
    proof: "new",
  },
  {
    from: "0.6 0.7",
    name: "topic_filter_clusterize",
    body: '{"locator":"/drive-07/imu","clustering_dt_ns":5,"ontology":{},"timestamp_range":null}',
    request: { kind: "topic_filter_clusterize", cluster: { topic: "drive-07/imu", gapNs: 5n } },
    permission: "read",
    proof: "new",
  },
  {
    from: "0.6 0.7",
    name: "topic_filter_intersect",
    body: '{"topics":[{"locator":"s/a","clustering_dt_ns":0,"ontology":{}},{"locator":"s/b","clustering_dt_ns":1,"ontology":{}}],"intersect_dt_ns":7}',
    request: {
      kind: "topic_filter_intersect",
      clusters: [
        { topic: "s/a", gapNs: 0n },
        { topic: "s/b", gapNs: 1n },
      ],
      toleranceNs: 7n,
    },
    permission: "read",
    proof: "new",
  },
  {
    from: "0.4 0.5",
    name: "api_key_create",
    body: '{"permissions": "write", "description": "d", "expires_at_ns": 1798761600000000001}',
    request: { kind: "api_key_create", permissions: 3, description: "d", expiresAtNs: 1_798_761_600_000_000_001n },
    permission: "manage",
    proof: "old",
  },
  {
    from: "0.4 0.5",
    name: "api_key_create",
    body: '{"permissions": "read|write", "description": "", "expires_at_ns": null}',
    request: { kind: "api_key_create", permissions: 3, description: "", expiresAtNs: undefined },
    permission: "manage",
    proof: "old",
  },
  ...(["api_key_status", "api_key_revoke"] as const).map(
    (name): Good => ({
      from: "0.4 0.5",
      name,
      body: '{"api_key_fingerprint":"1b676530"}',
      request: { kind: name, fingerprint: "1b676530" },
      permission: "manage",
      proof: "old",
    }),
  ),
];

test.each(good)("$name of $from: $body", ({ name, body, request, permission, proof }) => {
  const parsed = parseAction(name, encoded(body));
  expect(parsed.request).toEqual(request as ActionRequest);
  expect(parsed.permission).toBe(permission);
  expect(parsed.proof).toBe(proof);
});

test("every action that is listed is tried above", () => {
  const names = listActions().map(({ name }) => name);
  const coverage = new Coverage("action: names", names);
  for (const { name } of good) coverage.hit(name);
  coverage.check();
  for (const { description } of listActions()) expect(description).not.toBe("");
});

/** The JSON types that will do for a key. */
function typesFor(key: string): readonly string[] {
  if (key === "user_metadata") return Object.keys(values).filter((type) => type !== "missing");
  return typesOf[key] ?? ["string"];
}
/** Of keys other than texts. What is inside of arrays and objects is looked at elsewhere. */
const typesOf: Readonly<Record<string, readonly string[]>> = {
  expires_at_ns: ["integer", "null", "missing"],
  clustering_dt_ns: ["integer"],
  intersect_dt_ns: ["integer"],
  ontology: ["object"],
  topics: ["array"],
  timestamp_range: ["object", "null", "missing"],
};
const values: Readonly<Record<string, string | undefined>> = {
  string: '"x"',
  integer: "5",
  float: "1.5",
  boolean: "true",
  null: "null",
  array: "[1]",
  object: '{"a":1}',
  missing: undefined,
};

/** How a refusal calls what it found. */
const foundOf: Readonly<Record<string, string>> = {
  string: 'the string "x"',
  integer: "the number 5",
  float: "the number 1.5",
  boolean: "the boolean true",
  null: "null",
  array: "an array of 1",
  object: "an object",
  missing: "nothing",
};

test("every key of every action with every wrong type is refused, naming key, expected and found", () => {
  const coverage = new Coverage("action: wrong types", [...Object.keys(values)]);
  for (const { name, body, from } of good.filter(({ name }) => name !== "query")) {
    if (body === "" || from === "foreign") continue;
    const whole = Object.entries(JSON.parse(body) as Record<string, unknown>);
    for (const [key] of whole) {
      for (const [type, value] of Object.entries(values)) {
        if (typesFor(key).includes(type)) continue;
        // A UUID of the client's own need not be there.
        if (key === "uuid" && type === "missing") continue;
        coverage.hit(type);
        const members = whole
          .filter(([other]) => other !== key)
          .map(([other, found]) => `${JSON.stringify(other)}:${JSON.stringify(found)}`);
        if (value !== undefined) members.push(`${JSON.stringify(key)}:${value}`);
        const reason =
          name === "session_delete" && type === "missing"
            ? ": expected session_uuid or locator, found neither"
            : key === "user_metadata"
              ? ": user_metadata: is missing"
              : `: ${key}: expected .*, found ${foundOf[type]}`;
        expect(() => parseAction(name, encoded(`{${members.join(",")}}`)), `${name} ${key} ${type}`).toThrow(
          expect.objectContaining({
            code: "invalid",
            message: expect.stringMatching(new RegExp(`^Bad request: the body of ${name}${reason}`)),
          }),
        );
      }
    }
  }
  coverage.check();
});

describe("values that are no good", () => {
  test.each([
    ["session_finalize", '{"session_uuid":"nothing"}', 'Bad request: invalid uuid "nothing".'],
    ["session_finalize", `{"session_uuid":"${uuid}0"}`, `Bad request: invalid uuid "${uuid}0".`],
    ["session_delete", '{"locator":"drive-07"}', "names a sequence, expected a session"],
    ["session_create", '{"locator":"drive-07/imu"}', "names a topic, expected a sequence"],
    ["topic_delete", '{"locator":"drive-07"}', "names a sequence, expected a topic"],
    ["topic_notification_list", '{"locator":"drive-07"}', "names a sequence, expected a topic"],
    ["sequence_create", '{"locator":"a.b","user_metadata":{}}', "Locator contains unsupported characters"],
    [
      "topic_create",
      `{"session_uuid":"${uuid}","locator":"s/t","serialization_format":"Image","ontology_tag":"","user_metadata":{}}`,
      'serialization_format: expected one of default, ragged, image, found the string "Image"',
    ],
    [
      "api_key_create",
      '{"permissions":"root","description":""}',
      'Bad request: invalid string to permission cast: "root"',
    ],
    [
      "api_key_create",
      '{"permissions":"read","description":"","expires_at_ns":1.5}',
      "expected an int64, found the number 1.5",
    ],
    [
      "api_key_create",
      '{"permissions":"read","description":"","expires_at_ns":9223372036854775808}',
      "expected an int64, found the number 9223372036854775808",
    ],
  ])("%s %s", (name, body, reason) => {
    expect(() => parseAction(name, encoded(body))).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining(reason) }),
    );
  });

  test.each([`${uuid.toUpperCase()}`, uuid.replaceAll("-", ""), `{${uuid}}`, `urn:uuid:${uuid}`])(
    "the UUID %s is one",
    (text) => {
      expect(parseAction("session_finalize", encoded(`{"session_uuid":"${text}"}`)).request).toEqual({
        kind: "session_finalize",
        session: uuid,
      });
    },
  );
});

describe("bodies that are none", () => {
  test.each([
    ["", "the body of sequence_delete is not JSON: "],
    ["{", "the body of sequence_delete is not JSON: "],
    ["[]", "the body of sequence_delete is no JSON object"],
    ["null", "the body of sequence_delete is no JSON object"],
    ["5", "the body of sequence_delete is no JSON object"],
    ['"drive-07"', "the body of sequence_delete is no JSON object"],
    ['{"locator":"a"} {}', "the body of sequence_delete is not JSON: "],
  ])("%j", (body, reason) => {
    expect(() => parseAction("sequence_delete", encoded(body))).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining(`Bad request: ${reason}`) }),
    );
  });

  test("bytes that are no UTF-8", () => {
    expect(() => parseAction("version", Uint8Array.of(0x7b, 0xff, 0x7d))).toThrow(
      expect.objectContaining({ code: "invalid", message: "Bad request: the body of version is not UTF-8." }),
    );
  });

  const tooLarge = (action: string, bytes: number) =>
    expect.objectContaining({
      code: "overloaded",
      message: `The body of ${action} has ${bytes} bytes, at most ${actionBytesMax} are allowed.`,
    });

  test("more bytes than allowed, counted before they are read", () => {
    const bytes = actionBytesMax + relayedBytes + 1;
    expect(() => parseAction("query", new Uint8Array(bytes))).toThrow(tooLarge("query", bytes));
  });

  test("more bytes than allowed, but for who names a UUID", () => {
    const filled = (body: object, bytes: number): Uint8Array => {
      const left = bytes - JSON.stringify({ ...body, user_metadata: "" }).length;
      return Buffer.from(JSON.stringify({ ...body, user_metadata: "y".repeat(left) }));
    };
    const body = { locator: "s" };
    const relayed = { ...body, uuid: "3f0c1a52-7f0e-4c7b-9b1e-6a1f2f6f9a10" };
    expect(() => parseAction("sequence_create", filled(body, actionBytesMax + 1))).toThrow(
      tooLarge("sequence_create", actionBytesMax + 1),
    );
    parseAction("sequence_create", filled(body, actionBytesMax));
    parseAction("sequence_create", filled(relayed, actionBytesMax + relayedBytes));
    expect(() => parseAction("sequence_create", filled(relayed, actionBytesMax + relayedBytes + 1))).toThrow(
      tooLarge("sequence_create", actionBytesMax + relayedBytes + 1),
    );
  });
});

test.each(["", "Version", "sequence_create ", "toString", "constructor", "__proto__", "do_everything"])(
  "there is no action %j",
  (name) => {
    expect(() => parseAction(name, encoded("{}"))).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: `Bad request: no available action for string \`${name}\`.`,
      }),
    );
  },
);

test("the name of an unknown action is not repeated without end", () => {
  expect(() => parseAction("x".repeat(100_000), encoded("{}"))).toThrow(
    expect.objectContaining({ message: expect.stringMatching(/^.{1,200}$/) }),
  );
});

test("an ontology tag has a limit", () => {
  const body = (characters: number) =>
    encoded(
      `{"session_uuid":"${uuid}","locator":"s/t","serialization_format":"default","ontology_tag":"${"t".repeat(characters)}","user_metadata":{}}`,
    );
  expect(() => parseAction("topic_create", body(1_024))).not.toThrow();
  expect(() => parseAction("topic_create", body(1_025))).toThrow(
    expect.objectContaining({
      code: "invalid",
      message: "Bad request: ontology_tag has 1025 characters, at most 1024 are allowed.",
    }),
  );
});

describe("a notification too long is cut, not refused: it reports an error", () => {
  /** Of `…` in UTF-8. */
  const markBytes = 3;
  test.each([
    ["e", notificationBytesMax, "e".repeat(notificationBytesMax)],
    ["e", notificationBytesMax + 1, `${"e".repeat(notificationBytesMax - markBytes)}…`],
    ["東", notificationBytesMax / 2, `${"東".repeat(Math.floor((notificationBytesMax - markBytes) / 3))}…`],
    ["🚗", notificationBytesMax / 2, `${"🚗".repeat(Math.floor((notificationBytesMax - markBytes) / 4))}…`],
  ])("%s, %i times", (character, times, message) => {
    const body = encoded(`{"locator":"drive-07","notification_type":"error","msg":"${character.repeat(times)}"}`);
    expect(parseAction("sequence_notification_create", body).request).toMatchObject({ message });
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(notificationBytesMax);
  });
});

describe("commands of descriptors", () => {
  test.each([
    ['{"resource_locator":"s"}', { locator: "s", startNs: undefined, endNs: undefined }],
    ['{"resource_locator":"s/t","x":[]}', { locator: "s/t", startNs: undefined, endNs: undefined }],
    [
      '{"resource_locator":"s/t","timestamp_ns_start":-9223372036854775808,"timestamp_ns_end":9223372036854775807}',
      { locator: "s/t", startNs: -(2n ** 63n), endNs: 2n ** 63n - 1n },
    ],
    [
      '{"resource_locator":"s/t","timestamp_ns_start":null,"timestamp_ns_end":1700000000123456789}',
      { locator: "s/t", startNs: undefined, endNs: 1_700_000_000_123_456_789n },
    ],
  ])("%s", (text, command) => expect(parseResourceCommand(encoded(text))).toEqual(command));

  test.each([
    ["", "the command is not JSON"],
    ["[]", "the command: "],
    ["{}", "the command: resource_locator: "],
    ['{"resource_locator":5}', "the command: resource_locator: "],
    ['{"resource_locator":"s","timestamp_ns_start":"5"}', "the command: timestamp_ns_start: "],
    [
      '{"resource_locator":"s","timestamp_ns_end":0.5}',
      "the command: timestamp_ns_end: expected an int64, found the number 0.5",
    ],
    [
      '{"resource_locator":"s","timestamp_ns_end":9223372036854775808}',
      "the command: timestamp_ns_end: expected an int64",
    ],
  ])("%j is none", (text, reason) => {
    expect(() => parseResourceCommand(encoded(text))).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining(`Bad request: ${reason}`) }),
    );
  });

  test("an upload names its topic and its UUID", () => {
    const command = encoded(`{"resource_locator":"/drive-07/imu","topic_uuid":"${uuid.toUpperCase()}"}`);
    expect(parsePutCommand(command)).toEqual({ topic: "drive-07/imu", uuid });
  });

  test.each([
    ['{"resource_locator":"drive-07/imu"}', "invalid", "topic_uuid"],
    [`{"resource_locator":"drive-07","topic_uuid":"${uuid}"}`, "invalid", "expected a topic"],
    ['{"resource_locator":"drive-07/imu","topic_uuid":"x"}', "invalid", "invalid uuid"],
    [`{"resource_locator":"${"x".repeat(actionBytesMax)}"}`, "overloaded", "at most"],
  ])("an upload with a bad command is refused", (text, code, reason) => {
    expect(() => parsePutCommand(encoded(text))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(reason) }),
    );
  });
});
