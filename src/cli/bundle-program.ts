/** The command line of `bundle`: words and flags into calls. */

import { type Command, Option } from "commander";
import { readTrust } from "../bundle/trust.ts";
import { exportSessions, makeBundleKey, verifyBundle } from "./bundle.ts";
import { asJson, more, newCommand, type PlaceOptions, placeOf, withPlace } from "./command-line.ts";
import { readNamedPath, readTrustedKeys } from "./config.ts";
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

export function bundleCommand(signal: AbortSignal): Command {
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
      await exportSessions(placeOf(options), {
        file,
        keyFile,
        sessions,
        sequences,
        query,
        partBytes: split === undefined ? undefined : readBytes("--split", split),
        ontologyDir: readNamedPath("ontology_dir", source),
        json,
        signal,
      });
    });
  withTrust(command.command("verify <file...>"))
    .description("Read a bundle, or its parts, and say whether it is whole, unchanged, and by whom")
    .addOption(asJson)
    .action(async (files: readonly string[], options: TrustFlags) =>
      verifyBundle(files, { trust: trustOf(options), json: options.json === true }),
    );
  return command;
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
