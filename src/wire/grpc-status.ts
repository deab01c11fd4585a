/** The only place that knows gRPC status numbers. */

import { Fault, type FaultCode } from "../model/fault.ts";

const grpcStatus = {
  cancelled: 1,
  invalid: 3,
  expired: 4,
  absent: 5,
  exists: 6,
  denied: 7,
  overloaded: 8,
  wrong_state: 9,
  unsupported: 12,
  internal: 13,
  unavailable: 14,
  corrupt: 15,
  unauthenticated: 16,
} as const satisfies Record<FaultCode, number>;

export const overloadedStatus: number = grpcStatus.overloaded;

export interface Status {
  readonly code: number;
  readonly details: string;
}

export const okStatus: Status = { code: 0, details: "" };

const codeOfStatus = new Map(Object.entries(grpcStatus).map(([code, status]) => [status as number, code as FaultCode]));
// What mosaicod answers in streams, and what says that an argument is beyond a bound.
const otherStatuses: Readonly<Record<number, FaultCode>> = { 10: "unavailable", 11: "invalid" };

/** What a status of a server that we call means. */
export function faultCodeOf(status: number): FaultCode {
  return codeOfStatus.get(status) ?? otherStatuses[status] ?? "internal";
}

/** A fault leaves with its message; anything else is a bug of ours, and its cause belongs in the log only. */
export function toStatus(error: unknown): Status {
  return error instanceof Fault
    ? { code: grpcStatus[error.code], details: error.message }
    : { code: grpcStatus.internal, details: "Internal error." };
}

/** `grpc-message` as the gRPC over HTTP/2 specification wants it: UTF-8, percent-encoded but for printable ASCII. */
export function encodeStatusMessage(text: string): string {
  let encoded = "";
  for (const byte of new TextEncoder().encode(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** Details that fit into the headers that clients accept: C-core takes 8 KiB of all of them by default. */
export const statusDetailsMax = 2_000;
