/** What this machine is connected to. */

import net from "node:net";
import { networkInterfaces } from "node:os";

/** Whether an interface is up and has an address that others can reach. */
export function isConnected(name: string): boolean {
  return (networkInterfaces()[name] ?? []).some(({ internal }) => !internal);
}

/** Whether somebody takes connections there. @param host a name or an address, IPv6 without brackets */
export async function isReachable({ host, port }: { host: string; port: number }, waitMs: number): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const socket = net.connect({ host, port, timeout: waitMs });
    const end = (reached: boolean): void => {
      socket.destroy();
      resolve(reached);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}
