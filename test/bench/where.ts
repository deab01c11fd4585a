// Where the server's time goes: the load once more against the sources under V8's profiler, each sample counted for the innermost
// function of ours, each thread's CPU read from outside. Nothing here is a figure of the product: profiling takes a tenth.

import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { startServer } from "../server.ts";
import { bytesOf, type Load } from "./loads.ts";
import { ticksPerSecond } from "./process-use.ts";
import { putAll } from "./put-load.ts";

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The first whose path a file of ours starts with. */
const rooms: readonly (readonly [start: string, what: string])[] = [
  ["src/host/checksum", "checksum"],
  ["src/host/young-garbage", "garbage"],
  ["src/host/", "hand to pool"],
  ["src/arrow/", "check"],
  ["src/store/", "store"],
  ["src/catalog/", "commit"],
  ["node_modules/lmdb", "commit"],
  ["src/ingest/group-commit", "commit"],
  ["src/ingest/", "upload"],
  ["src/", "receive"],
];

/** One line for people: seconds of CPU per GB of the main thread by what it did, and of the other threads. */
export async function whereTimeGoes(load: Load, directory: string): Promise<string> {
  const folder = await mkdtemp(path.join(directory, "mosaico-edge-where-"));
  try {
    const args = ["--cpu-prof", "--cpu-prof-dir", folder, path.join(root, "src/main.ts")];
    const alone = { file: process.execPath, args };
    await using server = await startServer({ dataDir: path.join(folder, "data"), args: load.args ?? [], alone });
    const before = threadSeconds(server.pid);
    const beganUs = nowUs();
    await putAll(server.port, load);
    const endedUs = nowUs();
    const after = threadSeconds(server.pid);
    await server.stop();
    const file = readdirSync(folder).find((name) => name.endsWith(".cpuprofile"));
    if (file === undefined) throw new Error("where: the server has left no profile");
    const profile = JSON.parse(await readFile(path.join(folder, file), "utf8")) as Profile;
    const gigabytes = bytesOf(load) / 1e9;
    const spent = (thread: string) => ((after.get(thread) ?? 0) - (before.get(thread) ?? 0)) / gigabytes;
    const main = spent("MainThread");
    const shares = sharesOf(profile, beganUs, endedUs)
      .filter(([, share]) => share >= 0.01)
      .map(([what, share]) => `${what} ${(share * main).toFixed(2)}`);
    return `  of it, in CPU s/GB under a profiler: ${shares.join(", ")}; pool (write, sync, catalog) ${spent("libuv-worker").toFixed(2)}, V8 ${spent("V8Worker").toFixed(2)}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** CPU by the name of the thread. */
function threadSeconds(pid: number): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8");
    const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    seconds.set(name, (seconds.get(name) ?? 0) + ticks / ticksPerSecond);
  }
  return seconds;
}

/** What the main thread did in that time when it was not idle; the largest first. */
function sharesOf(profile: Profile, beganUs: number, endedUs: number): [what: string, share: number][] {
  const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const whatOf = (id: number): string => {
    const name = nodes.get(id)?.callFrame.functionName;
    if (name === "(idle)") return "idle";
    if (name === "(garbage collector)") return "garbage";
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const url = nodes.get(at)?.callFrame.url ?? "";
      const file = url.startsWith("file://") ? path.relative(root, fileURLToPath(url)) : url;
      const room = rooms.find(([start]) => file.startsWith(start));
      if (room !== undefined) return room[1];
    }
    return "receive"; // Node's own: sockets, HTTP/2, streams
  };
  const spent = new Map<string, number>();
  let atUs = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const deltaUs = profile.timeDeltas[index] ?? 0;
    atUs += deltaUs;
    const what = whatOf(id);
    if (atUs >= beganUs && atUs <= endedUs && what !== "idle") spent.set(what, (spent.get(what) ?? 0) + deltaUs);
  }
  const total = [...spent.values()].reduce((sum, us) => sum + us, 0);
  if (total === 0) throw new Error("where: the profile has no sample of the load");
  return [...spent].map(([what, us]): [string, number] => [what, us / total]).toSorted(([, a], [, b]) => b - a);
}
