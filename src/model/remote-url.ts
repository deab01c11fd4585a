/** Addresses of other Mosaicos, as people write them: `grpc://host:port` or `grpc+tls://host:port`, with 6726 as the usual port. */

import { Fault } from "./fault.ts";

export interface RemoteUrl {
  readonly text: string;
  readonly tls: boolean;
  /** A name, an IPv4 address, or an IPv6 address in brackets. */
  readonly host: string;
  readonly port: number;
}

const portNormal = 6726;

/** @throws Fault invalid */
export function parseRemoteUrl(text: string): RemoteUrl {
  const match = /^(grpc|grpc\+tls|grpcs):\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?\/?$/.exec(
    text.trim(),
  );
  const [, scheme, host, port] = match ?? [];
  const number = port === undefined ? portNormal : Number(port);
  if (scheme === undefined || host === undefined || number < 1 || number > 65_535) {
    throw new Fault(
      "invalid",
      `expected an address like grpc+tls://central.example:6726 or grpc://10.0.0.5, found ${JSON.stringify(text.slice(0, 200))}`,
    );
  }
  const tls = scheme !== "grpc";
  return { text: `${tls ? "grpc+tls" : "grpc"}://${host}:${number}`, tls, host, port: number };
}

/** Whether what goes there stays on this machine. @param host a name, an IPv4 address, or an IPv6 address with or without brackets */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127\.[0-9.]+$/.test(host);
}
