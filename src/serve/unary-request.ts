/** The one message of a request: what it may be, by who sends it, and how it is received. */

import { Budget } from "../flow/budget.ts";
import { Fault } from "../model/fault.ts";
import {
  actionBytesMax,
  actionBytesTotal,
  freeMessageBytes,
  messageStallMs,
  stranger,
  ticketBytesMax,
  wantedPace,
} from "../model/limits.ts";
import type { CallHead, TakenCall } from "./call-door.ts";
import type { RequestLimits } from "./frame-reader.ts";
import { checkKey, type IdentifyParts } from "./identify.ts";

/** An action's name and protobuf around the largest body. */
const framingBytes = 64 * 1024;

export type LimitsByCaller = (head: CallHead) => RequestLimits;

/**
 * Large bodies share a budget of their own, so that they wait neither for uploads nor uploads for them. Who has no valid key
 * may send next to nothing: only what shows in which dialect it is to be refused.
 */
export function actionLimits(parts: IdentifyParts): LimitsByCaller {
  const known: RequestLimits = {
    budget: new Budget(actionBytesTotal),
    freeBytesMax: freeMessageBytes,
    messageBytesMax: actionBytesMax + framingBytes,
    stallMs: messageStallMs,
    restMs: messageStallMs,
    pace: wantedPace,
  };
  const unknown: RequestLimits = {
    ...known,
    budget: new Budget(2 * stranger.bodyBytes),
    messageBytesMax: stranger.bodyBytes,
    stallMs: stranger.waitMs,
    restMs: stranger.waitMs,
  };
  return (head) => {
    try {
      checkKey(parts, head);
      return known;
    } catch {
      return unknown;
    }
  };
}

/** A ticket or a descriptor needs next to nothing, and waits for nobody. */
export function smallLimits(): RequestLimits {
  return {
    budget: new Budget(2 * ticketBytesMax),
    freeBytesMax: ticketBytesMax,
    messageBytesMax: ticketBytesMax,
    stallMs: messageStallMs,
    restMs: messageStallMs,
    pace: undefined,
  };
}

export interface Received extends Disposable {
  /** Not to be used after dispose. */
  readonly bytes: Uint8Array;
}

/** @throws Fault invalid when there is none, or as `FrameReader.next` */
export async function receiveRequest({ frames }: TakenCall, what: string): Promise<Received> {
  const frame = await frames.next();
  if (frame === undefined) throw new Fault("invalid", `Missing message in request, expected one ${what}.`);
  return { bytes: frame.bytes, [Symbol.dispose]: frame.release };
}
