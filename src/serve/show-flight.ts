/** Serves GetFlightInfo, GetSchema and ListFlights: what there is, from the catalog. */

import { create, toBinary } from "@bufbuild/protobuf";
import { allows } from "../model/permission.ts";
import { CriteriaSchema, FlightDescriptorSchema, FlightInfoSchema, SchemaResultSchema } from "../wire/flight_pb.js";
import { readMessage } from "../wire/flight-data.ts";
import { type AnswerParts, frame, sendAnswer } from "./answer-sender.ts";
import { demand } from "./authorize.ts";
import type { TakenCall } from "./call-door.ts";
import { type FlightInfoParts, flightInfo, flightInfoBytes, listFlightInfos, topicSchema } from "./flight-info.ts";
import { type IdentifyParts, identifyTaken } from "./identify.ts";
import { receiveRequest } from "./unary-request.ts";

export interface ShowFlightParts extends IdentifyParts, FlightInfoParts, AnswerParts {}

/** @throws Fault what the call's status is to say */
export async function getFlightInfo(parts: ShowFlightParts, call: TakenCall): Promise<void> {
  const identity = identifyTaken(parts, call);
  demand(identity.caller, "read", "GetFlightInfo");
  const descriptor = await receiveDescriptor(call);
  await sendAnswer(parts, call, {
    estimateBytes: flightInfoBytes(parts, descriptor),
    build: async () => toBinary(FlightInfoSchema, await flightInfo(parts, identity, descriptor, call.signal)),
  });
}

/** @throws Fault what the call's status is to say */
export async function getSchema(parts: ShowFlightParts, call: TakenCall): Promise<void> {
  // Only SDK 0.7 asks for schemas.
  const { caller } = identifyTaken(parts, call, { call: "other", proof: "new" });
  demand(caller, "read", "GetSchema");
  const descriptor = await receiveDescriptor(call);
  await sendAnswer(parts, call, {
    estimateBytes: topicSchema(parts, descriptor).byteLength,
    build: () => {
      const schema = topicSchema(parts, descriptor);
      return toBinary(SchemaResultSchema, create(SchemaResultSchema, { schema }));
    },
  });
}

/** @throws Fault what the call's status is to say */
export async function listFlights(parts: ShowFlightParts, call: TakenCall): Promise<void> {
  const { caller } = identifyTaken(parts, call, { call: "list", proof: undefined });
  // A key that may write and not read has to get through the connect of SDK 0.4 and 0.5, which lists.
  if (!allows(caller.permissions, "read") && allows(caller.permissions, "write")) return;
  demand(caller, "read", "ListFlights");
  const expression = await receiveExpression(call);
  for (const page of listFlightInfos(parts, expression)) {
    const messages = page.map((info) => toBinary(FlightInfoSchema, info));
    if (messages.length > 0) await call.response.write(frame(...messages));
  }
}

async function receiveDescriptor(call: TakenCall) {
  using request = await receiveRequest(call, "FlightDescriptor");
  // A copy: its command would be a view.
  return readMessage(FlightDescriptorSchema, Uint8Array.from(request.bytes), "FlightDescriptor");
}

async function receiveExpression(call: TakenCall) {
  using request = await receiveRequest(call, "Criteria");
  return Uint8Array.from(readMessage(CriteriaSchema, request.bytes, "Criteria").expression);
}
