// A link between two machines that goes wrong on purpose: connections are cut in the middle of a message, answers get lost, bytes
// trickle, or nothing comes through any more while both ends believe in their connection.

import { connect, createServer, type Socket } from "node:net";
import type { Random } from "../model/random.ts";

export const linkFaults = ["reset", "reply lost", "trickle", "half-open"] as const;
export type LinkFault = (typeof linkFaults)[number];

export interface BadLink extends AsyncDisposable {
  readonly port: number;
  /** How often each fault was played. */
  readonly played: ReadonlyMap<LinkFault, number>;
  /** From now on nothing goes wrong. */
  mend(): void;
}

/** Calls that are few and small, so that they would hardly be met by chance, and how often they are cut. */
const actions = ["sequence_create", "session_create", "topic_create", "session_finalize"];
const actionProbability = 0.08;

/** Pieces of a connection that trickle before it is reset. */
const trickledMax = 10;

interface LinkOptions {
  /** Where the other machine listens, which may be another place after it has been restarted. */
  target(): number;
  readonly random: Random;
  readonly faults: readonly LinkFault[];
  /** Share of connections that go wrong. */
  readonly probability: number;
  /** Bytes in one direction after which a connection goes wrong, at most. */
  readonly bytesMax: number;
  /** 500 where it says nothing. */
  readonly bytesMin?: number;
}

export async function openBadLink({
  target,
  random,
  faults,
  probability,
  bytesMax,
  bytesMin = 500,
}: LinkOptions): Promise<BadLink> {
  const played = new Map<LinkFault, number>();
  const sockets = new Set<Socket>();
  let mended = false;
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: target(), host: "127.0.0.1", allowHalfOpen: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    const fault = !mended && random.chance(probability) ? random.pick(faults) : undefined;
    // Mostly small amounts: what a few calls without rows have.
    const after = Math.floor(bytesMin * (bytesMax / bytesMin) ** (random.next() ** 2));
    forward(near, far, fault === "reply lost" ? undefined : fault, after);
    forward(far, near, fault === "trickle" ? undefined : fault, Math.floor(after / 8));

    function forward(from: Socket, to: Socket, what: LinkFault | undefined, bytesBefore: number): void {
      let passed = 0;
      let happened = false;
      let trickled = 0;
      from.on("data", (bytes: Buffer) => {
        if (
          from === near &&
          !mended &&
          actions.some((action) => bytes.includes(action)) &&
          random.chance(actionProbability)
        ) {
          const isLost = random.chance(0.5);
          const name = isLost ? "reset" : "reply lost";
          played.set(name, (played.get(name) ?? 0) + 1);
          // Before it is asked, or when it is done and before the answer.
          if (!isLost) to.write(bytes);
          far.removeAllListeners("data");
          setTimeout(() => near.resetAndDestroy(), isLost ? 0 : 30);
          return;
        }
        if (what !== undefined && !mended && !happened && passed + bytes.byteLength > bytesBefore) {
          happened = true;
          played.set(what, (played.get(what) ?? 0) + 1);
        }
        passed += bytes.byteLength;
        if (!happened) {
          if (!to.write(bytes)) {
            from.pause();
            to.once("drain", () => from.resume());
          }
          return;
        }
        switch (what) {
          case "reset":
            to.write(bytes.subarray(0, Math.max(0, bytesBefore - passed + bytes.byteLength)));
            near.resetAndDestroy();
            far.resetAndDestroy();
            return;
          case "reply lost":
            // What was asked for goes on to be done.
            setTimeout(() => {
              near.destroy();
              far.destroy();
            }, 30);
            return;
          case "trickle":
            // For a while; then it has had enough.
            trickled += 1;
            if (trickled > trickledMax) near.resetAndDestroy();
            from.pause();
            trickle(to, bytes, () => from.resume());
            return;
          default:
            return;
        }
      });
      from.on("end", () => to.end());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new RangeError("a socket has a port");
  return {
    port: address.port,
    played,
    mend() {
      mended = true;
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A few bytes at a time for a while, then the rest. */
function trickle(to: Socket, bytes: Buffer, done: () => void): void {
  let at = 0;
  const step = (): void => {
    if (at >= Math.min(bytes.byteLength, 200) || to.destroyed) {
      to.write(bytes.subarray(at));
      done();
      return;
    }
    to.write(bytes.subarray(at, at + 7));
    at += 7;
    setTimeout(step, 1);
  };
  step();
}
