/** One server per data directory: the owner row names a control socket, and a socket that does not answer has a dead owner. */

import type { Catalog } from "../catalog/catalog.ts";
import { giveUpOwnership, type Owner, readOwner, takeOwnership } from "../catalog/store-facts.ts";
import { askControlSocket, openControlSocket } from "../host/control-socket.ts";
import type { Disk } from "../host/disk.ts";
import { newUlid } from "../host/entropy.ts";
import { Fault } from "../model/fault.ts";
import { lockFile } from "../store/layout.ts";

const socketName = /^control-[0-9A-HJKMNP-TV-Z]{26}\.sock$/;

/** The socket over which an owner serves Flight to commands on its machine. */
export function flightSocketOf({ socket }: Pick<Owner, "socket">): string {
  return socket.replace(/^control-/, "flight-");
}

/** Whoever was ended at once has left its sockets behind. Those that are alive answer, our own among them. */
async function sweepSockets(disk: Disk): Promise<void> {
  for (const name of await disk.list(".")) {
    const control = name.replace(/^flight-/, "control-");
    if (socketName.test(control) && (await askControlSocket(disk.root, control)) === undefined) await disk.remove(name);
  }
}

/** Whether a server lives on the directory; asks its sockets, so that the catalog need not be opened for it. */
export async function isServed(disk: Disk): Promise<boolean> {
  for (const name of await disk.list(".")) {
    if (socketName.test(name) && (await askControlSocket(disk.root, name)) !== undefined) return true;
  }
  return false;
}

export interface Ownership extends AsyncDisposable {
  readonly owner: Owner;
  /**
   * Says that what a dead owner has left is cleared away: given up from then on, the store is closed. Before, it is left as it
   * was found.
   */
  settle(): void;
}

/**
 * @param answer what the control socket tells
 * @throws Fault wrong_state when a living server has the directory
 */
export async function own(disk: Disk, catalog: Catalog, answer: () => Promise<string>): Promise<Ownership> {
  const previous = readOwner(catalog);
  if (previous !== undefined && (await askControlSocket(disk.root, previous.socket)) !== undefined) {
    throw new Fault("wrong_state", `Another server (process ${previous.pid}) is running on ${disk.root}.`);
  }
  const owner: Owner = { socket: `control-${newUlid(Date.now())}.sock`, pid: process.pid };
  const stack = new AsyncDisposableStack();
  stack.use(await openControlSocket(disk.root, owner.socket, answer));
  try {
    await takeOwnership(catalog, owner, previous);
    await sweepSockets(disk);
    await disk.writeText(lockFile, `process ${owner.pid}, socket ${owner.socket}\n`);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
  let next = previous;
  stack.defer(async () => {
    await giveUpOwnership(catalog, owner, next);
    await disk.remove(lockFile);
  });
  return {
    owner,
    settle() {
      next = undefined;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
