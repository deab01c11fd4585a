/** The command line: words and flags into calls. What a command throws is for main.ts to say. */

import { type Command, CommanderError, Option } from "commander";
import type { KeyRequest } from "../care/keys.ts";
import { Fault } from "../model/fault.ts";
import { parsePermissions } from "../model/permission.ts";
import { bundleCommand } from "./bundle-program.ts";
import { asJson, more, newCommand, type PlaceOptions, placeOf, withPlace } from "./command-line.ts";
import { readConfig, readNamedPath } from "./config.ts";
import { createKey, listKeys, revokeKey } from "./keys.ts";
import {
  exportOntology,
  listOntology,
  type OntologyPlaces,
  registerOntology,
  removeOntology,
  showOntology,
} from "./ontology.ts";
import { queryStore } from "./query.ts";
import { rebuildStore } from "./rebuild.ts";
import { repairStore } from "./repair.ts";
import { run } from "./run.ts";
import { flagOf, noFlagOf, type Setting, type SettingName, settingNames, settings } from "./settings.ts";
import { showStatus } from "./status.ts";
import { syncCommand } from "./sync-program.ts";
import { verifyStore } from "./verify.ts";
import { edgeVersion } from "./version.ts";

/** Runs one command line; its exit code. @throws Fault, or CommanderError when commander has said all there is to say */
export async function runProgram(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const program = newCommand("mosaico-edge")
    .description("A Mosaico server for robots, vehicles and labs")
    .version(edgeVersion);
  program.addCommand(runCommand(signal));
  program.addCommand(keyCommand());
  program.addCommand(ontologyCommand());
  program.addCommand(queryCommand(signal));
  program.addCommand(statusCommand());
  let exitCode = 0;
  const endWith = (code: number): void => {
    exitCode = code;
  };
  program.addCommand(syncCommand(signal, endWith));
  program.addCommand(bundleCommand(signal, endWith));
  program.addCommand(verifyCommand(endWith));
  program.addCommand(repairCommand(endWith));
  program.addCommand(rebuildCommand(endWith));
  await program.parseAsync(argv, { from: "user" });
  return exitCode;
}

/** Whether commander itself has answered: help and version end with 0, wrong usage with its own code. */
export function usageExitCode(error: unknown): number | undefined {
  if (!(error instanceof CommanderError)) return undefined;
  return error.exitCode === 0 ? 0 : 64;
}

function runCommand(signal: AbortSignal): Command {
  const command = newCommand("run").description("Serve a data directory");
  for (const name of settingNames) {
    const setting: Setting = settings[name];
    const normal = setting.normal === undefined ? "" : ` (default ${setting.normal})`;
    const value = setting.value === undefined ? "" : ` <${setting.value}>`;
    command.addOption(new Option(`${flagOf(name)}${value}`, `${setting.meaning}${normal}`));
    if (setting.value === undefined)
      command.addOption(new Option(noFlagOf(name), "not so, whatever variable or file say"));
  }
  command.option("--config <FILE>", "TOML file with the same keys, written with underscores");
  command.action(async (options: Record<string, unknown>) => {
    const flags: Partial<Record<SettingName, unknown>> = {};
    for (const name of settingNames) {
      const given = options[camelCase(name)];
      if (given !== undefined) flags[name] = given;
    }
    const file = typeof options["config"] === "string" ? options["config"] : undefined;
    await run(readConfig({ flags, environment: process.env, file }), signal);
  });
  return command;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

interface KeyOptions extends PlaceOptions {
  readonly permissions: string;
  readonly exact?: boolean;
  readonly description: string;
  readonly expiresAt?: string;
  readonly legacySdk?: "0.4" | "0.5";
}

interface QueryOptions extends OntologyOptions {
  readonly where: readonly string[];
  readonly sequence?: string;
  readonly topic?: string;
  readonly ranges?: string;
  readonly explain?: boolean;
}

function queryCommand(signal: AbortSignal): Command {
  return withPlace(newCommand("query"))
    .description("Find topics by their names and contents, also while the server runs")
    .argument("[json]", "the query as clients send it")
    .option("--where <CONDITION>", "like 'imu.acceleration.x > 20'; several hold in the same row of a tag", more, [])
    .option("--sequence <PATTERN>", "names of sequences, like 'drive-*'")
    .option("--topic <PATTERN>", "names of topics")
    .option("--ranges <NS>", "time ranges of the rows, of which neighbours are at most so many nanoseconds apart")
    .option("--explain", "what was skipped and what was read")
    .addOption(ontologyDirectory)
    .addOption(asJson)
    .action(async (json: string | undefined, options: QueryOptions) => {
      const { where, sequence, topic, ranges: gapNs, explain = false } = options;
      const store = { dataDir: placeOf(options), ontologyDir: ontologyPlacesOf(options).ontologyDir };
      const words = { json, where, sequence, topic, gapNs };
      await queryStore(store, words, { format: formatOf(options), explain }, signal);
    });
}

function statusCommand(): Command {
  return withPlace(newCommand("status"))
    .description("What the server that runs on a data directory says of itself")
    .option("--json", "as one line of JSON")
    .action(async (options: PlaceOptions & { json?: boolean }) =>
      showStatus(placeOf(options), options.json === true ? "json" : "text"),
    );
}

function verifyCommand(endWith: (code: number) => void): Command {
  return withPlace(newCommand("verify"))
    .description(
      "Read everything that is stored and compare it, also while the server runs; ends with 1 when something is wrong",
    )
    .option("--session <ID>", "only this session: locator, UUID or ULID")
    .option("--json", "print JSON")
    .action(async (options: PlaceOptions & { session?: string; json?: boolean }) =>
      endWith(await verifyStore(placeOf(options), { session: options.session, json: options.json === true })),
    );
}

function repairCommand(endWith: (code: number) => void): Command {
  return withPlace(newCommand("repair"))
    .description("Put what is broken into quarantine and keep all that is sound; while no server runs")
    .action(async (options: PlaceOptions) => endWith(await repairStore(placeOf(options))));
}

function rebuildCommand(endWith: (code: number) => void): Command {
  return withPlace(newCommand("rebuild"))
    .description("Make a catalog from the directories when the catalog is lost; while no server runs")
    .option("--replace", "also when there is a sound one, which goes to quarantine")
    .action(async (options: PlaceOptions & { replace?: boolean }) =>
      endWith(await rebuildStore(placeOf(options), options.replace === true ? "replace" : "keep")),
    );
}

function keyCommand(): Command {
  const command = newCommand("key").description("API keys of a data directory, also while the server runs");
  withPlace(command.command("create"))
    .description("Create a key and print its token, which is shown only now")
    .requiredOption(
      "-p, --permissions <WORDS>",
      "read, write, delete or manage, each with those before it; or several joined by |, exactly these",
    )
    .option("--exact", "a single word means this permission alone")
    .option("-d, --description <TEXT>", "what the key is for", "")
    .option("--expires-at <TIME>", "RFC 3339 time after which it is refused")
    .addOption(
      new Option("--legacy-sdk <VERSION>", "the client's SDK, when it is one of these").choices(["0.4", "0.5"]),
    )
    .action(async (options: KeyOptions) => createKey(placeOf(options), keyRequest(options)));
  withPlace(command.command("list"))
    .description("List keys, a line of JSON each")
    .action(async (options: PlaceOptions) => listKeys(placeOf(options)));
  withPlace(command.command("revoke <fingerprint>"))
    .description("Revoke a key; the next call with it is refused")
    .action(async (fingerprint: string, options: PlaceOptions) => revokeKey(placeOf(options), fingerprint));
  return command;
}

interface OntologyOptions extends PlaceOptions {
  readonly ontologyDir?: string;
  readonly json?: boolean;
  readonly all?: boolean;
}

const ontologyDirectory = new Option("--ontology-dir <DIR>", "also the definitions in this directory");

function formatOf({ json }: OntologyOptions): "json" | "table" {
  return json === true ? "json" : "table";
}

function ontologyPlacesOf({ dataDir, ontologyDir, config }: OntologyOptions): OntologyPlaces {
  const flags = { data_dir: dataDir, ontology_dir: ontologyDir };
  const options = { flags, environment: process.env, file: config };
  return { dataDir: readNamedPath("data_dir", options), ontologyDir: readNamedPath("ontology_dir", options) };
}

function ontologyCommand(): Command {
  const command = newCommand("ontology").description("Ontology models, also while the server runs");
  withPlace(command.command("list"))
    .description("List models: built-in ones, registered ones, those of a directory")
    .addOption(ontologyDirectory)
    .addOption(asJson)
    .action(async (options: OntologyOptions) => listOntology(ontologyPlacesOf(options), formatOf(options)));
  withPlace(command.command("show <tag>"))
    .description("Show the fields of the models of a tag")
    .addOption(ontologyDirectory)
    .addOption(asJson)
    .action(async (tag: string, options: OntologyOptions) =>
      showOntology(tag, ontologyPlacesOf(options), formatOf(options)),
    );
  withPlace(command.command("export"))
    .description("Print definitions of your own models as JSON, which can be registered elsewhere")
    .addOption(ontologyDirectory)
    .option("--all", "the built-in ones too")
    .action(async (options: OntologyOptions) =>
      exportOntology(ontologyPlacesOf(options), options.all === true ? "all" : "own"),
    );
  withPlace(command.command("register <file>"))
    .description("Register the models of a JSON file; finalize knows them from then on")
    .action(async (file: string, options: PlaceOptions) => registerOntology(file, placeOf(options)));
  withPlace(command.command("remove <tag>"))
    .description("Remove the registered models of a tag")
    .action(async (tag: string, options: PlaceOptions) => removeOntology(tag, placeOf(options)));
  return command;
}

function keyRequest({ permissions, exact, description, expiresAt, legacySdk }: KeyOptions): KeyRequest {
  return {
    permissions: parsePermissions(permissions, exact === true ? "exact" : "hierarchy"),
    description,
    expiresAtNs: expiresAt === undefined ? undefined : parseExpiry(expiresAt),
    legacySdk,
  };
}

function parseExpiry(text: string): bigint {
  const milliseconds = Date.parse(text);
  if (Number.isNaN(milliseconds))
    throw new Fault(
      "invalid",
      `--expires-at: expected a time like 2027-01-31T12:00:00Z, found ${JSON.stringify(text)}`,
    );
  if (milliseconds <= Date.now()) throw new Fault("invalid", `--expires-at: ${text} has passed`);
  return BigInt(milliseconds) * 1_000_000n;
}
