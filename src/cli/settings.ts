/** Every setting of the server, once: its flag, variable, TOML key, bounds, default and meaning. The README's table is made of it. */

import { z } from "zod";
import { logLevels } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import {
  chunkBytesNormal,
  commitBytesNormal,
  commitIntervalMs,
  freeSpaceFloorBytes,
  memoryBytes,
  messageBytes,
} from "../model/limits.ts";
import { isLoopback } from "../model/remote-url.ts";

const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Characters of a wrong value that are repeated. A switch takes short words: what is longer may be a secret in the wrong place. */
const shownCharactersMax = { any: 200, flag: 8 } as const;

/** A setting that is read out of what flags (text), variables (text) or TOML (anything) have; undefined where it cannot be. */
function setting<Value>(
  expected: string,
  read: (given: unknown) => Value | undefined,
  shownMax: number = shownCharactersMax.any,
) {
  return z.unknown().transform((given, context): Value => {
    const value = read(given);
    if (value !== undefined) return value;
    const long = typeof given === "string" && given.length > shownMax;
    const found = long ? `a text of ${given.length} characters` : JSON.stringify(given);
    context.addIssue({ code: "custom", message: `expected ${expected}, found ${found}` });
    return z.NEVER;
  });
}

/** Bytes: a number, or a text with a unit such as `64MiB`. */
function size(least: number, most: number) {
  return setting(`bytes from ${least} to ${most}, as a number or like 64MiB`, (given) => {
    const bytes = typeof given === "number" || typeof given === "string" ? bytesIn(String(given)) : undefined;
    return bytes !== undefined && bytes >= least && bytes <= most ? bytes : undefined;
  });
}

function bytesIn(text: string): number | undefined {
  const match = /^([0-9]+)\s*([A-Za-z]*)$/.exec(text);
  const unit = sizeUnits[match?.[2] ?? ""];
  const bytes = match === null || unit === undefined ? Number.NaN : Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** In the largest unit of which it is a whole number. */
export function bytesText(bytes: number): string {
  const units = Object.entries(sizeUnits).filter(([, of]) => bytes >= of && bytes % of === 0);
  const [unit, of] = units.reduce((a, b) => (b[1] > a[1] ? b : a), ["", 1]);
  return `${bytes / of}${unit}`;
}

/** Bytes of a command's flag. @throws Fault invalid */
export function readBytes(flag: string, text: string): number {
  const bytes = bytesIn(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new Fault(
    "invalid",
    `${flag}: expected bytes as a number above 0, or with a unit (kB, MB, GB, KiB, MiB, GiB) like 2MiB, found ${JSON.stringify(text.slice(0, 40))}`,
  );
}

const durationUnitsMs: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 };

/** Milliseconds, of a text such as `30d`, `12h`, `15m` or `10s`; 0 where that means none. */
function duration(leastMs: number) {
  return setting(`a time like 30d, 12h, 15m or 10s${leastMs === 0 ? ", or 0 for none" : ""}`, (given) => {
    if (given === 0 || given === "0") return leastMs === 0 ? 0 : undefined;
    const match = typeof given === "string" ? /^([0-9]{1,6})([smhd])$/.exec(given) : null;
    const unit = durationUnitsMs[match?.[2] ?? ""];
    const ms = match === null || unit === undefined ? Number.NaN : Number(match[1]) * unit;
    return ms >= leastMs ? ms : undefined;
  });
}

const className = /^[a-z][a-z0-9_-]*$/;

const retentionClass = z.strictObject({
  name: z.string().regex(className, `expected a name like ${className.source}`),
  sequence: z.string().min(1).optional(),
  tag: z.string().min(1).optional(),
  metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  priority: z.int().default(0),
  keep: z.boolean().default(false),
  require_synced: z.boolean().optional(),
  min_age: duration(0).optional(),
});

const exampleClasses = '[{"name":"crash","sequence":"crash-*","keep":true}]';

/** Tables of the TOML file, or the same as JSON text in a flag or variable. */
const retentionClasses = z.unknown().transform((given, context) => {
  const value = typeof given === "string" ? parsed(given) : given;
  if (!Array.isArray(value)) {
    const found = JSON.stringify(given)?.slice(0, shownCharactersMax.any);
    context.addIssue({ code: "custom", message: `expected JSON like ${exampleClasses}, found ${found}` });
    return z.NEVER;
  }
  const result = z.array(retentionClass).safeParse(value);
  if (result.success) return result.data;
  for (const { path, message } of result.error.issues) {
    context.addIssue({ code: "custom", message: `${path.length === 0 ? "all" : path.join(".")}: ${message}` });
  }
  return z.NEVER;
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function integer(least: number, most: number) {
  return setting(`an integer from ${least} to ${most}`, (given) => {
    const value = typeof given === "string" && /^[0-9]+$/.test(given) ? Number(given) : given;
    return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most ? value : undefined;
  });
}

const flag = setting(
  "true or false",
  (given) => {
    if (typeof given === "boolean") return given;
    if (typeof given !== "string") return undefined;
    if (["1", "true", "yes", "on"].includes(given.toLowerCase())) return true;
    return ["0", "false", "no", "off", ""].includes(given.toLowerCase()) ? false : undefined;
  },
  shownCharactersMax.flag,
);

function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return setting(`one of ${words.join(", ")}`, (given) =>
    // A version is easily written as a number in TOML.
    typeof given === "string" || typeof given === "number"
      ? words.find((known): known is Words[number] => known === String(given))
      : undefined,
  );
}

const text = setting("a text that is not empty", (given) =>
  typeof given === "string" && given !== "" ? given : undefined,
);

/** A list of the TOML file, or with commas in a flag or variable. */
const texts = setting("texts, or one with commas between them", (given): readonly string[] | undefined => {
  const list: unknown = typeof given === "string" ? given.split(",").map((one) => one.trim()) : given;
  if (!Array.isArray(list) || !list.every((one) => typeof one === "string")) return undefined;
  return list.filter((one) => one !== "");
});

export interface Setting {
  readonly shape: z.ZodType;
  /** As it is written; undefined when there is none. */
  readonly normal: string | number | boolean | undefined;
  /** Placeholder of the flag's value; a flag without one is a switch. */
  readonly value?: string;
  /** Variables besides `MOSAICO_EDGE_<KEY>`. */
  readonly variables?: readonly string[];
  readonly meaning: string;
}

const chunkSizeMax = 2 ** 40;

export const settings = {
  data_dir: { shape: text, normal: "./data", value: "DIR", meaning: "where everything is kept" },
  host: { shape: text, normal: "127.0.0.1", value: "ADDRESS", meaning: "address to listen on" },
  port: { shape: integer(0, 65_535), normal: 6726, value: "N", meaning: "port to listen on, 0 for any free one" },
  api_key: { shape: flag, normal: false, meaning: "ask every call for an API key" },
  insecure: { shape: flag, normal: false, meaning: "listen beyond this machine without API keys" },
  tls_cert: {
    shape: text,
    normal: undefined,
    value: "FILE",
    meaning: "certificate chain (PEM); switches TLS on, 1.2 at least",
  },
  tls_key: { shape: text, normal: undefined, value: "FILE", meaning: "private key (PEM)" },
  legacy_sdk: {
    shape: oneOf(["0.4", "0.5"]),
    normal: undefined,
    value: "0.4|0.5",
    meaning:
      "for which of the two a client without an API key is taken that gives no sign; else the last one from its address, or 0.4",
  },
  max_message_bytes: {
    shape: size(messageBytes.least, messageBytes.most),
    normal: messageBytes.normal,
    value: "BYTES",
    meaning: "largest message of an upload; SDK 0.7 makes its batches and its drop limit of it",
  },
  memory_budget: {
    shape: size(memoryBytes.least, memoryBytes.most),
    normal: memoryBytes.normal,
    value: "BYTES",
    meaning: "bytes that messages in flight, reads and merges may hold together",
  },
  max_chunk_size_in_bytes: {
    shape: size(0, chunkSizeMax),
    normal: chunkBytesNormal,
    value: "BYTES",
    variables: ["MOSAICOD_MAX_CHUNK_SIZE_IN_BYTES"],
    meaning: "a chunk file is sealed before it grows beyond this; 0 for unlimited",
  },
  chunk_age: {
    shape: duration(1_000),
    normal: "10m",
    value: "TIME",
    meaning: "or when it has been open for so long",
  },
  commit_interval_ms: {
    shape: integer(commitIntervalMs.least, commitIntervalMs.most),
    normal: commitIntervalMs.normal,
    value: "MS",
    meaning: "streams in flight are made durable this often",
  },
  commit_bytes: {
    shape: size(1, chunkSizeMax),
    normal: commitBytesNormal,
    value: "BYTES",
    meaning: "or after so many bytes",
  },
  free_space_floor: {
    shape: size(freeSpaceFloorBytes.least, freeSpaceFloorBytes.most),
    normal: freeSpaceFloorBytes.normal,
    value: "BYTES",
    meaning:
      "free space that is left to the rest of the machine; uploads are refused 16 MiB above it, old sessions go an eighth of it earlier",
  },
  max_bytes: {
    shape: size(0, freeSpaceFloorBytes.most),
    normal: 0,
    value: "BYTES",
    meaning: "bytes of all sessions together, above which the oldest are deleted; 0 for no limit",
  },
  max_age: {
    shape: duration(0),
    normal: 0,
    value: "TIME",
    meaning: "age above which finalized sessions are deleted, like 30d; 0 for no limit",
  },
  evict_unsynced: {
    shape: flag,
    normal: false,
    meaning: "let retention delete finalized sessions that no central Mosaico has",
  },
  retention_class: {
    shape: retentionClasses,
    normal: "[]",
    value: "JSON",
    meaning: "classes of sessions with retention of their own",
  },
  open_sessions: {
    shape: oneOf(["keep", "finalize", "delete"]),
    normal: "keep",
    value: "keep|finalize|delete",
    meaning: "what becomes of open sessions that nobody returns to",
  },
  open_session_grace: {
    shape: duration(1_000),
    normal: "24h",
    value: "TIME",
    meaning: "how long nobody has to return to an open session before that",
  },
  skip_index: {
    shape: oneOf(["keep", "none"]),
    normal: "keep",
    value: "keep|none",
    meaning: "whether it is noted what values are in what comes in; without, queries on contents read all of it",
  },
  ontology_policy: {
    shape: oneOf(["off", "warn", "strict"]),
    normal: "warn",
    value: "off|warn|strict",
    meaning:
      "what finalize does with topics that do not fit the model of their tag: nothing, leave a notification, or refuse",
  },
  ontology_dir: {
    shape: text,
    normal: undefined,
    value: "DIR",
    meaning: "directory of definitions (*.json) of models, read at start",
  },
  bundle_trust: {
    shape: texts,
    normal: "",
    value: "KEYS",
    meaning: "public keys, or files of them, whose bundles are imported and pushed",
  },
  log_level: {
    shape: oneOf(["debug", "info", "warning", "error"]),
    normal: "info",
    value: logLevels.join("|"),
    meaning: "least level that is logged",
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;
export type Config = { readonly [Name in SettingName]: z.output<(typeof settings)[Name]["shape"]> | Undefined<Name> };
type Undefined<Name extends SettingName> = (typeof settings)[Name]["normal"] extends undefined ? undefined : never;

export const settingNames = Object.keys(settings) as SettingName[];

export function flagOf(name: SettingName): string {
  return `--${name.replaceAll("_", "-")}`;
}

/** Of a switch: unsets it, whatever variable or file say. */
export function noFlagOf(name: SettingName): string {
  return flagOf(name).replace("--", "--no-");
}

export function variablesOf(name: SettingName): string[] {
  const { variables }: Setting = settings[name];
  return [`MOSAICO_EDGE_${name.toUpperCase()}`, ...(variables ?? [])];
}

/** Values of one source, by setting; where they come from is named in errors. */
export interface ConfigSource {
  readonly name: (setting: SettingName) => string;
  readonly values: Readonly<Partial<Record<SettingName, unknown>>>;
}

/** One setting alone, whatever the others are. @throws Fault invalid naming source, expected and found */
export function resolveSetting(name: SettingName, sources: readonly ConfigSource[]): unknown {
  const source = sources.find(({ values }) => values[name] !== undefined);
  if (source === undefined) return normalOf(name);
  const result = settings[name].shape.safeParse(source.values[name]);
  if (result.success) return result.data;
  throw new Fault("invalid", `${source.name(name)}: ${result.error.issues.map((issue) => issue.message).join("; ")}`);
}

/** Takes each setting from the first source that has it. @throws Fault invalid naming source, expected and found */
export function resolveConfig(sources: readonly ConfigSource[]): Config {
  const entries = settingNames.map((name) => [name, resolveSetting(name, sources)] as const);
  return checkTogether(Object.fromEntries(entries) as Config);
}

function normalOf(name: SettingName): unknown {
  const { normal, shape }: Setting = settings[name];
  return normal === undefined ? undefined : shape.parse(normal);
}

function checkTogether(config: Config): Config {
  if (2 * config.max_message_bytes > config.memory_budget) {
    throw new Fault(
      "invalid",
      `max_message_bytes is ${config.max_message_bytes} and memory_budget ${config.memory_budget}: the budget has to hold two messages`,
    );
  }
  if ((config.tls_cert === undefined) !== (config.tls_key === undefined)) {
    const missing = config.tls_cert === undefined ? "tls_cert" : "tls_key";
    throw new Fault("invalid", `tls_cert and tls_key belong together, ${missing} is missing`);
  }
  if (!isLoopback(config.host) && !config.api_key && !config.insecure) {
    throw new Fault(
      "invalid",
      `host is ${config.host}: without API keys (--api-key) everybody who reaches this machine may write and delete. Say --insecure if that is wanted`,
    );
  }
  return config;
}
