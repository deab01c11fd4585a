/** Serves one DoGet: the schema that a reader gets, then every row of the window in the order of time. */

import type { BufferPool } from "../flow/buffer-pool.ts";
import { Fault } from "../model/fault.ts";
import { TopicReader } from "../query/topic-reader.ts";
import { TicketSchema } from "../wire/flight_pb.js";
import { flightDataHead, readMessage } from "../wire/flight-data.ts";
import { readTicket, type Ticket } from "../wire/ticket.ts";
import { demand } from "./authorize.ts";
import type { TakenCall } from "./call-door.ts";
import { type FlightInfoParts, readerSchema, topicOf, viewWindow } from "./flight-info.ts";
import { type IdentifyParts, identifyTaken } from "./identify.ts";
import { SliceWriter } from "./slice-writer.ts";

export interface GetTopicParts extends FlightInfoParts, IdentifyParts {
  readonly pool: BufferPool;
}

/** @throws Fault what the call's status is to say; messages that were cut short by it are no messages to any client */
export async function getTopic(parts: GetTopicParts, call: TakenCall): Promise<void> {
  const { catalog, sendBudget, pool } = parts;
  const identity = identifyTaken(parts, call);
  demand(identity.caller, "read", "DoGet");
  const ticket = await receiveTicket(call);
  const topic = topicOf(catalog, ticket.topic);
  const view = await viewWindow(parts, topic, ticket.window, call.signal);
  const slices = new SliceWriter(call.response, sendBudget, pool);
  try {
    await slices.write(flightDataHead(readerSchema(catalog, identity, topic, view), 0));
    slices.endMessage();
    const schemaHeader = catalog.schemas.get(topic.uuid);
    if (schemaHeader !== undefined) {
      await using reader = new TopicReader(parts, topic, schemaHeader);
      for await (const message of reader.messages(ticket.window, call.signal)) {
        await slices.write(flightDataHead(message.header, message.bodyBytes));
        await slices.writeFrom(message.bodyBytes, (target) => message.readBody(target));
        slices.endMessage();
      }
    }
    await slices.flush();
  } catch (error) {
    // What is whole before the damage is the client's.
    if (error instanceof Fault && error.code === "corrupt") await slices.flushWhole();
    throw error;
  } finally {
    slices.close();
  }
}

async function receiveTicket({ frames }: TakenCall): Promise<Ticket> {
  const frame = await frames.next();
  if (frame === undefined) throw new Fault("invalid", "Missing ticket in request.");
  try {
    return readTicket(readMessage(TicketSchema, frame.bytes, "Ticket").ticket);
  } finally {
    frame.release();
  }
}
