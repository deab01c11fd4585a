// The executable as its user gets it: one file, copied alone into a folder, with nothing in the environment.

import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recordModels, skipsPython } from "../clients/driver.ts";
import { startServer } from "../server.ts";

const root = path.resolve(import.meta.dirname, "../..");
const nobody = 65534;
const isRoot = process.getuid?.() === 0;

let folder = "";
let program = "";
let version = "";

interface Ended {
  readonly code: number | string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs to the end; an environment other than `env` is never seen. */
function run(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(file, [...args], { cwd: folder, env, timeout: 15_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), stdout, stderr }),
    );
  });
}

beforeAll(async () => {
  const manifest = JSON.parse(await readFile(path.join(root, "package.json"), "utf8")) as { version: string };
  version = manifest.version;
  folder = await mkdtemp(path.join(tmpdir(), "mosaico-edge-alone-"));
  await chmod(folder, 0o755);
  program = path.join(folder, "mosaico-edge");
  await copyFile(path.join(root, "dist/mosaico-edge"), program).catch((cause: unknown) => {
    throw new Error("dist/mosaico-edge is not there: build it by `npm run build`", { cause });
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the executable alone", () => {
  test("prints its version and leaves nothing behind", async () => {
    const ended = await run(program, ["--version"]);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(ended.stdout).toContain(version);
    expect(await readdir(folder)).toEqual(["mosaico-edge"]);
  });

  test.runIf(isRoot)("runs as nobody, without HOME", async () => {
    const args = [`--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups", program, "--version"];
    const ended = await run("setpriv", args, { PATH: "/usr/bin:/bin" });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(ended.stdout).toContain(version);
  });

  test("names the folder and what to do when the only one allowed does not exist", async () => {
    const ended = await run(program, ["--version"], { MOSAICO_EDGE_ADDON_DIR: path.join(folder, "absent") });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("Cannot load the LMDB add-on");
    expect(ended.stderr).toContain(`${folder}/absent: ENOENT`);
  });
});

describe.skipIf(skipsPython)("the executable alone, with an empty environment", () => {
  test.each(["0.4.3", "0.6.3", "0.7.0"])(
    "serves the round trip of all models of SDK %s",
    async (sdk) => {
      await using server = await startServer({ alone: { file: program, args: [] } });
      await recordModels(sdk, server.port);
      await server.stop();
    },
    120_000,
  );
});

describe("a folder that is mounted noexec", () => {
  /** Runs the program where `noexec` is such a folder, seen by nobody else. */
  const inNamespace = (noexec: string, env: Readonly<Record<string, string>>): Promise<Ended> => {
    const script = 'mount -t tmpfs -o noexec none "$1" && exec "$2" --version';
    return run("unshare", ["-m", "sh", "-c", script, "sh", noexec, program], {
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      ...env,
    });
  };

  test("is passed over when another one will do; alone it ends the program with a clear message", async (context) => {
    const noexec = path.join(folder, "noexec");
    await mkdir(noexec);
    try {
      const probe = await run("unshare", ["-m", "mount", "-t", "tmpfs", "-o", "noexec", "none", noexec], {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      });
      context.skip(probe.code !== 0, "this machine does not let us mount in a namespace of our own");

      const passed = await inNamespace(noexec, { CACHE_DIRECTORY: noexec, TMPDIR: noexec });
      expect(passed).toMatchObject({ code: 0, stderr: "" });

      const refused = await inNamespace(noexec, { MOSAICO_EDGE_ADDON_DIR: noexec });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("Cannot load the LMDB add-on");
      expect(refused.stderr).toContain(noexec);
      expect(refused.stderr).toContain("failed to map segment from shared object");
      expect(refused.stderr).toContain("MOSAICO_EDGE_ADDON_DIR");
    } finally {
      await rm(noexec, { recursive: true, force: true });
    }
  });
});
