/** Another Mosaico, an edge or a central daemon, as calls with values: what it is is asked when the connection is new. */

import { isDeepStrictEqual } from "node:util";
import { newUuid } from "../host/entropy.ts";
import { Fault, type FaultCode } from "../model/fault.ts";
import { type JsonValue, parseJson } from "../model/json.ts";
import { EmbeddedJson } from "../model/json-text.ts";
import { type SequenceName, sequenceOfTopic, type TopicLocator } from "../model/locator.ts";
import type { JsonText, Sequence, SerializationFormat, Uuid } from "../model/resource.ts";
import { remoteAnswerBytes } from "../model/sync-limits.ts";
import type { TimeWindow } from "../model/time.ts";
import type { RemoteSession } from "../model/transfer.ts";
import {
  resumeHeader,
  writeAction,
  writeAllCriteria,
  writeDescriptor,
  writePutDescriptor,
  writeTicketRequest,
} from "../wire/flight-call.ts";
import {
  type RemoteSequenceView,
  type RemoteSessionView,
  type RemoteTopicView,
  type RemoteVersion,
  readCreated,
  readNotifications,
  readResponse,
  readSequenceInfo,
  readSequenceName,
  readTopicInfo,
  readTopicStatus,
  readTopicTicket,
  readVersion,
} from "../wire/remote-answer.ts";
import { type ConnectionOptions, FlightConnection, type PutStream } from "./flight-connection.ts";
import type { GetStream } from "./get-stream.ts";

/** What an edge has to be able to do for uploads to go on where they broke off. */
const edgeCapabilities = ["resume", "topic_status", "client_uuid", "sequence_uuid"];

export interface TopicToCreate {
  readonly locator: TopicLocator;
  readonly session: Uuid;
  readonly uuid: Uuid | undefined;
  readonly ontologyTag: string;
  readonly serializationFormat: SerializationFormat;
  readonly userMetadata: JsonText;
}

export type RemoteOptions = Omit<ConnectionOptions, "messageBytesMax">;

export class Remote implements Disposable {
  readonly version: RemoteVersion;
  readonly #connection: FlightConnection;
  readonly #options: RemoteOptions;
  readonly #signal: AbortSignal;
  /** What topics are read over: messages may be larger there. Undefined before one is read. */
  #reader: { readonly connection: FlightConnection; readonly bytesMax: number } | undefined;

  private constructor(
    options: RemoteOptions,
    connection: FlightConnection,
    version: RemoteVersion,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#connection = connection;
    this.version = version;
    this.#signal = signal;
  }

  /**
   * Connects and asks what the other one is.
   * @param signal ends all calls that are made then and later
   * @throws Fault unavailable, unauthenticated, denied, invalid when it is no Mosaico
   */
  static async connect(options: RemoteOptions, signal: AbortSignal): Promise<Remote> {
    const { connection, version } = await connectAndAsk(options, remoteAnswerBytes.resource, signal);
    return new Remote(options, connection, version, signal);
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
    this.#reader?.connection[Symbol.dispose]();
  }

  /** Whether it takes UUIDs of our choice and continues uploads. */
  get isEdge(): boolean {
    const capabilities = this.version.edge?.capabilities ?? [];
    return edgeCapabilities.every((capability) => capabilities.includes(capability));
  }

  /**
   * Which of these may be called: each is asked of something that there is not, so that nothing changes. The central daemon says
   * INTERNAL of that to whoever may.
   */
  async permissions(): Promise<Readonly<Record<"read" | "write" | "delete", boolean>>> {
    const nothing = `mosaico-edge-check-${newUuid()}` as SequenceName;
    return {
      read: await isAllowed(this.#sequence(nothing)),
      write: await isAllowed(this.createSession(nothing, undefined)),
      delete: await isAllowed(this.#act("sequence_delete", { locator: nothing })),
    };
  }

  async createSequence(name: SequenceName, userMetadata: JsonText, uuid: Uuid | undefined): Promise<void> {
    await this.#act("sequence_create", { locator: name, user_metadata: new EmbeddedJson(userMetadata), uuid });
  }

  /** Undefined when there is none. `isAlike`: whether its user metadata are these. */
  async showSequence(
    name: SequenceName,
    userMetadata: JsonText,
  ): Promise<{ isAlike: boolean; topics: number } | undefined> {
    const found = await this.#sequence(name);
    if (found === undefined) return undefined;
    const isAlike = isDeepStrictEqual(found.userMetadata, parseJson(userMetadata, "user metadata"));
    return { isAlike, topics: found.topics.length };
  }

  async createSession(sequence: SequenceName, uuid: Uuid | undefined): Promise<RemoteSession> {
    return await this.#act("session_create", { locator: sequence, uuid }, readCreated);
  }

  async finalizeSession(session: Uuid): Promise<void> {
    await this.#act("session_finalize", { session_uuid: session });
  }

  /** @param locator where it is known: since 0.5 a session is deleted by it */
  async deleteSession({ uuid, locator }: RemoteSession): Promise<void> {
    await this.#act("session_delete", locator === undefined ? { session_uuid: uuid } : { locator });
  }

  /** Unless it is complete. @throws Fault wrong_state when it is */
  async deleteOpenSession(sequence: SequenceName, session: RemoteSession): Promise<void> {
    if (this.isEdge) return await this.#act("edge_session_delete_open", { session_uuid: session.uuid });
    const found = (await this.#sequence(sequence))?.sessions.find((one) => isSession(one, session) === true);
    if (found === undefined) throw new Fault("absent", "There is no such session.");
    if (found.locked !== false) throw new Fault("wrong_state", "The session is complete there: it was not deleted.");
    await this.deleteSession(session);
  }

  /** At an edge: unless it has sessions. @throws Fault wrong_state when it has, absent when it is another one */
  async deleteEmptySequence({ name, uuid }: Pick<Sequence, "name" | "uuid">): Promise<void> {
    await this.#act("edge_sequence_delete_empty", { locator: name, uuid });
  }

  async createTopic(topic: TopicToCreate): Promise<Uuid> {
    const { locator, session, uuid, ontologyTag, serializationFormat, userMetadata } = topic;
    const body = {
      session_uuid: session,
      locator,
      serialization_format: serializationFormat,
      ontology_tag: ontologyTag,
      user_metadata: new EmbeddedJson(userMetadata),
      uuid,
    };
    return (await this.#act("topic_create", body, readCreated)).uuid;
  }

  async deleteTopic(locator: TopicLocator): Promise<void> {
    await this.#act("topic_delete", { locator });
  }

  /** Of an edge; the upload that goes on is ended by that. */
  async topicStatus(uuid: Uuid): Promise<ReturnType<typeof readTopicStatus>> {
    return await this.#act("edge_topic_status", { topic_uuid: uuid }, readTopicStatus);
  }

  /** Undefined when there is none. @param of a session: whether the topic belongs to it is asked as well */
  async showTopic(
    locator: TopicLocator,
    of?: RemoteSession,
  ): Promise<(RemoteTopicView & { isOfSession?: boolean | undefined }) | undefined> {
    const found = await this.#show({ locator }, readTopicInfo, () => this.#isListed(locator));
    if (found === undefined || of === undefined) return found;
    const sequence = await this.#sequence(sequenceOfTopic(locator));
    const session = sequence?.sessions.find(({ topics }) => topics.includes(locator));
    // Of none: it is gone since.
    return session === undefined ? undefined : { ...found, isOfSession: isSession(session, of) };
  }

  /** The rows of a topic in a window, as messages of Arrow Flight. @param messageBytesMax of one of them @throws Fault absent */
  async openGet(locator: TopicLocator, window: TimeWindow, messageBytesMax: number): Promise<GetStream> {
    const ticket = await this.#show({ locator, window }, readTopicTicket, () => this.#isListed(locator));
    if (ticket === undefined) throw new Fault("absent", `The remote has no topic \`${locator}\`.`);
    const reader = await this.#readerOf(messageBytesMax);
    return reader.openGet(writeTicketRequest(ticket), this.#signal);
  }

  /** @throws Fault unavailable, also when another store answers than the one that was asked what it is */
  async #readerOf(bytesMax: number): Promise<FlightConnection> {
    if (this.#reader?.bytesMax === bytesMax && !this.#reader.connection.isLost) return this.#reader.connection;
    this.#reader?.connection[Symbol.dispose]();
    this.#reader = undefined;
    const { connection, version } = await connectAndAsk(this.#options, bytesMax, this.#signal);
    if (version.edge?.store === this.version.edge?.store && version.text === this.version.text) {
      this.#reader = { connection, bytesMax };
      return connection;
    }
    connection[Symbol.dispose]();
    throw new Fault("unavailable", `${this.#options.url.text}: DoGet: Another store answers than before.`);
  }

  async #isListed(locator: TopicLocator): Promise<boolean> {
    return (await this.#sequence(sequenceOfTopic(locator)))?.topics.includes(locator) ?? false;
  }

  async #sequence(name: SequenceName): Promise<RemoteSequenceView | undefined> {
    const isListed = async (): Promise<boolean> => {
      const flights = {
        method: "ListFlights",
        request: writeAllCriteria(),
        bytesMax: remoteAnswerBytes.list,
      } as const;
      return await this.#connection.some(flights, (flight) => readSequenceName(flight) === name, this.#signal);
    };
    return await this.#show({ locator: name }, readSequenceInfo, isListed);
  }

  async addNotification(
    of: "sequence" | "topic",
    locator: SequenceName | TopicLocator,
    message: string,
  ): Promise<void> {
    await this.#act(`${of}_notification_create`, { locator, notification_type: "error", msg: message });
  }

  async listNotifications(of: "sequence" | "topic", locator: SequenceName | TopicLocator): Promise<string[]> {
    const request = { action: `${of}_notification_list`, body: { locator }, bytesMax: remoteAnswerBytes.resource };
    return await act(this.#connection, { ...request, read: readNotifications }, this.#signal);
  }

  /** @param fromRow at an edge: how many rows are durable there, or the upload is refused */
  openPut(locator: TopicLocator, uuid: Uuid, fromRow: number): PutStream {
    const headers: Record<string, string> = this.isEdge ? { [resumeHeader]: String(fromRow) } : {};
    return this.#connection.openPut(writePutDescriptor(locator, uuid), headers, this.#signal);
  }

  #act(action: string, body: object): Promise<void>;
  #act<T>(action: string, body: object, read: (response: JsonValue | undefined) => T): Promise<T>;
  async #act<T>(action: string, body: object, read?: (response: JsonValue | undefined) => T): Promise<T | undefined> {
    const bytesMax = remoteAnswerBytes.word;
    return await act(this.#connection, { action, body, bytesMax, read: (said) => read?.(said) }, this.#signal);
  }

  /** @param isListed whether it is there after all: the central daemon says INTERNAL of what is not, and of trouble */
  async #show<T>(
    { locator, window }: { locator: string; window?: TimeWindow },
    read: (answer: Buffer) => T,
    isListed: () => Promise<boolean>,
  ): Promise<T | undefined> {
    const question = {
      method: "GetFlightInfo",
      request: writeDescriptor(locator, window),
      bytesMax: remoteAnswerBytes.resource,
    } as const;
    const readOne = ([answer]: readonly Buffer[]): T => {
      if (answer === undefined) throw new Fault("invalid", `it answers nothing of \`${locator}\``);
      return read(answer);
    };
    try {
      return await this.#connection.call(question, readOne, this.#signal);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.code === "absent") return undefined;
      if (error.code === "internal" && !this.isEdge && !(await isListed())) return undefined;
      throw error;
    }
  }
}

/** Undefined where it cannot be told: a daemon of 0.4 has made the session, and became a later one since. */
function isSession(shown: RemoteSessionView, { uuid, locator }: RemoteSession): boolean | undefined {
  if (shown.uuid === uuid || (locator !== undefined && shown.locator === locator)) return true;
  return shown.uuid === undefined && locator === undefined ? undefined : false;
}

/** @throws Fault what says nothing of permissions: unavailable and the like */
async function isAllowed(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (!(error instanceof Fault) || isNoAnswer(error.code)) throw error;
    return error.code !== "denied" && error.code !== "unauthenticated";
  }
}

/** Whether a refusal says nothing of what was asked. */
function isNoAnswer(code: FaultCode): boolean {
  return code === "unavailable" || code === "expired" || code === "cancelled" || code === "overloaded";
}

interface ActionQuestion<T> {
  readonly action: string;
  readonly body: object;
  readonly bytesMax: number;
  read(response: JsonValue | undefined): T;
}

async function act<T>(
  connection: FlightConnection,
  { action, body, bytesMax, read }: ActionQuestion<T>,
  signal: AbortSignal,
): Promise<T> {
  const question = { method: "DoAction", request: writeAction(action, body), bytesMax } as const;
  return await connection.call(question, (results) => read(readResponse(action, results)), signal);
}

async function connectAndAsk(
  options: RemoteOptions,
  messageBytesMax: number,
  signal: AbortSignal,
): Promise<{ connection: FlightConnection; version: RemoteVersion }> {
  const connection = new FlightConnection({ ...options, messageBytesMax });
  try {
    return { connection, version: await askVersion(connection, signal) };
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}

async function askVersion(connection: FlightConnection, signal: AbortSignal): Promise<RemoteVersion> {
  const question = { body: {}, bytesMax: remoteAnswerBytes.word, read: readVersion };
  try {
    return await act(connection, { ...question, action: "info" }, signal);
  } catch (error) {
    // Before 0.7 there is no such action, and each version says that in another way.
    const isAnswer = error instanceof Fault && error.code !== "unauthenticated" && !isNoAnswer(error.code);
    if (!isAnswer) throw error;
    return await act(connection, { ...question, action: "version" }, signal);
  }
}
