/** Serves one DoPut: checks in the order of the protocol, then feeds the upload until the client closes its side. */

import { findTopic } from "../catalog/resources.ts";
import type { Log } from "../host/log.ts";
import type { Upload } from "../ingest/upload.ts";
import type { Uploads } from "../ingest/uploads.ts";
import { Fault } from "../model/fault.ts";
import { parsePutCommand } from "../wire/action.ts";
import { FlightDescriptor_DescriptorType } from "../wire/flight_pb.js";
import { acksHeader, resumeHeader } from "../wire/flight-call.ts";
import { type FlightData, readFlightData } from "../wire/flight-data.ts";
import { toStatus } from "../wire/grpc-status.ts";
import { AckSender } from "./ack-sender.ts";
import { demand } from "./authorize.ts";
import type { TakenCall } from "./call-door.ts";
import { type IdentifyParts, identifyTaken } from "./identify.ts";

export interface PutTopicParts extends IdentifyParts {
  readonly uploads: Uploads;
  readonly log: Log;
}

/** Ends when everything is durable. @throws Fault what the call's status is to say; whole batches are kept all the same */
export async function putTopic(parts: PutTopicParts, call: TakenCall): Promise<void> {
  const { caller } = identifyTaken(parts, call);
  demand(caller, "write", "DoPut");

  const first = await call.frames.next();
  if (first === undefined) throw new Fault("invalid", "Missing header in request.");
  const { log, authorizer } = parts;
  const { clock, catalog } = authorizer;
  const begunMs = clock.monotonicMs();
  let begun: { upload: Upload; command: ReturnType<typeof parsePutCommand> };
  try {
    const data = readFlightData(first.bytes);
    const command = readCommand(data);
    if (data.header.byteLength === 0) throw new Fault("invalid", "Missing schema.");
    const upload = await parts.uploads.begin({
      topic: command.topic,
      uuid: command.uuid,
      schemaHeader: data.header,
      resumeRows: resumeRowsOf(call),
      memoryWaitMs: () => call.frames.memoryWaitMs,
    });
    begun = { upload, command };
  } finally {
    first.release();
  }
  const { upload, command } = begun;
  const { topic } = command;
  const stop = () => call.cancel(upload.stopped.reason);
  upload.stopped.addEventListener("abort", stop, { once: true });
  try {
    if (upload.stopped.aborted) throw upload.stopped.reason;
    const acks = call.headers[acksHeader] === "1" ? new AckSender(call.response, upload) : undefined;
    await feed(upload, call);
    await acks?.flush();
    const durationMs = Math.round(clock.monotonicMs() - begunMs);
    log.info("upload_ended", { topic, ...upload.taken, durationMs, peer: call.peer });
  } catch (error) {
    // Those of the topic that are on disk, from earlier uploads too: what the client may rely on.
    const rows = findTopic(catalog, topic)?.extent.rows ?? 0;
    log.warning("upload_broken_off", { topic, reason: toStatus(error).details, rows, peer: call.peer });
    throw error;
  } finally {
    await parts.uploads.end(upload, command.uuid);
  }
}

function resumeRowsOf({ headers }: TakenCall): number | undefined {
  const text = headers[resumeHeader];
  if (text === undefined) return undefined;
  const rows = typeof text === "string" && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
  if (rows !== undefined) return rows;
  throw new Fault("invalid", `The header ${resumeHeader} is ${JSON.stringify(text)}, expected a number of rows.`);
}

async function feed(upload: Upload, call: TakenCall): Promise<void> {
  try {
    for (let frame = await call.frames.next(); frame !== undefined; frame = await call.frames.next()) {
      const { header, body } = readOrRelease(frame);
      await upload.append({ header, body, release: frame.release });
    }
    await upload.complete();
  } catch (error) {
    await upload.breakOff();
    throw error;
  }
}

function readOrRelease(frame: { bytes: Uint8Array; release(): void }): FlightData {
  try {
    const data = readFlightData(frame.bytes);
    if (data.header.byteLength === 0) {
      throw new Fault("invalid", "Unsupported stream message, stream aborted: a message without data_header.");
    }
    return data;
  } catch (error) {
    frame.release();
    throw error;
  }
}

function readCommand(data: FlightData): ReturnType<typeof parsePutCommand> {
  const { descriptor } = data;
  if (descriptor === undefined) throw new Fault("invalid", "Request has no descriptor.");
  if (descriptor.type === FlightDescriptor_DescriptorType.PATH)
    throw new Fault("invalid", "Unsupported descriptor: PATH, expected CMD.");
  return parsePutCommand(descriptor.cmd);
}
