/** The command line of `bundle`: words and flags into calls. */

import { type Command, Option } from "commander";
import { readTrust } from "../bundle/trust.ts";
import { bundleWaitMs } from "../model/bundle-limits.ts";
import { Fault } from "../model/fault.ts";
import { type ConflictPolicy, conflictPolicies } from "../model/target.ts";
import { exportSessions, makeBundleKey, verifyBundle } from "./bundle.ts";
import { importBundle } from "./bundle-import.ts";
import { pushBundle, type TransferRequest } from "./bundle-transfer.ts";
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
import { readConfig, readFreeSpaceFloor, readNamedPath, readTrustedKeys } from "./config.ts";
import { readBytes } from "./settings.ts";

interface ExportFlags extends PlaceOptions {
  readonly key?: string;
  readonly session: readonly string[];
  readonly sequence: readonly string[];
  readonly query?: string;
  readonly split?: string;
  readonly ontologyDir?: string;
  readonly json?: boolean;
}

interface TrustFlags extends PlaceOptions {
  readonly trust: readonly string[];
  readonly anyKey?: boolean;
  readonly json?: boolean;
}

/** @param endWith hears the exit code */
export function bundleCommand(signal: AbortSignal, endWith: (code: number) => void): Command {
  const command = newCommand("bundle").description("Sessions as a signed file that is carried to where no link goes");
  command
    .command("keygen <file>")
    .description("Make a key to sign bundles with; prints the public half, for those who are to trust it")
    .action((file: string) => makeBundleKey(file));
  withPlace(command.command("export <file>"))
    .description(
      "Write finalized sessions to a bundle, also while the server runs; given again it goes on where it broke off",
    )
    .option("--key <FILE>", "the private key, which `bundle keygen` makes")
    .option("--session <ID>", "only this session: locator or ULID", more, [])
    .option("--sequence <PATTERN>", "only sequences with such names, like 'drive-*'", more, [])
    .option("--query <JSON>", "only sessions that the query finds, as clients send it")
    .option("--split <BYTES>", "in parts FILE.001, FILE.002, ... of so many bytes, like 4000MB for FAT disks")
    .option("--ontology-dir <DIR>", "definitions of models that the query needs")
    .addOption(asJson)
    .action(async (file: string, options: ExportFlags) => {
      const { key: keyFile, session: sessions, sequence: sequences, query, split, ontologyDir, json = false } = options;
      const source = { flags: { ontology_dir: ontologyDir }, environment: process.env, file: options.config };
      const code = await exportSessions(placeOf(options), {
        file,
        keyFile,
        sessions,
        sequences: checkGlobs("--sequence", sequences),
        query,
        partBytes: split === undefined ? undefined : readBytes("--split", split),
        ontologyDir: readNamedPath("ontology_dir", source),
        floorBytes: readFreeSpaceFloor(source),
        json,
        signal,
      });
      endWith(code);
    });
  withTrust(command.command("verify <file...>"))
    .description("Read a bundle, or its parts, and say whether it is whole, unchanged, and by whom")
    .addOption(asJson)
    .action(async (files: readonly string[], options: TrustFlags) =>
      verifyBundle(files, { trust: trustOf(options), json: options.json === true }),
    );
  withTransfer(command.command("push <file...>"))
    .description("Bring the sessions of a bundle to another Mosaico; given again it goes on where it broke off")
    .requiredOption("--to <URL>", "like grpc+tls://central.example:6726")
    .option("--ca <FILE>", "certificates to trust (PEM) in place of the system's")
    .option("--api-key-file <FILE>", "file with the API key for it")
    .option("--data-dir <DIR>", "where it is kept how far it is, until all is there (default ./data)")
    .action(async (files: readonly string[], options: PushFlags) => {
      const { to: url, ca, apiKeyFile } = options;
      const remote = { url, caFile: absolutePath("--ca", ca), keyFile: absolutePath("--api-key-file", apiKeyFile) };
      endWith(await pushBundle(placeOf(options), { ...requestOf(files, options, signal), ...remote }));
    });
  withTransfer(command.command("import <file...>"))
    .description("Take the sessions of a bundle into the store of this machine, also while the server runs")
    .option("--data-dir <DIR>", "the server's data directory (default ./data)")
    .option("--create", "make a store there when there is none")
    .action(async (files: readonly string[], options: TransferFlags & { create?: boolean }) => {
      const { dataDir, config, create = false } = options;
      const source = { flags: { data_dir: dataDir }, environment: process.env, file: config };
      endWith(await importBundle(readConfig(source), { ...requestOf(files, options, signal), create }));
    });
  return command;
}

interface TransferFlags extends TrustFlags {
  readonly onConflict: ConflictPolicy;
  readonly wait?: string;
}

interface PushFlags extends TransferFlags {
  readonly to: string;
  readonly ca?: string;
  readonly apiKeyFile?: string;
}

function withTransfer(command: Command): Command {
  return withTrust(command)
    .addOption(
      new Option("--on-conflict <POLICY>", "when there is a sequence of that name from somebody else")
        .choices(conflictPolicies)
        .default("refuse"),
    )
    .option("--wait <SECONDS>", "how long to try again when nothing comes further (default 60)")
    .addOption(asJson);
}

function requestOf(files: readonly string[], options: TransferFlags, signal: AbortSignal): TransferRequest {
  const { onConflict, wait, json = false } = options;
  const seconds = wait === undefined ? bundleWaitMs / 1_000 : Number(wait);
  if (!(seconds >= 1 && seconds <= 86_400))
    throw new Fault("invalid", `--wait: expected seconds from 1 to 86400, found ${JSON.stringify(wait?.slice(0, 40))}`);
  return { files, trust: trustOf(options), onConflict, waitMs: 1_000 * seconds, json, signal };
}

function withTrust(command: Command): Command {
  return command
    .option("--trust <KEY|FILE>", "a public key to trust, or a file with one in each line", more, [])
    .addOption(new Option("--any-key", "trust whoever has signed it"))
    .option("--config <FILE>", "TOML file of the server, for its bundle_trust");
}

/** What is said here, and what the configuration says. */
function trustOf({ trust, anyKey, config }: TrustFlags): ReturnType<typeof readTrust> {
  const source = { flags: {}, environment: process.env, file: config };
  return readTrust([...trust, ...readTrustedKeys(source)], anyKey === true);
}
