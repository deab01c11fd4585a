/** FlightInfo of sequences and topics: from the catalog, in the superset that all SDKs read. */

import { create } from "@bufbuild/protobuf";
import { frameHeader } from "../arrow/frame.ts";
import { emptySchema, withMetadata } from "../arrow/metadata.ts";
import type { Catalog } from "../catalog/catalog.ts";
import {
  findSequence,
  findTopic,
  listSequenceNames,
  listSessions,
  listTopics,
  rowBytesOfSequence,
  rowBytesOfTopic,
} from "../catalog/resources.ts";
import { Fault } from "../model/fault.ts";
import { listPageNames } from "../model/limits.ts";
import { parseLocator, type SequenceName, type TopicLocator } from "../model/locator.ts";
import { allows } from "../model/permission.ts";
import type { Sequence, Session, Topic, Uuid } from "../model/resource.ts";
import { everything, type TimeWindow } from "../model/time.ts";
import { countWindow } from "../query/count-window.ts";
import type { ReadParts } from "../query/topic-reader.ts";
import { parseResourceCommand } from "../wire/action.ts";
import {
  sequenceAppMetadata,
  sequenceSchemaMetadata,
  topicAppMetadata,
  topicSchemaMetadata,
  type WindowView,
} from "../wire/answer.ts";
import {
  type FlightDescriptor,
  FlightDescriptor_DescriptorType,
  FlightDescriptorSchema,
  type FlightEndpoint,
  FlightEndpointSchema,
  type FlightInfo,
  FlightInfoSchema,
} from "../wire/flight_pb.js";
import { writeTicket } from "../wire/ticket.ts";
import type { Caller } from "./authorize.ts";
import type { Identity } from "./identify.ts";

export type FlightInfoParts = ReadParts;

const unknownTotal = -1n;

/**
 * One entry per sequence, some at a time. Its ticket is the name, as upstream has it, and no ticket of `do_get`. Nothing of the
 * catalog is held open in between: what a reader of LMDB holds is never written again, and the file grows without end.
 */
export function* listFlightInfos({ catalog }: FlightInfoParts, expression: Uint8Array): Generator<FlightInfo[]> {
  const criteria = new TextDecoder().decode(expression);
  if (criteria !== "" && criteria !== "/") {
    throw new Fault(
      "invalid",
      `Unsupported descriptor: criteria ${JSON.stringify(criteria.slice(0, 100))}, expected none or "/".`,
    );
  }
  let names: readonly string[] = [];
  do {
    names = listSequenceNames(catalog, names.at(-1) ?? "", listPageNames);
    yield names.map(entryOf);
  } while (names.length === listPageNames);
}

function entryOf(name: string): FlightInfo {
  return create(FlightInfoSchema, {
    flightDescriptor: { type: FlightDescriptor_DescriptorType.PATH, path: [name] },
    endpoint: [{ ticket: { ticket: new TextEncoder().encode(name) } }],
    totalRecords: unknownTotal,
    totalBytes: unknownTotal,
  });
}

/** @throws Fault invalid, absent, unsupported (a session) */
export async function flightInfo(
  parts: FlightInfoParts,
  identity: Identity,
  descriptor: FlightDescriptor,
  signal: AbortSignal,
): Promise<FlightInfo> {
  const command = commandOf(descriptor);
  const locator = parseLocator(command.locator);
  const { startNs, endNs } = command;
  const window =
    startNs === undefined && endNs === undefined
      ? everything
      : { startNs: startNs ?? everything.startNs, endNs: endNs ?? everything.endNs };
  switch (locator.kind) {
    case "session":
      throw new Fault(
        "unsupported",
        `Unimplemented: \`${locator.text}\` is a session, expected a sequence or a topic.`,
      );
    case "sequence":
      return await sequenceInfo(parts, identity, { name: locator.text, window, descriptor, signal });
    case "topic":
      return await topicInfo(parts, identity, { name: locator.text, window, descriptor, signal });
  }
}

/**
 * About how many bytes the answer has: rows of the catalog say everything once more in another form. User metadata of a topic is
 * in its schema and beside it.
 * @throws Fault as `flightInfo`
 */
export function flightInfoBytes({ catalog }: FlightInfoParts, descriptor: FlightDescriptor): number {
  const command = descriptor.cmd.byteLength;
  const locator = parseLocator(commandOf(descriptor).locator);
  switch (locator.kind) {
    // Refused when it is answered.
    case "session":
      return 0;
    case "sequence": {
      const sequence = findSequence(catalog, locator.text);
      return sequence === undefined ? 0 : command + rowBytesOfSequence(catalog, sequence);
    }
    case "topic": {
      const { row, schema } = rowBytesOfTopic(catalog, topicOf(catalog, locator.text));
      return command + 2 * row + schema;
    }
  }
}

/** The schema as the client sent it, encapsulated. A topic that has none yet has no fields. @throws Fault invalid, absent */
export function topicSchema({ catalog }: FlightInfoParts, descriptor: FlightDescriptor): Uint8Array {
  const topic = topicOf(catalog, parseTopic(commandOf(descriptor).locator));
  return frameHeader(catalog.schemas.get(topic.uuid) ?? emptySchema(new Map()));
}

/** The schema message that a reader of the topic gets: the client's own with the `mosaico:*` keys merged in. */
export function readerSchema(catalog: Catalog, identity: Identity, topic: Topic, window: WindowView): Uint8Array {
  const metadata = topicSchemaMetadata(topic, window);
  const stored = catalog.schemas.get(topic.uuid);
  if (stored === undefined) return emptySchema(metadata);
  // SDK 0.4 to 0.6 decode every value as UTF-8 and fail on others; who connects otherwise gets all that was sent.
  const { firstCall } = identity.connection.marks;
  return withMetadata(stored, metadata, firstCall === "list" || firstCall === "version" ? "utf8" : "all");
}

export function topicOf(catalog: Catalog, locator: TopicLocator): Topic {
  const topic = findTopic(catalog, locator);
  if (topic === undefined) throw new Fault("absent", `Not found: topic \`${locator}\`.`);
  return topic;
}

/** Rows and range of a topic in a window. */
export async function viewWindow(
  parts: FlightInfoParts,
  topic: Topic,
  window: TimeWindow,
  signal: AbortSignal,
): Promise<WindowView> {
  if (window === everything) return { rows: topic.extent.rows, range: topic.extent.range };
  return await countWindow(parts, topic, window, signal);
}

function commandOf(descriptor: FlightDescriptor): ReturnType<typeof parseResourceCommand> {
  if (descriptor.type !== FlightDescriptor_DescriptorType.CMD) {
    throw new Fault("invalid", "Unsupported descriptor: expected type CMD with a JSON command.");
  }
  return parseResourceCommand(descriptor.cmd);
}

function parseTopic(text: string): TopicLocator {
  const locator = parseLocator(text);
  if (locator.kind === "topic") return locator.text;
  throw new Fault("invalid", `\`${locator.text}\` is a ${locator.kind}, expected a topic.`);
}

interface InfoRequest<Name> {
  readonly name: Name;
  readonly window: TimeWindow;
  readonly descriptor: FlightDescriptor;
  readonly signal: AbortSignal;
}

async function sequenceInfo(
  parts: FlightInfoParts,
  { caller }: Identity,
  { name, window, descriptor, signal }: InfoRequest<SequenceName>,
): Promise<FlightInfo> {
  const { catalog } = parts;
  const sequence = findSequence(catalog, name);
  if (sequence === undefined) throw new Fault("absent", `Not found: sequence \`${name}\`.`);
  const topics = [...listTopics(catalog, name)];
  const endpoint: FlightEndpoint[] = [];
  for (const topic of topics)
    endpoint.push(topicEndpoint(topic, window, await viewWindow(parts, topic, window, signal)));
  return create(FlightInfoSchema, {
    schema: frameHeader(emptySchema(sequenceSchemaMetadata(sequence))),
    flightDescriptor: echo(descriptor),
    endpoint,
    totalRecords: unknownTotal,
    totalBytes: unknownTotal,
    appMetadata: sequenceAppMetadata(sequence, viewSessions(catalog, sequence, topics, caller)),
  });
}

function viewSessions(catalog: Catalog, sequence: Sequence, topics: readonly Topic[], caller: Caller) {
  return [...listSessions(catalog, sequence.ulid)].map((session) => ({
    session,
    shownUuid: shownUuid(session, caller),
    topics: topics.filter((topic) => topic.session === session.ulid),
  }));
}

/** The UUID is a token of authority: for whoever created the session or may manage, and for all where keys are off. */
function shownUuid(session: Session, caller: Caller): Uuid {
  if (allows(caller.permissions, "manage")) return session.uuid;
  return caller.key !== undefined && caller.key.fingerprint === session.creator ? session.uuid : session.alias;
}

async function topicInfo(
  parts: FlightInfoParts,
  identity: Identity,
  { name, window, descriptor, signal }: InfoRequest<TopicLocator>,
): Promise<FlightInfo> {
  const topic = topicOf(parts.catalog, name);
  const view = await viewWindow(parts, topic, window, signal);
  return create(FlightInfoSchema, {
    schema: frameHeader(readerSchema(parts.catalog, identity, topic, view)),
    flightDescriptor: echo(descriptor),
    endpoint: [topicEndpoint(topic, window, view)],
    totalRecords: unknownTotal,
    totalBytes: unknownTotal,
  });
}

function topicEndpoint(topic: Topic, window: TimeWindow, view: WindowView): FlightEndpoint {
  return create(FlightEndpointSchema, {
    ticket: { ticket: writeTicket({ topic: topic.locator, window }) },
    appMetadata: topicAppMetadata(topic, window === everything ? undefined : view),
  });
}

function echo({ type, cmd, path }: FlightDescriptor): FlightDescriptor {
  return create(FlightDescriptorSchema, { type, cmd, path });
}
