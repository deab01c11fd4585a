/** Tickets of `do_get`: opaque to clients, without secret, state or expiry, so that a cached one stays usable. */

import { z } from "zod";
import { Fault } from "../model/fault.ts";
import { jsonInteger, parseJson, writeJson } from "../model/json.ts";
import { parseTopicLocator, type TopicLocator } from "../model/locator.ts";
import { everything, type TimeWindow } from "../model/time.ts";
import { int64, parseWith } from "./shape.ts";

export interface Ticket {
  readonly topic: TopicLocator;
  readonly window: TimeWindow;
}

const ticketShape = z.object({ topic: z.string(), start_ns: int64.optional(), end_ns: int64.optional() });

export function writeTicket(ticket: Ticket): Uint8Array {
  const { topic, window } = ticket;
  const bounds =
    window === everything ? {} : { start_ns: jsonInteger(window.startNs), end_ns: jsonInteger(window.endNs) };
  return new TextEncoder().encode(writeJson({ topic, ...bounds }));
}

/** @throws Fault invalid */
export function readTicket(bytes: Uint8Array): Ticket {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Fault("invalid", `Bad request: a ticket of ${bytes.byteLength} bytes is not from this server.`, error);
  }
  const ticket = parseWith(ticketShape, parseJson(text, "the ticket"), "the ticket");
  return {
    topic: parseTopicLocator(ticket.topic),
    window: { startNs: ticket.start_ns ?? everything.startNs, endNs: ticket.end_ns ?? everything.endNs },
  };
}
