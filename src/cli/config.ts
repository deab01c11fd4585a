/** Where settings come from: flags before variables before the TOML file before defaults. */

import { parse } from "smol-toml";
import { readOutsideText } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";
import {
  type Config,
  type ConfigSource,
  flagOf,
  resolveConfig,
  resolveSetting,
  type SettingName,
  settingNames,
  variablesOf,
} from "./settings.ts";

export type Flags = Readonly<Partial<Record<SettingName, unknown>>>;

const configVariable = "MOSAICO_EDGE_CONFIG";

/** Read before there is any configuration, by addon.ts. */
const addonVariable = "MOSAICO_EDGE_ADDON_DIR";

interface ConfigOptions {
  readonly flags: Flags;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: string | undefined;
}

/** @throws Fault invalid, absent (file) naming key, expected and found */
export function readConfig(options: ConfigOptions): Config {
  return resolveConfig(sourcesOf(options));
}

/** For commands beside `run`: where the data are, whatever else is set. @throws Fault as `readConfig` */
export function readDataDirectory(options: ConfigOptions): string {
  return String(resolveSetting("data_dir", sourcesOf(options)));
}

/** A path that a flag, a variable or the file names; undefined when none does. @throws Fault as `readConfig` */
export function readNamedPath(name: "data_dir" | "ontology_dir", options: ConfigOptions): string | undefined {
  const sources = sourcesOf(options).filter(({ values }) => values[name] !== undefined);
  return sources.length === 0 ? undefined : String(resolveSetting(name, sources));
}

/** Free bytes that are left on the disk of the data directory. @throws Fault as `readConfig` */
export function readFreeSpaceFloor(options: ConfigOptions): number {
  return resolveSetting("free_space_floor", sourcesOf(options)) as number;
}

/** Public keys whose bundles are taken. @throws Fault as `readConfig` */
export function readTrustedKeys(options: ConfigOptions): readonly string[] {
  return resolveSetting("bundle_trust", sourcesOf(options)) as readonly string[];
}

function sourcesOf(options: ConfigOptions): ConfigSource[] {
  checkVariables(options.environment);
  const file = options.file ?? options.environment[configVariable];
  return [
    { name: flagOf, values: options.flags },
    environmentSource(options.environment),
    ...(file === undefined ? [] : [fileSource(file)]),
  ];
}

/** A misspelt variable would leave a default in force, in silence. Values are not repeated: nobody knows what they are. */
function checkVariables(environment: Readonly<Record<string, string | undefined>>): void {
  const known = [...settingNames.flatMap(variablesOf), configVariable, addonVariable];
  const unknown = Object.keys(environment).filter((name) => name.startsWith("MOSAICO_EDGE_") && !known.includes(name));
  if (unknown.length === 0) return;
  throw new Fault("invalid", `unknown variable ${unknown.join(", ")}, expected ${known.join(", ")}`);
}

function environmentSource(environment: Readonly<Record<string, string | undefined>>): ConfigSource {
  const variableOf = (name: SettingName) => variablesOf(name).find((variable) => environment[variable] !== undefined);
  const values = Object.fromEntries(
    settingNames.flatMap((name) => {
      const variable = variableOf(name);
      return variable === undefined ? [] : [[name, environment[variable]]];
    }),
  );
  return { name: (name) => variableOf(name) ?? name, values };
}

function fileSource(file: string): ConfigSource {
  let values: Record<string, unknown>;
  try {
    values = parse(readOutsideText(file));
  } catch (error) {
    if (error instanceof Fault) throw error;
    // The lines behind the first are a picture of the place.
    const [reason = ""] = (error instanceof Error ? error.message : "").split("\n");
    const { line, column } = error as { line?: number; column?: number };
    throw new Fault("invalid", `${file} is not TOML: ${reason} (line ${line}, column ${column})`, error);
  }
  const unknown = Object.keys(values).filter((key) => !settingNames.some((name) => name === key));
  if (unknown.length > 0) {
    throw new Fault("invalid", `${file}: unknown key ${unknown.join(", ")}, expected ${settingNames.join(", ")}`);
  }
  return { name: (name) => `${file}: ${name}`, values };
}
