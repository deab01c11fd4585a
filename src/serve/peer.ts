/** Who is at the other end of a connection, as text: `address:port`, or `local:number` on the socket in the data directory. */

import type { Http2Session, ServerHttp2Stream } from "node:http2";

const localPeers = new WeakMap<Http2Session, string>();
let locals = 0;

/** Of a connection over the socket in the data directory, where addresses do not tell one from another. */
export function nameLocalPeer(session: Http2Session): string {
  locals += 1;
  const name = `local:${locals}`;
  localPeers.set(session, name);
  return name;
}

/** Peer of a stream, in the form that grpc-js gives to handlers. */
export function peerOf({ session }: ServerHttp2Stream): string {
  const local = session === undefined ? undefined : localPeers.get(session);
  if (local !== undefined) return local;
  const socket = session?.socket;
  return socket?.remoteAddress === undefined ? "unknown" : `${socket.remoteAddress}:${socket.remotePort}`;
}
