/** Serves one DoAction: the key first, then the body, then the action, then its answer. */

import { create, toBinary } from "@bufbuild/protobuf";
import { Fault } from "../model/fault.ts";
import { freeMessageBytes, itemsAtOnce } from "../model/limits.ts";
import type { DialectProof, ParsedAction } from "../wire/action.ts";
import { parseAction } from "../wire/action.ts";
import { writeAnswer, writeEmptyAnswer, writeStreamedAnswer } from "../wire/answer.ts";
import type { MatchStyle } from "../wire/condition.ts";
import { isLegacy } from "../wire/dialect.ts";
import { ActionSchema, ResultSchema } from "../wire/flight_pb.js";
import { readMessage } from "../wire/flight-data.ts";
import { type ActionParts, LargeResponse, runAction, StreamedResponse } from "./actions.ts";
import { type Answer, type AnswerParts, frame, sendAnswer } from "./answer-sender.ts";
import { demand } from "./authorize.ts";
import type { TakenCall } from "./call-door.ts";
import { type CallSign, checkKey, type IdentifyParts, identifyTaken } from "./identify.ts";
import { type Received, receiveRequest } from "./unary-request.ts";

export interface DoActionParts extends IdentifyParts, AnswerParts {
  readonly actions: ActionParts;
  /** Fires when the server stops, with what callers are told. */
  readonly stopping: AbortSignal;
}

/** @throws Fault what the call's status is to say */
export async function doAction(parts: DoActionParts, call: TakenCall): Promise<void> {
  using request = await receive(parts, call);
  const answer = await answerTo(parts, call, request);
  if (Symbol.asyncIterator in answer) return await sendItems(call, answer);
  const { estimateBytes, build } = answer;
  await sendAnswer(parts, call, {
    estimateBytes,
    build: request.bytes.byteLength <= freeMessageBytes ? build : once(build, request),
  });
}

async function* encodeItems(type: string, items: AsyncIterable<object>): AsyncGenerator<Uint8Array> {
  for await (const item of items) yield encode(writeStreamedAnswer(type, item));
}

/** Each in a message of its own, as the protocol wants it, but some in one write. */
async function sendItems({ response }: TakenCall, items: AsyncIterable<Uint8Array>): Promise<void> {
  let waiting: Uint8Array[] = [];
  for await (const item of items) {
    waiting.push(item);
    if (waiting.length < itemsAtOnce) continue;
    await response.write(frame(...waiting));
    waiting = [];
  }
  if (waiting.length > 0) await response.write(frame(...waiting));
}

/** What a large body asked is let go with the body: the client may take its time to read. */
function once(build: Answer["build"], request: Received): Answer["build"] {
  let left: Answer["build"] | undefined = build;
  return async () => {
    if (left === undefined)
      throw new Fault("overloaded", "The answer was not read while others waited for its memory.");
    const bytes = await left();
    left = undefined;
    request[Symbol.dispose]();
    return bytes;
  };
}

async function answerTo(
  parts: DoActionParts,
  call: TakenCall,
  request: Received,
): Promise<Answer | AsyncIterable<Uint8Array>> {
  const action = readMessage(ActionSchema, request.bytes, "Action");
  let { parsed, failure } = tryParse(action.type, action.body);
  const identity = identifyTaken(parts, call, signOf(parsed?.request.kind, parsed?.proof));
  // What a pattern means is known by the client that sends it.
  if (action.type === "query" && isLegacy(identity.connection.marks))
    ({ parsed, failure } = tryParse(action.type, action.body, "like"));
  if (parsed === undefined) throw failure;
  demand(identity.caller, parsed.permission, action.type);
  const { type } = action;
  const signal = AbortSignal.any([call.signal, parts.stopping]);
  const response = await runAction(parts.actions, identity, parsed.request, signal);
  if (response instanceof LargeResponse) {
    const { estimateBytes, build } = response;
    return { estimateBytes, build: async () => encode(writeAnswer(type, await build())) };
  }
  if (response instanceof StreamedResponse) return encodeItems(type, response.items);
  const bytes = encode(response === "empty" ? writeEmptyAnswer() : writeAnswer(type, response));
  return { estimateBytes: bytes.byteLength, build: () => bytes };
}

function encode(body: Uint8Array): Uint8Array {
  return toBinary(ResultSchema, create(ResultSchema, { body }));
}

/** A stranger is told so whatever is wrong with what it sends. */
async function receive(parts: DoActionParts, call: TakenCall): Promise<Received> {
  try {
    return await receiveRequest(call, "Action");
  } catch (error) {
    if (!(error instanceof Fault && error.code === "cancelled")) checkKey(parts, call);
    throw error;
  }
}

/** Authentication comes before the body's errors, but what the body proves of the dialect decides how it is refused. */
function tryParse(type: string, body: Uint8Array, style?: MatchStyle): { parsed?: ParsedAction; failure?: unknown } {
  try {
    return { parsed: parseAction(type, body, style) };
  } catch (failure) {
    return { failure };
  }
}

function signOf(kind: string | undefined, proof: DialectProof): CallSign {
  return { call: kind === "version" || kind === "info" ? kind : "other", proof };
}
