// What tests of src/arrow share with Python: a folder, and scripts beside the tests that fill or judge it.

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { python } from "../clients/driver.ts";

const root = path.resolve(import.meta.dirname, "../..");
export interface Source {
  readonly name: string;
  readonly compression: "none" | "lz4" | "zstd";
  readonly start: number;
  readonly bytes: number;
}

/** A folder that Python and the test share. */
export class Golden implements Disposable {
  readonly folder = mkdtempSync(path.join(tmpdir(), "mosaico-edge-arrow-"));

  /** Runs a script of this folder on the shared folder; what it printed. */
  async run(script: "golden.py" | "files.py", ...args: readonly string[]): Promise<string> {
    await python.ensureEnvironments();
    const { stdout } = await promisify(execFile)(
      python.pythonOf("pyarrow"),
      [path.join(import.meta.dirname, script), this.folder, ...args],
      // Compiled files beside the sources would show up in the repository.
      { env: { ...process.env, PYTHONUTF8: "1", PYTHONPYCACHEPREFIX: path.join(root, ".venv/pycache") } },
    );
    return stdout;
  }

  read(name: string): Uint8Array {
    return readFileSync(path.join(this.folder, name));
  }

  readJson<T>(name: string): T {
    return JSON.parse(readFileSync(path.join(this.folder, name), "utf8")) as T;
  }

  write(name: string, content: Uint8Array | string): void {
    writeFileSync(path.join(this.folder, name), content);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
