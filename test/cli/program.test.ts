// The command line up to where a server would start: what is wrong is said before anything is touched.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { CommanderError } from "commander";
import { afterAll, describe, expect, test } from "vitest";
import { exitCodeOf, describe as sentenceOf } from "../../src/cli/exit.ts";
import { runProgram, usageExitCode } from "../../src/cli/program.ts";
import { Fault, type FaultCode, faultCodes } from "../../src/model/fault.ts";

const folder = mkdtempSync(path.join(tmpdir(), "mosaico-edge-program-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const dataDir = path.join(folder, "data");
const never = new AbortController().signal;
const run = (...argv: readonly string[]): Promise<number> => runProgram(argv, never);

/** What is thrown; commander's own words go to stdout and stderr, which are not looked at. */
async function thrownBy(...argv: readonly string[]): Promise<unknown> {
  const { stdout, stderr } = process;
  const writes = [stdout.write, stderr.write];
  stdout.write = () => true;
  stderr.write = () => true;
  try {
    await run(...argv);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    [stdout.write, stderr.write] = writes as [typeof stdout.write, typeof stderr.write];
  }
}

describe("usage", () => {
  test.each([
    [["--version"], 0],
    [["--help"], 0],
    [["run", "--help"], 0],
    [["help", "key"], 0],
    [[], 64],
    [["serve"], 64],
    [["run", "--bogus"], 64],
    [["run", "--port"], 64],
    [["run", "extra"], 64],
    [["key"], 64],
    [["key", "create"], 64],
    [["key", "create", "-p", "read", "--legacy-sdk", "0.7"], 64],
    [["key", "revoke"], 64],
    [["ontology"], 64],
    [["ontology", "show"], 64],
    [["ontology", "register"], 64],
  ])("%j ends with %i", async (argv, code) => {
    const thrown = await thrownBy(...argv);
    expect(thrown).toBeInstanceOf(CommanderError);
    expect(usageExitCode(thrown)).toBe(code);
  });

  test("what is no usage is not commander's", () => {
    expect(usageExitCode(new Fault("invalid", "x"))).toBeUndefined();
  });
});

describe("wrong values", () => {
  test.each([
    [["run", "--port", "x"], '--port: expected an integer from 0 to 65535, found "x"'],
    [["run", "--data-dir", ""], "--data-dir: "],
    [["run", "--host", "0.0.0.0"], "host is 0.0.0.0: without API keys"],
    [["run", "--config", path.join(folder, "gone.toml")], "gone.toml"],
    [["run", "--ontology-policy", "lax"], '--ontology-policy: expected one of off, warn, strict, found "lax"'],
    [["run", "--data-dir", dataDir, "--ontology-dir", path.join(folder, "gone")], path.join(folder, "gone")],
    [["key", "create", "--data-dir", dataDir, "-p", "root"], 'invalid string to permission cast: "root"'],
    [
      ["key", "create", "--data-dir", dataDir, "-p", "read", "--expires-at", "soon"],
      '--expires-at: expected a time like 2027-01-31T12:00:00Z, found "soon"',
    ],
    [
      ["key", "create", "--data-dir", dataDir, "-p", "read", "--expires-at", "2001-01-01T00:00:00Z"],
      "--expires-at: 2001-01-01T00:00:00Z has passed",
    ],
  ])("%j", async (argv, reason) => {
    const thrown = await thrownBy(...argv);
    expect(thrown).toBeInstanceOf(Fault);
    expect((thrown as Fault).message).toContain(reason);
    expect(existsSync(dataDir)).toBe(false);
  });
});

describe("exit codes", () => {
  test("every fault has one, between 1 and 127, but for what a signal ends", () => {
    for (const code of faultCodes) {
      const exitCode = exitCodeOf(new Fault(code, "x"));
      expect(exitCode).toBeGreaterThan(0);
      // As a shell tells of a command that a signal ended.
      if (code === "cancelled") expect(exitCode).toBe(130);
      else expect(exitCode).toBeLessThan(128);
    }
  });
  test.each<[FaultCode, number]>([
    ["invalid", 64],
    ["corrupt", 65],
    ["absent", 66],
    ["unavailable", 69],
    ["internal", 70],
    ["wrong_state", 75],
    ["denied", 77],
  ])("%s is %i, as sysexits.h has it", (code, exitCode) => expect(exitCodeOf(new Fault(code, "x"))).toBe(exitCode));
  test("anything else is a bug of ours", () => {
    for (const error of [new Error("x"), new TypeError("x"), "x", undefined]) expect(exitCodeOf(error)).toBe(70);
  });
});

describe("what is said", () => {
  test("a fault says its sentence, a bug all that is known of it", () => {
    expect(sentenceOf(new Fault("invalid", "A sentence."))).toBe("A sentence.");
    expect(sentenceOf(new TypeError("broken"))).toMatch(/^TypeError: broken\n {4}at /);
    expect(sentenceOf("text")).toBe("text");
    expect(sentenceOf(undefined)).toBe("undefined");
  });
});
