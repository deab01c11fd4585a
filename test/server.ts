// Starts the built server as a process of its own, as an operator would, and stops it. The executable is dist/mosaico-edge of
// this checkout or what MOSAICO_EDGE names; a script (.js, .cjs, .mjs, .ts) is run by the Node that runs the tests.

import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { catalogRoomBytes } from "../src/model/limits.ts";

const readyWaitMs = 20_000;
const stopWaitMs = 20_000;
/** What is kept of a server's log: enough for the end of any test, bounded for long ones. */
const stderrCharsMax = 4 * 2 ** 20;

export interface ServerOptions {
  /** Made below the system's temporary folder, and removed on dispose, when not given. */
  readonly dataDir?: string;
  /** 0 or absent: any free port. Give the port of a stopped server to take its place. */
  readonly port?: number;
  /** Further arguments of `mosaico-edge run`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Another program than the one under test, with the arguments before `run`; it sees nothing of this process's environment. */
  readonly alone?: { readonly file: string; readonly args: readonly string[] };
}

export interface RunningServer extends AsyncDisposable {
  readonly port: number;
  readonly dataDir: string;
  readonly pid: number;
  /** The line the server printed when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Fires when the process has ended, however. */
  readonly exited: Promise<void>;
  /** Whether it has ended and nobody here has asked it to. */
  diedByItself(): boolean;
  /** What it has logged so far, at most the last 4 Mi characters. */
  stderr(): string;
  /** Ends it by SIGTERM. Throws unless it ends with 0 in time. */
  stop(): Promise<void>;
  /** Ends it by SIGKILL, as a power cut would. */
  kill(): Promise<void>;
}

/** The executable under test and the arguments before its own. */
export function serverCommand(): { readonly file: string; readonly args: readonly string[] } {
  const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
  const program = path.resolve(root, process.env["MOSAICO_EDGE"] ?? "dist/mosaico-edge");
  if (!existsSync(program)) {
    throw new Error(
      `No server to test: ${program} does not exist. Build it with npm run build, or name one in MOSAICO_EDGE.`,
    );
  }
  return /\.[cm]?[jt]s$/.test(program) ? { file: process.execPath, args: [program] } : { file: program, args: [] };
}

/** Starts `mosaico-edge run` and returns when it serves. */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const command = options.alone ?? serverCommand();
  const dataDir = options.dataDir ?? (await mkdtemp(path.join(tmpdir(), "mosaico-edge-")));
  const own = ["run", "--data-dir", dataDir, "--port", String(options.port ?? 0), ...(options.args ?? [])];
  const child = spawn(command.file, [...command.args, ...own], {
    env: options.alone === undefined ? { ...process.env, ...options.env } : { ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-stderrCharsMax);
  });
  const ended = once(child, "exit").catch(() => undefined); // a spawn error is told by readyLine
  const removeOwn = async () => {
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
  };
  let ready: { port: number };
  try {
    ready = await readyLine(child, () => stderr);
  } catch (error) {
    child.kill("SIGKILL");
    await removeOwn();
    throw error;
  }

  let asked = false;
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    asked = true;
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), stopWaitMs);
    await ended;
    clearTimeout(timer);
  };
  const kill = () => end("SIGKILL");
  return {
    port: ready.port,
    dataDir,
    pid: child.pid ?? 0,
    ready: { ...ready },
    exited: ended.then(() => undefined),
    diedByItself: () => !asked && (child.exitCode !== null || child.signalCode !== null),
    stderr: () => stderr,
    kill,
    async stop() {
      await end("SIGTERM");
      if (child.exitCode !== 0) {
        const how = child.signalCode === null ? `with ${child.exitCode}` : `by ${child.signalCode}`;
        throw new Error(
          `The server ended ${how} on SIGTERM, expected 0 within ${stopWaitMs} ms. Its log ends:\n${tail(stderr)}`,
        );
      }
    },
    async [Symbol.asyncDispose]() {
      await kill();
      await removeOwn();
    },
  };
}

/** Runs the program to its end, which has to come. */
export function runToEnd(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  waitMs = 15_000,
): Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }> {
  const command = serverCommand();
  // By force: what hangs may not hear a signal any more.
  const options = { timeout: waitMs, killSignal: "SIGKILL" as const, env: { ...process.env, ...env } };
  return new Promise((resolve) => {
    execFile(command.file, [...command.args, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), stdout, stderr }),
    );
  });
}

/** What tests look at of `mosaico-edge status --json`. */
export interface ServerStatus {
  readonly pid: number;
  readonly port: number;
  readonly poisoned: boolean;
  readonly memory: Readonly<
    Record<
      "upload" | "smallUpload" | "merge" | "send",
      { limitBytes: number; heldBytes: number; waiting: number; waitsTotal: number }
    >
  >;
  readonly commit: { readonly commits: number; readonly longestLagMs: number };
  readonly retention: { readonly evictedSessions: number };
  readonly abandoned: { readonly settled: number; readonly failures: number; readonly failing: number };
  readonly space: { readonly freeBytes: number; readonly catalogRoomBytes: number; readonly refusing: boolean };
  /** By target. */
  readonly sync: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly uploads: {
    readonly open: number;
    readonly streams: readonly {
      readonly topic: string;
      readonly rows: number;
      readonly memoryWaitMs: number;
      readonly restMs: number;
    }[];
  };
}

/** Asks the server that runs on a data directory. */
export async function readStatus(dataDir: string): Promise<ServerStatus> {
  const { code, stdout, stderr } = await runToEnd(["status", "--data-dir", dataDir, "--json"]);
  if (code !== 0) throw new Error(`status ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as ServerStatus;
}

/** Waits until the catalog has written all the room that it keeps in its file, which it does step by step. */
export async function untilCatalogHasRoom(dataDir: string): Promise<void> {
  while ((await readStatus(dataDir)).space.catalogRoomBytes < catalogRoomBytes / 2) await sleep(50);
}

/** Makes an API key, also while the server runs; the token. */
export async function createKey(dataDir: string, permission: "read" | "write" | "delete" | "manage"): Promise<string> {
  const command = serverCommand();
  const args = [...command.args, "key", "create", "--data-dir", dataDir, "-p", permission];
  const { stdout } = await promisify(execFile)(command.file, args, { timeout: 20_000 });
  const token = stdout.trim();
  if (!/^msco_[a-z0-9]{32}_[0-9a-f]{8}$/.test(token))
    throw new Error(`key create printed more or less than a token: ${stdout}`);
  return token;
}

/** The first JSON line on stdout must say that the server is ready; whatever else happens first is the error. */
async function readyLine(
  child: ChildProcessByStdio<null, Readable, Readable>,
  log: () => string,
): Promise<{ port: number }> {
  const timeout = AbortSignal.timeout(readyWaitMs);
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([
    once(lines, "line", { signal: timeout }).then(
      ([text]) => text as string,
      (error: unknown) => Promise.reject(error),
    ),
    once(child, "exit", { signal: timeout }).then(([code, signal]) =>
      Promise.reject(new Error(`it ended with ${code ?? signal}`)),
    ),
    once(child, "error", { signal: timeout }).then(([error]) => Promise.reject(error)),
  ]).catch((error: unknown) => {
    const reason = timeout.aborted ? `it printed nothing for ${readyWaitMs} ms` : String(error);
    throw new Error(`The server did not start: ${reason}. Its log ends:\n${tail(log())}`);
  });
  const ready: unknown = JSON.parse(line);
  if (
    typeof ready !== "object" ||
    ready === null ||
    !("event" in ready) ||
    ready.event !== "ready" ||
    !("port" in ready)
  ) {
    throw new Error(`The server's first line is not its ready line: ${line}`);
  }
  return ready as { port: number };
}

function tail(text: string): string {
  return text.split("\n").slice(-20).join("\n");
}
