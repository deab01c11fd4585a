/** Ties a call of grpc-js to its connection and its caller. */

import type { Metadata } from "@grpc/grpc-js";
import type { DialectProof } from "../wire/action.ts";
import { provenGeneration } from "../wire/dialect.ts";
import { type Authorizer, authenticate, type Caller, tokenHeader } from "./authorize.ts";
import type { Connection, Dialects } from "./dialects.ts";

export interface Identity {
  readonly connection: Connection;
  readonly caller: Caller;
}

export interface IdentifyParts {
  readonly authorizer: Authorizer;
  readonly dialects: Dialects;
}

/** What the call shows of its client before anything else is looked at. */
export interface CallSign {
  readonly call: "list" | "version" | "info" | "other";
  readonly proof: DialectProof;
}

/** @throws Fault unauthenticated, denied, invalid */
export function identify(
  { authorizer, dialects }: IdentifyParts,
  call: { getPeer(): string; readonly metadata: Metadata },
  sign: CallSign,
): Identity {
  const connection = dialects.connection(call.getPeer());
  dialects.note(connection, sign.call, sign.proof);
  const [token] = call.metadata.get(tokenHeader);
  const caller = authenticate(authorizer, typeof token === "string" ? token : undefined, missingKeyCode(connection));
  dialects.remember(connection, caller);
  return { connection, caller };
}

/** SDK 0.6 and 0.7 tell only PERMISSION_DENIED from other failures. */
export function missingKeyCode(connection: Connection): "unauthenticated" | "denied" {
  return provenGeneration(connection.marks) === "0.6" ? "denied" : "unauthenticated";
}
