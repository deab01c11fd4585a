/** Composition root: the only file that listens to signals and ends the process. */

import { describe, exitCodeOf } from "./cli/exit.ts";
import { runProgram, usageExitCode } from "./cli/program.ts";
import { openLog } from "./host/log.ts";
import { letHeapGrow } from "./host/young-garbage.ts";

// Recorded data may say where people were. Not all files are made with a mode of ours: the catalog's are LMDB's. Deno lets a
// program set its umask only with every permission of --allow-sys; there the mode of the data directory has to do.
if (process.versions["deno"] === undefined) process.umask(0o077);

// What Node will do differently one day, like its word on addresses as names of TLS servers, is nothing that an operator can mend.
Object.assign(process, { noDeprecation: true });

// File I/O, checksums of secrets and compression share this pool; its default of 4 makes syncs wait for each other.
process.env["UV_THREADPOOL_SIZE"] ??= "8";

letHeapGrow();

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // Who presses Ctrl-C twice does not want to wait. Supervisors repeat SIGTERM without meaning that.
    if (stop.signal.aborted && signal === "SIGINT") process.exit(130);
    stop.abort();
  });
}

// A rejection that nobody waits for is a bug, and in store or catalog it may hide a failed sync: nothing may be trusted then.
process.on("unhandledRejection", (cause) => {
  openLog("error").error("unhandled_rejection", { cause });
  process.exit(70);
});

runProgram(process.argv.slice(2), stop.signal).then(
  (code) => process.exit(code),
  (error: unknown) => {
    const usage = usageExitCode(error);
    if (usage === undefined) process.stderr.write(`mosaico-edge: ${describe(error)}\n`);
    process.exit(usage ?? exitCodeOf(error));
  },
);
