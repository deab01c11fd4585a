/**
 * What the server knows of its clients' dialects: marks per connection, memory per API key and peer address that survives a
 * restart, and the sessions whose answer was never used, which tell that a guess was wrong.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { findDialect, type MemoryKind, putDialect } from "../catalog/dialect-memory.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { abandonedSessionMs, sequencesPerConnectionMax, sessionsWatchedMax } from "../model/limits.ts";
import type { Session, Ulid, Uuid } from "../model/resource.ts";
import type { DialectProof } from "../wire/action.ts";
import {
  type ConnectionMarks,
  decideGeneration,
  freshConnection,
  type Generation,
  noteCall,
  noteProof,
  otherGeneration,
  provenGeneration,
} from "../wire/dialect.ts";
import type { Caller } from "./authorize.ts";

/** One TCP connection of a client. */
export interface Connection {
  /** `address:port` of the peer. */
  readonly peer: string;
  marks: ConnectionMarks;
  /** What an answer that the client used was written for: it is no guess any more. */
  confirmed: Generation | undefined;
  /** The sequences that it created last. */
  readonly created: Set<Ulid>;
  /** What was last written to the memory for this connection. */
  remembered: Generation | undefined;
  closedAtMs: number | undefined;
}

/** A session that was answered and not named since. */
interface Watched {
  readonly connection: Connection;
  readonly generation: Generation;
  readonly fingerprint: string | undefined;
}

/** Who asks for a name again. */
export interface Asking {
  readonly connection: Connection;
  readonly caller: Caller;
}

export interface DialectsParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
  /** `--legacy-sdk`, when it was said. */
  readonly legacySdk: "0.4" | "0.5" | undefined;
}

export class Dialects {
  readonly #parts: DialectsParts;
  readonly #connections = new Map<string, Connection>();
  readonly #watched = new Map<Uuid, Watched>();

  constructor(parts: DialectsParts) {
    this.#parts = parts;
  }

  /** The connection of a peer, `address:port`. */
  connection(peer: string): Connection {
    const known = this.#connections.get(peer);
    if (known !== undefined) return known;
    const connection: Connection = {
      peer,
      marks: freshConnection,
      confirmed: undefined,
      created: new Set(),
      remembered: undefined,
      closedAtMs: undefined,
    };
    this.#connections.set(peer, connection);
    return connection;
  }

  /** A connection is closed: whoever it was has had the answer of each session that it opened. */
  closed(peer: string): void {
    const connection = this.#connections.get(peer);
    if (connection === undefined) return;
    this.#connections.delete(peer);
    connection.closedAtMs = this.#parts.clock.monotonicMs();
    for (const watched of this.#watched.values()) {
      if (watched.connection === connection) this.#distrust(watched);
    }
  }

  /** Notes a call and what it proves. */
  note(connection: Connection, call: "list" | "version" | "info" | "other", proof: DialectProof): void {
    connection.marks = noteCall(connection.marks, call, proof);
  }

  /** Notes what a call proves beside what it asks. */
  prove(connection: Connection, proof: DialectProof): void {
    connection.marks = noteProof(connection.marks, proof);
  }

  /** Writes what the connection proves to the memory, once the caller is known. */
  remember(connection: Connection, caller: Caller): void {
    const generation = provenGeneration(connection.marks);
    if (generation === undefined || generation === connection.remembered) return;
    connection.remembered = generation;
    this.#write(connection, caller.key?.fingerprint, generation);
  }

  /** The generation for which `session_create` is answered now. */
  decide(connection: Connection, caller: Caller): Generation {
    const { catalog, legacySdk } = this.#parts;
    const fingerprint = caller.key?.fingerprint;
    return decideGeneration(connection.marks, {
      key: caller.key?.legacySdk,
      keyMemory: fingerprint === undefined ? undefined : findDialect(catalog, "key", fingerprint),
      peerMemory: findDialect(catalog, "peer", addressOf(connection.peer)),
      legacySdk,
    });
  }

  /** Notes that a connection created a sequence. */
  created({ created }: Connection, sequence: Ulid): void {
    const [oldest] = created;
    if (created.size >= sequencesPerConnectionMax && oldest !== undefined) created.delete(oldest);
    created.add(sequence);
  }

  /** Watches whether the client names the session again: one that cannot read its answer never does. */
  watch(session: Session, connection: Connection, caller: Caller, generation: Generation): void {
    const [oldest] = this.#watched.keys();
    if (this.#watched.size >= sessionsWatchedMax && oldest !== undefined) this.#watched.delete(oldest);
    this.#watched.set(session.uuid, { connection, generation, fingerprint: caller.key?.fingerprint });
  }

  /** A client named the session, so it could read the answer: the guess was right. */
  mentioned(session: Uuid): void {
    const watched = this.#watched.get(session);
    if (watched === undefined) return;
    this.#watched.delete(session);
    watched.connection.confirmed = watched.generation;
    this.#write(watched.connection, watched.fingerprint, watched.generation);
  }

  /**
   * Whether a session without topics was left behind by a client that could not read the answer, and who asks may be the same
   * one: it can only be where the answer was a guess, to a connection that had created the sequence too, in this life of the
   * server. A client that merely lost its connection may still come with its first topic.
   */
  isAbandoned(session: Session, { connection, caller }: Asking): boolean {
    const watched = this.#watched.get(session.uuid);
    if (watched === undefined || watched.fingerprint !== caller.key?.fingerprint) return false;
    const { connection: answered, generation } = watched;
    if ((provenGeneration(answered.marks) ?? answered.confirmed) === generation) return false;
    if (addressOf(answered.peer) !== addressOf(connection.peer) || !answered.created.has(session.sequenceUlid))
      return false;
    if (answered === connection) return true;
    const { closedAtMs } = answered;
    return closedAtMs !== undefined && this.#parts.clock.monotonicMs() - closedAtMs >= abandonedSessionMs;
  }

  /** An abandoned session is given back. */
  givenBack(session: Uuid): void {
    const watched = this.#watched.get(session);
    if (watched === undefined) return;
    this.#watched.delete(session);
    // Else its closing has told already.
    if (watched.connection.closedAtMs === undefined) this.#distrust(watched);
  }

  /** The answer was not used: next time the other one, unless the connection itself had proved its generation. */
  #distrust({ connection, generation, fingerprint }: Watched): void {
    if (provenGeneration(connection.marks) !== undefined) return;
    const other = otherGeneration(generation);
    this.#parts.log.info("dialect_guess_wrong", { peer: connection.peer, answered: generation, remembered: other });
    this.#write(connection, fingerprint, other);
  }

  #write(connection: Connection, fingerprint: string | undefined, generation: Generation): void {
    const { catalog, clock, log } = this.#parts;
    const peer = addressOf(connection.peer);
    const knows = (kind: MemoryKind, name: string) => findDialect(catalog, kind, name)?.generation === generation;
    if (knows("peer", peer) && (fingerprint === undefined || knows("key", fingerprint))) return;
    catalog
      .transaction(() => {
        putDialect(catalog, "peer", peer, generation, clock.wallNs());
        if (fingerprint !== undefined) putDialect(catalog, "key", fingerprint, generation, clock.wallNs());
      })
      .catch((error: unknown) => log.warning("dialect_not_remembered", { peer, reason: String(error) }));
  }
}

function addressOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(":"));
}
