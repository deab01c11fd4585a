/** Ties a call to its connection and its caller. */

import type { DialectProof } from "../wire/action.ts";
import { provenGeneration } from "../wire/dialect.ts";
import { tokenHeader } from "../wire/token.ts";
import { type Authorizer, authenticate, type Caller } from "./authorize.ts";
import type { CallHead } from "./call-door.ts";
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

export interface CallOrigin {
  /** `address:port`. */
  readonly peer: string;
  /** The API key as it came, if one did. */
  readonly token: string | undefined;
}

/** Of calls that show nothing beyond that they come. */
export const plainSign: CallSign = { call: "other", proof: undefined };

/** The caller of a call that was taken over from grpc-js. @throws Fault unauthenticated, denied, invalid */
export function identifyTaken(parts: IdentifyParts, head: CallHead, sign: CallSign = plainSign): Identity {
  return identify(parts, originOf(head), sign);
}

/**
 * Looks at the key before anything of the call is read; the connection is not told of it.
 * @throws Fault unauthenticated, denied, invalid
 */
export function checkKey({ authorizer, dialects }: IdentifyParts, head: CallHead): void {
  const { peer, token } = originOf(head);
  authenticate(authorizer, token, missingKeyCode(dialects.connection(peer)));
}

function originOf({ peer, headers }: CallHead): CallOrigin {
  const token = headers[tokenHeader];
  return { peer, token: typeof token === "string" ? token : undefined };
}

/** @throws Fault unauthenticated, denied, invalid */
export function identify(
  { authorizer, dialects }: IdentifyParts,
  { peer, token }: CallOrigin,
  sign: CallSign,
): Identity {
  const connection = dialects.connection(peer);
  dialects.note(connection, sign.call, sign.proof);
  const caller = authenticate(authorizer, token, missingKeyCode(connection));
  dialects.remember(connection, caller);
  return { connection, caller };
}

/** SDK 0.6 and 0.7 tell only PERMISSION_DENIED from other failures. */
function missingKeyCode(connection: Connection): "unauthenticated" | "denied" {
  return provenGeneration(connection.marks) === "0.6" ? "denied" : "unauthenticated";
}
