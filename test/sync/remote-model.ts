// A remote Mosaico as far as a transfer can tell: what is in it, what it answers, and what a broken connection leaves behind.
// Rows are their numbers, so that a row that is missing, doubled or out of place is seen. Two kinds, after what real ones do: an edge
// takes the client's UUIDs and continues uploads; the central daemon does neither, says INTERNAL of every name that is taken or
// unknown, and takes a second upload of a topic by overwriting it from its first row on, even when it is complete.

import type { FaultCode } from "../../src/model/fault.ts";
import type { Uuid } from "../../src/model/resource.ts";
import type { Answer, Command, RemoteTraits, TransferFacts } from "../../src/sync/command.ts";
import type { Random } from "../model/random.ts";

interface RemoteTopic {
  uuid: Uuid;
  rows: number[];
  locked: boolean;
  lostRows: number;
}

interface RemoteSession {
  uuid: Uuid;
  finalized: boolean;
  readonly topics: Map<number, RemoteTopic>;
}

interface RemoteSequence {
  readonly isOurs: boolean;
  readonly isAlike: boolean;
  readonly sessions: RemoteSession[];
}

/** An upload on its way. */
interface Stream {
  readonly topic: RemoteTopic;
  rows: number[];
  /** At the central daemon an end that was received may take effect a few calls later. */
  completesIn: number | undefined;
}

export interface RemoteOptions {
  readonly kind: RemoteTraits["kind"];
  readonly countsRows: boolean;
  readonly mayDelete: boolean;
}

export class RemoteModel {
  readonly #random: Random;
  readonly #facts: TransferFacts;
  readonly #options: RemoteOptions;
  /** Undefined while nobody has made it. */
  sequence: RemoteSequence | undefined;
  #stream: Stream | undefined;
  readonly #late: Stream[] = [];
  #uuids = 0;
  /** The code of what it refuses for good: of uploads, of finalizing. */
  refuses: { readonly command: Command["kind"]; readonly code: FaultCode } | undefined;

  constructor(random: Random, facts: TransferFacts, options: RemoteOptions) {
    this.#random = random;
    this.#facts = facts;
    this.#options = options;
  }

  /** Carries a command out. Of an upload only so many rows, when the connection breaks in the middle of it. */
  run(command: Command, rowsMax = Number.POSITIVE_INFINITY): Answer {
    for (const stream of this.#late.splice(0)) {
      stream.completesIn = (stream.completesIn ?? 0) - 1;
      if (stream.completesIn > 0) this.#late.push(stream);
      else this.#complete(stream);
    }
    if (this.refuses?.command === command.kind) return refused(this.refuses.code);
    switch (command.kind) {
      case "create_sequence":
        return this.#createSequence();
      case "show_sequence":
        return {
          kind: "sequence",
          found: this.sequence && {
            isAlike: this.sequence.isAlike,
            topics: this.sequence.sessions.reduce((sum, { topics }) => sum + topics.size, 0),
          },
        };
      case "create_session":
        return this.#createSession(command.uuid);
      case "create_topic":
        return this.#createTopic(command);
      case "topic_status": {
        const topic = this.#topicBy(command.uuid);
        if (topic === undefined) return refused("absent");
        // Who asks ends the stream; what has arrived is committed.
        this.breakOff();
        const session = this.#sessionOf(topic);
        const state = !topic.locked ? "open" : session?.finalized === true ? "finalized" : "completed";
        return { kind: "status", status: { rows: topic.rows.length, state, lostRows: topic.lostRows } };
      }
      case "show_topic": {
        const topic = this.#topicAt(command.index);
        const first = topic?.rows[0];
        const { countsRows } = this.#options;
        return {
          kind: "topic",
          found: topic && {
            isOfSession: this.#sessionOf(topic)?.uuid === command.of?.uuid,
            locked: topic.locked,
            rows: countsRows ? topic.rows.length : undefined,
            messages: countsRows ? undefined : topic.rows.length,
            range: first === undefined ? undefined : { startNs: BigInt(first), endNs: BigInt(topic.rows.at(-1) ?? 0) },
          },
        };
      }
      case "compare_topic": {
        const topic = this.#topicAt(command.index);
        if (topic === undefined) return refused("absent");
        const isSame = topic.rows.every((row, index) => row === index);
        return { kind: "compared", difference: isSame ? undefined : "has other contents there" };
      }
      case "put":
        return this.#put(command, rowsMax);
      case "end_put":
        return this.#endPut();
      case "add_notes":
      case "wait":
        return { kind: "done" };
      case "finalize": {
        const session = this.#sessionBy(command.session);
        if (session === undefined) return this.#gone();
        if ([...session.topics.values()].some(({ locked }) => !locked)) return refused("wrong_state");
        session.finalized = true;
        return { kind: "done" };
      }
      case "delete_topic": {
        if (!this.#options.mayDelete) return refused("denied");
        const session = this.sequence?.sessions.find(({ topics }) => topics.has(command.index));
        if (session === undefined) return this.#gone();
        session.topics.delete(command.index);
        return { kind: "done" };
      }
      case "delete_session":
        if (!this.#options.mayDelete) return refused("denied");
        return this.removeSession(command.session.uuid) ? { kind: "done" } : this.#gone();
      case "end":
        throw new RangeError("nothing is asked any more");
    }
  }

  /** The connection breaks. An edge keeps what arrived whole, the central daemon what it has stored by then. */
  breakOff(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream === undefined || this.#options.kind === "central") return;
    stream.topic.rows.push(...stream.rows);
  }

  /** A kill and a start: of what was not acknowledged an edge may lose something. */
  restart(): void {
    const stream = this.#stream;
    if (stream !== undefined && this.#options.kind === "edge")
      stream.rows.length = this.#random.below(stream.rows.length + 1);
    this.breakOff();
    this.#late.length = 0;
  }

  /** Somebody deletes the session there. */
  removeSession(uuid: Uuid): boolean {
    const { sessions } = this.sequence ?? { sessions: [] };
    const index = sessions.findIndex((session) => session.uuid === uuid);
    if (index < 0) return false;
    sessions.splice(index, 1);
    return true;
  }

  /** A disk goes bad there, and a repair leaves rows out of an open topic. Whether there was one. */
  loseRows(): boolean {
    const topics = (this.sequence?.sessions ?? [])
      .filter(({ finalized }) => !finalized)
      .flatMap((one) => [...one.topics.values()]);
    const topic = topics.find(({ rows, locked }) => rows.length > 1 && !locked);
    if (topic === undefined) return false;
    topic.rows.splice(this.#random.below(topic.rows.length), 1);
    topic.lostRows += 1;
    return true;
  }

  /** Something changes a row there that is neither the first nor the last of its topic. Whether there was one. */
  changeRow(): boolean {
    const topics = (this.sequence?.sessions ?? []).flatMap((one) => [...one.topics.values()]);
    const topic = topics.find(({ rows, locked }) => rows.length > 2 && locked);
    if (topic === undefined) return false;
    topic.rows[1 + this.#random.below(topic.rows.length - 2)] = -5;
    return true;
  }

  /** By a rule for sessions that nobody goes on with: what has arrived is all of it. */
  finalizeAsIs(uuid: Uuid): boolean {
    const session = this.#sessionBy(uuid);
    if (session === undefined) return false;
    this.breakOff();
    for (const topic of session.topics.values()) topic.locked = true;
    session.finalized = true;
    return true;
  }

  /** The sequence is deleted there, and somebody else makes one of its name. */
  replaceSequence(): boolean {
    const topics = new Map([[99, { uuid: "foreign" as Uuid, rows: [7], locked: true, lostRows: 0 }]]);
    this.sequence = {
      isOurs: false,
      isAlike: false,
      sessions: [{ uuid: "foreign" as Uuid, finalized: true, topics }],
    };
    return true;
  }

  #createSequence(): Answer {
    if (this.sequence !== undefined) {
      // The UUID is that of the sequence here: repeating the call answers the same.
      if (this.#options.kind === "edge" && this.sequence.isOurs) return { kind: "done" };
      return refused(this.#options.kind === "edge" ? "exists" : "internal");
    }
    this.sequence = { isOurs: true, isAlike: true, sessions: [] };
    return { kind: "done" };
  }

  #createSession(uuid: Uuid | undefined): Answer {
    const { sequence } = this;
    if (sequence === undefined) return this.#gone();
    const known = uuid === undefined ? undefined : this.#sessionBy(uuid);
    if (known !== undefined) return known.finalized ? refused("wrong_state") : { kind: "made", uuid: known.uuid };
    const session: RemoteSession = { uuid: uuid ?? this.#newUuid(), finalized: false, topics: new Map() };
    sequence.sessions.push(session);
    return { kind: "made", uuid: session.uuid };
  }

  #createTopic({ index, session: sessionUuid, uuid }: Extract<Command, { kind: "create_topic" }>): Answer {
    const session = this.#sessionBy(sessionUuid);
    if (session === undefined) return this.#gone();
    const known = this.#topicAt(index);
    if (known !== undefined && uuid !== undefined && known.uuid === uuid) return { kind: "made", uuid };
    if (known !== undefined) return refused("exists");
    if (session.finalized) return refused("wrong_state");
    const topic: RemoteTopic = { uuid: uuid ?? this.#newUuid(), rows: [], locked: false, lostRows: 0 };
    session.topics.set(index, topic);
    return { kind: "made", uuid: topic.uuid };
  }

  #put({ index, uuid, fromRow }: Extract<Command, { kind: "put" }>, rowsMax: number): Answer {
    this.breakOff();
    const topic = this.#topicBy(uuid);
    if (topic === undefined) return this.#gone();
    const { rows } = this.#facts.topics[index] ?? { rows: 0 };
    const all = Array.from({ length: rows - fromRow }, (_none, row) => fromRow + row);
    if (this.#options.kind === "edge") {
      if (topic.locked || fromRow !== topic.rows.length || topic.lostRows > 0) return refused("wrong_state");
      this.#stream = { topic, rows: all.slice(0, rowsMax), completesIn: undefined };
      return { kind: "done" };
    }
    // From its first row on, whatever was there.
    const arrived = all.slice(0, rowsMax);
    // Two uploads at once are mixed.
    if (this.#late.some((stream) => stream.topic === topic)) topic.rows.unshift(-1);
    topic.rows.splice(0, arrived.length, ...arrived);
    if (topic.locked) return refused("wrong_state");
    this.#stream = { topic, rows: arrived, completesIn: undefined };
    return { kind: "done" };
  }

  #endPut(): Answer {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream === undefined) return refused("cancelled");
    if (this.#options.kind === "edge") stream.topic.rows.push(...stream.rows);
    this.#complete(stream);
    return { kind: "done" };
  }

  /** The end of an upload arrives, and takes effect when nobody waits for the answer any more. */
  endLate(calls: number): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream === undefined) return;
    if (this.#options.kind === "edge") {
      // Whoever asks of the topic waits for it.
      stream.topic.rows.push(...stream.rows);
      this.#complete(stream);
    } else this.#late.push({ ...stream, completesIn: calls });
  }

  #complete({ topic }: Stream): void {
    topic.locked = true;
  }

  #gone(): Answer {
    return refused(this.#options.kind === "edge" ? "absent" : "internal");
  }

  #newUuid(): Uuid {
    this.#uuids += 1;
    return `remote-${this.#uuids}` as Uuid;
  }

  #sessionBy(uuid: Uuid): RemoteSession | undefined {
    return this.sequence?.sessions.find((session) => session.uuid === uuid);
  }

  #sessionOf(topic: RemoteTopic): RemoteSession | undefined {
    return this.sequence?.sessions.find(({ topics }) => [...topics.values()].includes(topic));
  }

  #topicBy(uuid: Uuid): RemoteTopic | undefined {
    return this.sequence?.sessions.flatMap(({ topics }) => [...topics.values()]).find((topic) => topic.uuid === uuid);
  }

  /** Names of topics are taken in the whole sequence. */
  #topicAt(index: number): RemoteTopic | undefined {
    return this.sequence?.sessions.map(({ topics }) => topics.get(index)).find((topic) => topic !== undefined);
  }
}

function refused(code: FaultCode): Answer {
  return { kind: "refused", code, reason: `the remote says ${code}` };
}
