/** What all commands have in common: how they are made, where the data are, and how they print. */

import path from "node:path";
import { Command, Option } from "commander";
import { Fault } from "../model/fault.ts";
import { hideTokens } from "../model/secret.ts";
import { readDataDirectory } from "./config.ts";

export function newCommand(name: string): Command {
  // Commander repeats what it does not understand, and that may be a token in the wrong place.
  const writeErr = (text: string): void => void process.stderr.write(hideTokens(text));
  return new Command(name).exitOverride().configureOutput({ writeErr });
}

/** Where the data are, which every command finds as `run` does. */
export interface PlaceOptions {
  readonly dataDir?: string;
  readonly config?: string;
}

export function withPlace(command: Command): Command {
  return command
    .option("--data-dir <DIR>", "the server's data directory (default ./data)")
    .option("--config <FILE>", "TOML file of the server, for its data_dir");
}

export function placeOf({ dataDir, config }: PlaceOptions): string {
  return readDataDirectory({ flags: { data_dir: dataDir }, environment: process.env, file: config });
}

export const asJson: Option = new Option("--json", "print JSON");

/** A flag that may be given several times. */
export function more(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** @throws Fault invalid: without a name it would be the directory that somebody is in */
export function absolutePath(flag: string, file: string | undefined): string | undefined {
  if (file === "") throw new Fault("invalid", `${flag}: expected a file, found ""`);
  return file === undefined ? undefined : path.resolve(file);
}

/** Names have no brackets: a set or a choice without end would never fit. @throws Fault invalid */
export function checkGlobs(flag: string, patterns: readonly string[]): readonly string[] {
  const broken = patterns.find((pattern) => /^$|\[[^\]]*$|\{[^}]*$|\\$/.test(pattern));
  if (broken === undefined) return patterns;
  throw new Fault(
    "invalid",
    `${flag}: expected a pattern like 'drive-*' or 'drive-[0-9]*', found ${JSON.stringify(broken.slice(0, 100))}`,
  );
}
