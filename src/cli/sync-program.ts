/** The command line of `sync`: words and flags into calls. */

import { type Command, Option } from "commander";
import { type ConflictPolicy, conflictPolicies, type Verification, verifications } from "../model/target.ts";
import {
  absolutePath,
  asJson,
  checkGlobs,
  more,
  newCommand,
  type PlaceOptions,
  placeOf,
  withPlace,
} from "./command-line.ts";
import {
  addTarget,
  changeTarget,
  checkRemote,
  confirmTarget,
  forgetTarget,
  hurryTarget,
  pauseTarget,
  retryTarget,
  showTarget,
  type TargetChange,
} from "./sync.ts";
import { showSync } from "./sync-status.ts";
import { readAddress, readClass, readRate } from "./target-text.ts";

interface FormatFlags extends PlaceOptions {
  readonly json?: boolean;
}

/** What was said of a target; `false` is a flag like `--no-ca`: nothing of it. */
interface TargetFlags extends FormatFlags {
  readonly url?: string;
  readonly ca?: string | false;
  readonly apiKeyFile?: string | false;
  readonly include?: readonly string[] | false;
  readonly exclude?: readonly string[] | false;
  readonly onConflict?: ConflictPolicy;
  readonly verify?: Verification;
  readonly class?: readonly string[] | false;
  readonly classesOnly?: boolean;
  readonly rate?: readonly string[] | false;
  readonly interface?: readonly string[] | false;
  readonly whenReachable?: string | false;
}

/** @param endWith hears the exit code */
export function syncCommand(signal: AbortSignal, endWith: (code: number) => void): Command {
  const command = newCommand("sync").description("Where finalized sessions go: other edges and central Mosaicos");
  withRules(withRemote(withPlace(command.command("add <name> <url>"))))
    .description("Add a target, like grpc+tls://central.example:6726; a server that runs begins within a second")
    .action(async (name: string, url: string, flags: TargetFlags) =>
      addTarget(placeOf(flags), name, url, changeOf(flags)),
    );
  withoutThem(withRules(withRemote(withPlace(command.command("set <name>")))))
    .description("Change a target: what is given replaces what was said of it, the rest stays")
    .option("--url <URL>", "where it is reached now; another Mosaico is another target")
    .action(async (name: string, flags: TargetFlags) => changeTarget(placeOf(flags), name, changeOf(flags)));
  withPlace(command.command("show <name>"))
    .description("Say what was said of a target")
    .addOption(asJson)
    .action(async (name: string, flags: FormatFlags) => showTarget(placeOf(flags), name, formatOf(flags)));
  withRemote(withPlace(command.command("check <url|name>")))
    .description("Connect and say what is there, what is allowed and what would be sent; changes nothing")
    .addOption(asJson)
    .action(async (which: string, flags: TargetFlags) =>
      endWith(await checkRemote(placeOf(flags), which, changeOf(flags), { format: formatOf(flags), signal })),
    );
  withPlace(command.command("remove <name>"))
    .description("Forget a target and how far sessions have come on their way to it")
    .action(async (name: string, flags: PlaceOptions) => forgetTarget(placeOf(flags), name));
  withPlace(command.command("pause <name>"))
    .description("Send nothing there until it is resumed")
    .action(async (name: string, flags: PlaceOptions) => pauseTarget(placeOf(flags), name, true));
  withPlace(command.command("resume <name>"))
    .description("Go on after a pause")
    .action(async (name: string, flags: PlaceOptions) => pauseTarget(placeOf(flags), name, false));
  withPlace(command.command("retry <name>"))
    .description("Try parked sessions again; prints how many")
    .action(async (name: string, flags: PlaceOptions) => retryTarget(placeOf(flags), name));
  withPlace(command.command("confirm <name>"))
    .description("Say that it is the store that it was, though what was synced last was deleted there")
    .action(async (name: string, flags: PlaceOptions) => confirmTarget(placeOf(flags), name));
  withPlace(command.command("now <name>"))
    .description("Do not wait for the next try")
    .action(async (name: string, flags: PlaceOptions) => hurryTarget(placeOf(flags), name));
  withPlace(command.command("status"))
    .description("Targets, and where sessions stand with them")
    .option("--watch", "again and again, with what is on its way")
    .addOption(asJson)
    .action(async (flags: FormatFlags & { watch?: boolean }) =>
      showSync(placeOf(flags), { format: formatOf(flags), watch: flags.watch === true, signal }),
    );
  return command;
}

/** How it is reached, and of which sequences sessions go there. */
function withRemote(command: Command): Command {
  return command
    .option("--ca <FILE>", "certificates to trust (PEM) in place of the system's")
    .option("--api-key-file <FILE>", "file with the API key for it, read at each connection")
    .option("--include <PATTERN>", "only sequences with such names, like 'drive-*'", another)
    .option("--exclude <PATTERN>", "no sequences with such names", another);
}

/** What goes there, when, and what then counts. */
function withRules(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--on-conflict <POLICY>",
        "when it has a sequence of that name from somebody else (default refuse)",
      ).choices(conflictPolicies),
    )
    .addOption(
      new Option(
        "--verify <WHAT>",
        "compared of each topic before a session counts as synced; contents are read back (default rows)",
      ).choices(verifications),
    )
    .option(
      "--rate <RATE>",
      "bytes per second at most, like 2MiB, or at times of day, like 08:00-18:00=200kB or 22:00-06:00=0; the first that holds",
      another,
    )
    .option(
      "--interface <NAME>",
      "only while this network interface is connected, or another one that is named so",
      another,
    )
    .option(
      "--class <NAME[:PRIORITY][@RATE]=QUERY>",
      "sessions that a query finds (JSON as clients send it) go in the order of their priority, or never, no faster than at their rate: crash:10={...}, video:-1@200kB={...}, idle:never={...}; the first counts",
      another,
    )
    .option("--classes-only", "nothing goes that is of no class")
    .option("--when-reachable <HOST:PORT>", "only while something takes connections there");
}

const clearable = {
  ca: "the certificates of the system",
  "api-key-file": "no key",
  include: "all sequences",
  exclude: "none of them left out",
  rate: "as fast as it goes",
  interface: "whatever is connected",
  class: "all sessions alike",
  "classes-only": "also what is of no class",
  "when-reachable": "at any time",
} as const;

function withoutThem(command: Command): Command {
  for (const [flag, meaning] of Object.entries(clearable)) command.option(`--no-${flag}`, meaning);
  return command;
}

/** A flag that may be given several times; one like `--no-include` before it says nothing of it. */
function another(value: string, before: readonly string[] | boolean | undefined): readonly string[] {
  return more(value, typeof before === "object" ? before : []);
}

/** @throws Fault invalid */
function changeOf(flags: TargetFlags): TargetChange {
  const { url, ca, apiKeyFile, include, exclude, onConflict, verify, classesOnly, rate, whenReachable } = flags;
  return {
    ...(url === undefined ? {} : { url }),
    ...(ca === undefined ? {} : { caFile: ca === false ? undefined : absolutePath("--ca", ca) }),
    ...(apiKeyFile === undefined
      ? {}
      : { keyFile: apiKeyFile === false ? undefined : absolutePath("--api-key-file", apiKeyFile) }),
    ...(include === undefined ? {} : { include: checkGlobs("--include", include || []) }),
    ...(exclude === undefined ? {} : { exclude: checkGlobs("--exclude", exclude || []) }),
    ...(onConflict === undefined ? {} : { onConflict }),
    ...(verify === undefined ? {} : { verify }),
    ...(flags.class === undefined ? {} : { classes: (flags.class || []).map(readClass) }),
    ...(classesOnly === undefined ? {} : { restIsSent: !classesOnly }),
    ...(rate === undefined ? {} : { rates: (rate || []).map(readRate) }),
    ...(flags.interface === undefined ? {} : { interfaces: flags.interface || [] }),
    ...(whenReachable === undefined
      ? {}
      : { whenReachable: whenReachable === false ? undefined : readAddress(whenReachable) }),
  };
}

function formatOf({ json }: FormatFlags): "json" | "table" {
  return json === true ? "json" : "table";
}
