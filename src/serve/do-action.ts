/** Serves one DoAction: the key first, then the body, then the action, then its answer. */

import { create, toBinary } from "@bufbuild/protobuf";
import { Fault } from "../model/fault.ts";
import type { DialectProof, ParsedAction } from "../wire/action.ts";
import { parseAction } from "../wire/action.ts";
import { writeAnswer, writeEmptyAnswer } from "../wire/answer.ts";
import { ActionSchema, ResultSchema } from "../wire/flight_pb.js";
import { readMessage } from "../wire/flight-data.ts";
import { type ActionParts, runAction } from "./actions.ts";
import { type AnswerParts, sendAnswer } from "./answer-sender.ts";
import { demand } from "./authorize.ts";
import type { TakenCall } from "./call-door.ts";
import { type CallSign, checkKey, type IdentifyParts, identifyTaken } from "./identify.ts";
import { receiveRequest } from "./unary-request.ts";

export interface DoActionParts extends IdentifyParts, AnswerParts {
  readonly actions: ActionParts;
}

/** @throws Fault what the call's status is to say */
export async function doAction(parts: DoActionParts, call: TakenCall): Promise<void> {
  const body = await answerTo(parts, call);
  await sendAnswer(parts, call, toBinary(ResultSchema, create(ResultSchema, { body })));
}

/** Carries the action out; its body is held that long. */
async function answerTo(parts: DoActionParts, call: TakenCall): Promise<Uint8Array> {
  using request = await receive(parts, call);
  const action = readMessage(ActionSchema, request.bytes, "Action");
  const { parsed, failure } = tryParse(action.type, action.body);
  const identity = identifyTaken(parts, call, signOf(parsed?.request.kind, parsed?.proof));
  if (parsed === undefined) throw failure;
  demand(identity.caller, parsed.permission, action.type);
  const response = await runAction(parts.actions, identity, parsed.request);
  return response === "empty" ? writeEmptyAnswer() : writeAnswer(action.type, response);
}

/** A stranger is told so whatever is wrong with what it sends. */
async function receive(parts: DoActionParts, call: TakenCall) {
  try {
    return await receiveRequest(call, "Action");
  } catch (error) {
    if (!(error instanceof Fault && error.code === "cancelled")) checkKey(parts, call);
    throw error;
  }
}

/** Authentication comes before the body's errors, but what the body proves of the dialect decides how it is refused. */
function tryParse(type: string, body: Uint8Array): { parsed?: ParsedAction; failure?: unknown } {
  try {
    return { parsed: parseAction(type, body) };
  } catch (failure) {
    return { failure };
  }
}

function signOf(kind: string | undefined, proof: DialectProof): CallSign {
  return { call: kind === "version" || kind === "info" ? kind : "other", proof };
}
