// The second driver: the same load sent by pyarrow.flight, which costs a client less than Node does.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { ensureEnvironments, pythonOf } from "../../scripts/python.mjs";
import type { RunningServer } from "../server.ts";
import type { LoadPart } from "./loads.ts";

/** Installs pyarrow when it is missing; not part of what is measured, so it is to be called before. */
export const preparePyarrow = ensureEnvironments;

/** The seconds that it took, without the start of Python. */
export async function pyarrowPut({ port }: RunningServer, part: LoadPart): Promise<number> {
  const script = path.join(import.meta.dirname, "pyarrow_put.py");
  const rows = part.columns["timestamp_ns"]?.length ?? 0;
  const columns = Object.keys(part.columns).length - 1;
  const { stdout } = await promisify(execFile)(pythonOf("pyarrow"), [
    script,
    String(port),
    String(part.batches),
    String(rows),
    String(columns),
  ]);
  return Number(stdout);
}
