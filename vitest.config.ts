import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as { version: string };

// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  // The same constant that build/bundle.mjs puts into the program.
  define: { MOSAICO_EDGE_VERSION: JSON.stringify(version) },
  test: {
    environment: "node",
    include: ["test/**/*.test.ts"],
    // Processes, because native add-ons, signals and environment variables belong to a process. scripts/test.mjs runs vitest
    // by Node 24, and the forks use the same.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    // A forgotten `.only` must not pass for a green run.
    allowOnly: false,
  },
});
