// Runs a Python driver (test/clients/drivers) in one of the environments of scripts/python.mjs and collects its JSON lines.

import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import * as python from "../../scripts/python.mjs";
import { seed } from "../seed.ts";

export { python, seed };

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "../..");

/** The tests with Python clients are left out on demand; says so once per file. */
export const skipsPython = process.env["MOSAICO_SKIP_PYTHON"] === "1";
if (skipsPython) console.log("Tests with Python clients are skipped because MOSAICO_SKIP_PYTHON=1.");

export interface Check {
  readonly check: string;
  readonly ok: boolean;
  readonly ms: number;
  readonly detail: unknown;
}

export interface DriverResult {
  readonly checks: readonly Check[];
  readonly exitCode: number | null;
  readonly stderr: string;
}

export interface Driver {
  /** Waits for a line `{"event": name}`. */
  event(name: string): Promise<void>;
  /** Sends a line to its stdin. */
  send(line: string): void;
  readonly result: Promise<DriverResult>;
}

/** Starts `drivers/SCRIPT` with the seed appended. It is killed after `timeoutMs`. */
export function startDriver(environment: string, script: string, args: readonly string[], timeoutMs = 120_000): Driver {
  const child = spawn(
    python.pythonOf(environment),
    [path.join(here, "drivers", script), ...args, "--seed", String(seed)],
    {
      stdio: ["pipe", "pipe", "pipe"],
      // Compiled files beside the sources would show up in the repository.
      env: { ...process.env, PYTHONUTF8: "1", PYTHONPYCACHEPREFIX: path.join(root, ".venv/pycache") },
    },
  );
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const checks: Check[] = [];
  const events = new Set<string>();
  const waiting = new Map<string, () => void>();
  let stderr = "";
  child.stdin.on("error", () => undefined); // a driver that failed early no longer reads
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-20_000);
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const value = JSON.parse(line) as Check & { readonly event?: string };
    if (value.event === undefined) checks.push(value);
    else {
      events.add(value.event);
      waiting.get(value.event)?.();
    }
  });
  const result = once(child, "close").then(([code]) => {
    clearTimeout(timer);
    return { checks, exitCode: code as number | null, stderr };
  });
  return {
    result,
    send: (line) => child.stdin.write(`${line}\n`),
    async event(name) {
      if (events.has(name)) return;
      const seen = new Promise<"seen">((resolve) => waiting.set(name, () => resolve("seen")));
      if ((await Promise.race([seen, result])) !== "seen") {
        throw new Error(`${environment} ${script} ended before it said ${name}: ${JSON.stringify(checks)}\n${stderr}`);
      }
    },
  };
}

export async function runDriver(environment: string, script: string, args: readonly string[]): Promise<DriverResult> {
  return startDriver(environment, script, args).result;
}

/** All models of an SDK, recorded on a server; the name of their sequence. @param dump file to note in what was written */
export async function recordModels(version: string, port: number, dump?: string): Promise<string> {
  const dumped = dump === undefined ? [] : ["--dump", dump];
  const args = ["all", "127.0.0.1", String(port), "--only", "models", ...dumped];
  const written = await runDriver(`sdk-${version}`, "sdk.py", args);
  expectAllOk(`${version} models`, written, ["models: group ran to its end"]);
  return `sdk${version.replaceAll(".", "")}-models-${seed}`;
}

/** Fails with every failed check; and unless the driver ended well after the checks named in `wanted`. */
export function expectAllOk(what: string, result: DriverResult, wanted: readonly string[]): void {
  const failed = result.checks
    .filter((check) => !check.ok)
    .map((check) => ({ check: check.check, detail: check.detail }));
  const names = result.checks.map((check) => check.check);
  const took = result.checks.reduce((sum, check) => sum + check.ms, 0);
  console.log(`${what}: ${names.length - failed.length} of ${names.length} checks passed, ${took} ms, seed ${seed}`);
  expect(failed, `${what}, seed ${seed}, stderr: ${result.stderr}`).toEqual([]);
  expect(names, `checks of ${what}, stderr: ${result.stderr}`).toEqual(expect.arrayContaining([...wanted]));
  expect(result.exitCode, `exit code of ${what}, stderr: ${result.stderr}`).toBe(0);
}
