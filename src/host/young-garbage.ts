/**
 * Frees what data from and for a socket leave behind before V8 does it the slow way. Node hands over each piece that it has read as an
 * ArrayBuffer of its own, dead as soon as it is copied. V8 counts its bytes outside the heap and marks the whole heap after some
 * 30 MiB of them, 14 times a second at 500 MB/s, though a scavenge would have freed them all. Measured with load `single`:
 * 97 markings per 4 GB and 2.6 to 3.4 CPU s/GB without, one marking and 2.1 with scavenges (0.6 ms each). grpc-js leaves a
 * copy of each message that it sends: a quarter of the time of a server that sent and took uploads went to marking.
 */

import v8 from "node:v8";
import { runInNewContext } from "node:vm";
import { heapGrowthPercent, youngGarbageBytes } from "../model/limits.ts";

type Collect = (options: { type: "minor" }) => void;

/** Of the process, as the heap is. */
const state: { bytes: number; collect: Collect | undefined } = { bytes: 0, collect: findCollect() };

/** Says that so many bytes outside the heap are garbage, or will be at once. */
export function leaveGarbage(bytes: number): void {
  state.bytes += bytes;
  if (state.bytes < youngGarbageBytes) return;
  state.bytes = 0;
  state.collect?.({ type: "minor" });
}

/** Lets some garbage lie until it is marked: most of what is said here is of data outside the heap, which scavenges free. */
export function letHeapGrow(): void {
  try {
    v8.setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`);
  } catch {
    // Without it everything works, but slower.
  }
}

/** V8's own, which only a context that is made with the flag set has; without it everything works, but slower. */
function findCollect(): Collect | undefined {
  try {
    v8.setFlagsFromString("--expose-gc");
    const collect: unknown = runInNewContext("globalThis.gc");
    v8.setFlagsFromString("--no-expose-gc");
    return typeof collect === "function" ? (collect as Collect) : undefined;
  } catch {
    return undefined;
  }
}
