// Settings: flags before variables before the TOML file before defaults, and every mistake told with its place.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type Flags, readConfig } from "../../src/cli/config.ts";
import { type Config, flagOf, type SettingName, settingNames, settings, variablesOf } from "../../src/cli/settings.ts";
import { Coverage } from "../model/coverage.ts";

const folder = mkdtempSync(path.join(tmpdir(), "mosaico-edge-settings-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = path.join(folder, "config.toml");

interface Given {
  readonly flags?: Flags;
  readonly environment?: Readonly<Record<string, string>>;
  readonly toml?: string;
}

function read({ flags = {}, environment = {}, toml }: Given): Config {
  if (toml !== undefined) writeFileSync(file, toml);
  return readConfig({ flags, environment, file: toml === undefined ? undefined : file });
}

const normal: Config = {
  data_dir: "./data",
  host: "127.0.0.1",
  port: 6726,
  api_key: false,
  insecure: false,
  tls_cert: undefined,
  tls_key: undefined,
  legacy_sdk: undefined,
  max_message_bytes: 32 * 2 ** 20,
  memory_budget: 256 * 2 ** 20,
  max_chunk_size_in_bytes: 64 * 2 ** 20,
  chunk_age: 600_000,
  commit_interval_ms: 200,
  commit_bytes: 64 * 2 ** 20,
  free_space_floor: 256 * 2 ** 20,
  max_bytes: 0,
  max_age: 0,
  evict_unsynced: false,
  retention_class: [],
  open_sessions: "keep",
  open_session_grace: 24 * 3_600_000,
  skip_index: "keep",
  ontology_policy: "warn",
  ontology_dir: undefined,
  bundle_trust: [],
  log_level: "info",
};

test("without anything said the defaults apply", () => expect(read({})).toEqual(normal));

/** Three values of each setting: as a flag, as a variable and in TOML, with what they come to. */
const three: Readonly<Record<SettingName, readonly [string | boolean, string, string, readonly unknown[]]>> = {
  data_dir: ["/a", "/b", '"/c"', ["/a", "/b", "/c"]],
  host: ["127.0.0.2", "127.0.0.3", '"::1"', ["127.0.0.2", "127.0.0.3", "::1"]],
  port: ["0", "65535", "1", [0, 65_535, 1]],
  api_key: [true, "no", "true", [true, false, true]],
  insecure: [true, "OFF", "true", [true, false, true]],
  tls_cert: ["a.pem", "b.pem", '"c.pem"', ["a.pem", "b.pem", "c.pem"]],
  tls_key: ["a.key", "b.key", '"c.key"', ["a.key", "b.key", "c.key"]],
  legacy_sdk: ["0.5", "0.4", '"0.5"', ["0.5", "0.4", "0.5"]],
  max_message_bytes: ["17MiB", "20 MB", "33554432", [17 * 2 ** 20, 20_000_000, 33_554_432]],
  memory_budget: ["1GiB", "512MiB", "100000000", [2 ** 30, 2 ** 29, 100_000_000]],
  max_chunk_size_in_bytes: ["0", "1kB", "4096", [0, 1_000, 4_096]],
  chunk_age: ["10s", "2h", '"1d"', [10_000, 7_200_000, 86_400_000]],
  commit_interval_ms: ["1", "60000", "50", [1, 60_000, 50]],
  commit_bytes: ["1", "1KiB", "7", [1, 1_024, 7]],
  free_space_floor: ["16MiB", "1GB", "33554432", [16 * 2 ** 20, 1e9, 2 ** 25]],
  max_bytes: ["0", "10GiB", "5", [0, 10 * 2 ** 30, 5]],
  max_age: ["0", "30d", '"12h"', [0, 30 * 86_400_000, 12 * 3_600_000]],
  evict_unsynced: [true, "no", "true", [true, false, true]],
  retention_class: [
    '[{"name":"a"}]',
    '[{"name":"b","keep":true,"min_age":"1d"}]',
    '[{ name = "c", sequence = "drive-*", priority = 2, require_synced = false }]',
    [
      [{ name: "a", priority: 0, keep: false }],
      [{ name: "b", priority: 0, keep: true, min_age: 86_400_000 }],
      [{ name: "c", sequence: "drive-*", priority: 2, keep: false, require_synced: false }],
    ],
  ],
  open_sessions: ["finalize", "delete", '"keep"', ["finalize", "delete", "keep"]],
  open_session_grace: ["1s", "15m", '"2d"', [1_000, 900_000, 172_800_000]],
  skip_index: ["none", "keep", '"none"', ["none", "keep", "none"]],
  ontology_policy: ["off", "strict", '"warn"', ["off", "strict", "warn"]],
  ontology_dir: ["/a", "/b", '"/c"', ["/a", "/b", "/c"]],
  bundle_trust: ["a", "b, c", '["d", "e"]', [["a"], ["b", "c"], ["d", "e"]]],
  log_level: ["debug", "error", '"warning"', ["debug", "error", "warning"]],
};

test("every setting: a flag goes before a variable, a variable before the file", () => {
  const coverage = new Coverage("settings: sources", settingNames);
  for (const name of settingNames) {
    const [flag, variable, toml, [fromFlag, fromVariable, fromFile]] = three[name];
    // Certificate and key belong together.
    const other = name === "tls_cert" ? "tls_key" : name === "tls_key" ? "tls_cert" : undefined;
    const flags = { [name]: flag, ...(other === undefined ? {} : { [other]: "x" }) };
    const [key = ""] = variablesOf(name);
    const environment = { [key]: variable, ...(other === undefined ? {} : { [variablesOf(other)[0] ?? ""]: "x" }) };
    const text = `${name} = ${toml}\n${other === undefined ? "" : `${other} = "x"\n`}`;
    expect(read({ flags, environment, toml: text })[name], flagOf(name)).toEqual(fromFlag);
    expect(read({ environment, toml: text })[name], key).toEqual(fromVariable);
    expect(read({ toml: text })[name], `${name} in TOML`).toEqual(fromFile);
    expect(read({ toml: "" })[name]).toEqual(normal[name]);
    coverage.hit(name);
  }
  coverage.check();
});

test("flags and variables are called after the key", () => {
  expect(flagOf("max_chunk_size_in_bytes")).toBe("--max-chunk-size-in-bytes");
  expect(variablesOf("max_chunk_size_in_bytes")).toEqual([
    "MOSAICO_EDGE_MAX_CHUNK_SIZE_IN_BYTES",
    "MOSAICOD_MAX_CHUNK_SIZE_IN_BYTES",
  ]);
});

test("a version may be a number in TOML", () => expect(read({ toml: "legacy_sdk = 0.5" }).legacy_sdk).toBe("0.5"));

test("the central daemon's variable for chunks is understood, ours goes first", () => {
  const MOSAICOD_MAX_CHUNK_SIZE_IN_BYTES = "5000";
  expect(read({ environment: { MOSAICOD_MAX_CHUNK_SIZE_IN_BYTES } }).max_chunk_size_in_bytes).toBe(5_000);
  const MOSAICO_EDGE_MAX_CHUNK_SIZE_IN_BYTES = "6000";
  const both = { MOSAICOD_MAX_CHUNK_SIZE_IN_BYTES, MOSAICO_EDGE_MAX_CHUNK_SIZE_IN_BYTES };
  expect(read({ environment: both }).max_chunk_size_in_bytes).toBe(6_000);
});

test("the file may be named by a variable, and by a flag before it", () => {
  const other = path.join(folder, "other.toml");
  writeFileSync(other, "port = 5");
  writeFileSync(file, "port = 6");
  const environment = { MOSAICO_EDGE_CONFIG: other };
  expect(readConfig({ flags: {}, environment, file: undefined }).port).toBe(5);
  expect(readConfig({ flags: {}, environment, file }).port).toBe(6);
});

test("variables that do not begin as ours are nobody's business, nor is the one of the add-on's loader", () => {
  const environment = { MOSAICO_EDGE: "1", MOSAICO_EDGE_ADDON_DIR: "/x", PORT: "1", MOSAICOD_PORT: "2" };
  expect(read({ environment })).toEqual(normal);
});

describe("sizes", () => {
  const bytesOf = (text: string): number => read({ flags: { commit_bytes: text } }).commit_bytes;
  test.each([
    ["1", 1],
    ["1B", 1],
    ["2kB", 2_000],
    ["2KiB", 2_048],
    ["3MB", 3_000_000],
    ["3 MiB", 3 * 2 ** 20],
    ["4GB", 4_000_000_000],
    ["4GiB", 4 * 2 ** 30],
  ])("%s is %i", (text, bytes) => expect(bytesOf(text)).toBe(bytes));
  test.each(["", " ", "-1", "1.5MiB", "1mib", "1K", "1TiB", "MiB", "1 2", "0x10", "1e3", "٣"])("%j is none", (text) => {
    expect(() => bytesOf(text)).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: `--commit-bytes: expected bytes from 1 to ${2 ** 40}, as a number or like 64MiB, found ${JSON.stringify(text)}`,
      }),
    );
  });
});

test.each(["1", "true", "TRUE", "yes", "On"])("the word %j switches on", (word) => {
  expect(read({ environment: { MOSAICO_EDGE_API_KEY: word } }).api_key).toBe(true);
});
test.each(["0", "false", "No", "OFF", ""])("the word %j switches off", (word) => {
  expect(read({ environment: { MOSAICO_EDGE_API_KEY: word } }).api_key).toBe(false);
});

describe("a mistake is told with its place, what was expected and what was found", () => {
  const bytes = (least: number, most: number): string =>
    `expected bytes from ${least} to ${most}, as a number or like 64MiB`;
  const messageBytes = bytes(17 * 2 ** 20, 512 * 2 ** 20);
  const wrong: readonly (readonly [SettingName, string, string])[] = [
    ["port", "-1", 'expected an integer from 0 to 65535, found "-1"'],
    ["port", "65536", 'expected an integer from 0 to 65535, found "65536"'],
    ["port", "", 'expected an integer from 0 to 65535, found ""'],
    ["port", "http", 'expected an integer from 0 to 65535, found "http"'],
    ["commit_interval_ms", "0", 'expected an integer from 1 to 60000, found "0"'],
    ["commit_interval_ms", "1.5", 'expected an integer from 1 to 60000, found "1.5"'],
    ["api_key", "maybe", 'expected true or false, found "maybe"'],
    ["insecure", "2", 'expected true or false, found "2"'],
    ["legacy_sdk", "0.6", 'expected one of 0.4, 0.5, found "0.6"'],
    ["log_level", "INFO", 'expected one of debug, info, warning, error, found "INFO"'],
    ["max_message_bytes", "16MiB", `${messageBytes}, found "16MiB"`],
    ["max_message_bytes", "513MiB", `${messageBytes}, found "513MiB"`],
    ["memory_budget", "33MiB", `${bytes(34 * 2 ** 20, 64 * 2 ** 30)}, found "33MiB"`],
    ["max_chunk_size_in_bytes", "all", `${bytes(0, 2 ** 40)}, found "all"`],
    ["commit_bytes", "0", `${bytes(1, 2 ** 40)}, found "0"`],
  ];
  const places = [
    ["flag", (name: SettingName, value: string) => ({ flags: { [name]: value } }), (name: SettingName) => flagOf(name)],
    [
      "variable",
      (name: SettingName, value: string) => ({ environment: { [variablesOf(name)[0] ?? ""]: value } }),
      (name: SettingName) => variablesOf(name)[0] ?? "",
    ],
    [
      "TOML",
      (name: SettingName, value: string) => ({ toml: `${name} = ${JSON.stringify(value)}` }),
      (name: SettingName) => `${file}: ${name}`,
    ],
  ] as const;
  for (const [place, given, nameOf] of places) {
    test.each(wrong)(`${place} %s = %j`, (name, value, reason) => {
      expect(() => read(given(name, value))).toThrow(
        expect.objectContaining({ code: "invalid", message: `${nameOf(name)}: ${reason}` }),
      );
    });
  }

  test.each([
    ["port = 65536", "port: expected an integer from 0 to 65535, found 65536"],
    ["port = 1.5", "port: expected an integer from 0 to 65535, found 1.5"],
    ["commit_bytes = 0.5", `commit_bytes: ${bytes(1, 2 ** 40)}, found 0.5`],
    ["log_level = true", "log_level: expected one of debug, info, warning, error, found true"],
    ["host = 5", "host: expected a text that is not empty, found 5"],
    ["data_dir = false", "data_dir: expected a text that is not empty, found false"],
    ['host = ""', 'host: expected a text that is not empty, found ""'],
    ["port = true", "port: expected an integer from 0 to 65535, found true"],
    ["port = []", "port: expected an integer from 0 to 65535, found []"],
    ["commit_bytes = true", `commit_bytes: ${bytes(1, 2 ** 40)}, found true`],
    ["commit_bytes = 1979-05-27", `commit_bytes: ${bytes(1, 2 ** 40)}, found "1979-05-27"`],
    ["api_key = 5", "api_key: expected true or false, found 5"],
    ["log_level = { a = 1 }", 'log_level: expected one of debug, info, warning, error, found {"a":1}'],
    ['log_level = ["info"]', 'log_level: expected one of debug, info, warning, error, found ["info"]'],
    ['legacy_sdk = ["0.4"]', 'legacy_sdk: expected one of 0.4, 0.5, found ["0.4"]'],
    ["legacy_sdk = 0.6", "legacy_sdk: expected one of 0.4, 0.5, found 0.6"],
  ])("TOML has types: %s", (toml, reason) => {
    expect(() => read({ toml })).toThrow(expect.objectContaining({ code: "invalid", message: `${file}: ${reason}` }));
  });

  test("a mistake in what a better source overrides does not matter", () => {
    expect(read({ flags: { port: "1" }, environment: { MOSAICO_EDGE_PORT: "x" } }).port).toBe(1);
  });
});

describe("the TOML file is strict", () => {
  test.each([
    ["bogus = 1", "unknown key bogus, expected data_dir, host"],
    ["a = 1\nb = 2", "unknown key a, b, expected"],
    ["[server]\nport = 1", "unknown key server, expected"],
    ["data-dir = '/x'", "unknown key data-dir, expected"],
    ["PORT = 1", "unknown key PORT, expected"],
    ["__proto__ = 1", "unknown key __proto__, expected"],
  ])("%j", (toml, reason) => {
    expect(() => read({ toml })).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining(`${file}: ${reason}`) }),
    );
  });

  test.each(["port =", "port = 1\nport = 2", "= 1", "port = 9007199254740993", "host = 'a", "{}"])(
    "%j is no TOML",
    (toml) => {
      expect(() => read({ toml })).toThrow(
        expect.objectContaining({ code: "invalid", message: expect.stringContaining(`${file} is not TOML: `) }),
      );
    },
  );

  test("a file that is not there, and a folder", () => {
    const gone = path.join(folder, "gone.toml");
    expect(() => readConfig({ flags: {}, environment: {}, file: gone })).toThrow(
      expect.objectContaining({ code: "absent", message: expect.stringContaining(gone) }),
    );
    expect(() => readConfig({ flags: {}, environment: {}, file: folder })).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: `Cannot read ${folder}: it is a directory, expected a file`,
      }),
    );
  });

  test("an empty one and one of comments say nothing", () => {
    expect(read({ toml: "" })).toEqual(normal);
    expect(read({ toml: "# port = 1\n" })).toEqual(normal);
  });
});

describe("settings that depend on each other", () => {
  test("the budget holds two messages", () => {
    const flags = { max_message_bytes: "20MiB", memory_budget: "40MiB" };
    expect(read({ flags }).memory_budget).toBe(40 * 2 ** 20);
    expect(() => read({ flags: { ...flags, max_message_bytes: 20 * 2 ** 20 + 1 } })).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: `max_message_bytes is ${20 * 2 ** 20 + 1} and memory_budget ${40 * 2 ** 20}: the budget has to hold two messages`,
      }),
    );
  });

  test.each([
    [{ tls_cert: "a" }, "tls_key"],
    [{ tls_key: "a" }, "tls_cert"],
  ])("%o alone is half of TLS", (flags, missing) => {
    expect(() => read({ flags })).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: `tls_cert and tls_key belong together, ${missing} is missing`,
      }),
    );
  });

  test.each(["127.0.0.1", "127.9.9.9", "::1", "localhost"])("%s is this machine", (host) => {
    expect(read({ flags: { host } }).host).toBe(host);
  });

  test.each(["0.0.0.0", "::", "192.168.1.5", "robot.local", "128.0.0.1", "127.0.0.1.example.com"])(
    "%s is beyond this machine and wants keys, or a word that says otherwise",
    (host) => {
      expect(() => read({ flags: { host } })).toThrow(
        expect.objectContaining({
          code: "invalid",
          message: expect.stringMatching(`^host is ${host}: without API keys .*--insecure`),
        }),
      );
      expect(read({ flags: { host, api_key: true } }).host).toBe(host);
      expect(read({ flags: { host, insecure: true } }).host).toBe(host);
      expect(() => read({ flags: { host }, environment: { MOSAICO_EDGE_INSECURE: "no" } })).toThrow("without API keys");
    },
  );
});

test("every setting says what it means, and defaults pass their own check", () => {
  for (const name of settingNames) {
    const { meaning, normal: value, shape } = settings[name];
    expect(meaning).not.toBe("");
    if (value !== undefined) expect(shape.safeParse(value).success, name).toBe(true);
  }
});
