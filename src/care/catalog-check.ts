/** Rows of the catalog against each other: each is as it was written, refers to what is there, and is found by all its keys. */

import { readSchema } from "../arrow/schema.ts";
import type { bytesTableNames, Catalog, FoundRow, Key, textTableNames } from "../catalog/catalog.ts";
import { decodeChunk } from "../catalog/chunk-rows.ts";
import { isOntologyKey } from "../catalog/ontology-rows.ts";
import { decodeRow } from "../catalog/row.ts";
import { keyText } from "../catalog/row-seal.ts";
import { hasSearchKeys, keysOfSequence, keysOfTopic, wholeFact } from "../catalog/search-keys.ts";
import { isTopicStatistics } from "../catalog/skip-rows.ts";
import { readStoredBytes } from "../catalog/store-facts.ts";
import { isSwapKey } from "../catalog/swap-rows.ts";
import { pastPrefix } from "../catalog/transfer-rows.ts";
import { Fault } from "../model/fault.ts";
import { sequenceOfTopic } from "../model/locator.ts";
import { isCompleted, isFinalized, type Sequence, type Session, type Topic, type Ulid } from "../model/resource.ts";
import type { Target } from "../model/target.ts";
import type { Leftover, TransferRow } from "../model/transfer.ts";
import { damage, type Finding, type FindingKind } from "./finding.ts";

const factNames: readonly string[] = ["store", "owner", "latestTime", "bytes", wholeFact];

type TableName = (typeof textTableNames)[number] | (typeof bytesTableNames)[number];

/** Reads everything without a pause: one moment, also beside a server that writes. */
export function checkCatalogRows(catalog: Catalog): Finding[] {
  catalog.refresh();
  const check = new CatalogCheck(catalog);
  check.run();
  return check.findings;
}

class CatalogCheck {
  readonly findings: Finding[] = [];
  readonly #catalog: Catalog;
  /** By name. */
  readonly #sequences = new Map<string, Sequence>();
  /** By ULID. */
  readonly #sessions = new Map<string, Session>();
  /** By UUID. */
  readonly #topics = new Map<string, Topic>();
  /** Resources by UUID that may have notifications. */
  readonly #resources = new Set<string>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  run(): void {
    this.#facts();
    this.#sequenceRows();
    this.#sessionRows();
    this.#topicRows();
    this.#sessionKeys();
    this.#topicLocators();
    this.#searchKeys();
    this.#topicParts();
    this.#transfers();
    this.#others();
  }

  #add(
    table: TableName,
    key: Key,
    problem: { what: FindingKind; expected: string; found: string },
    session?: Ulid,
  ): void {
    this.findings.push(damage({ where: `catalog: ${table} ${keyText(key)}`, ...problem, session }));
  }

  /** Rows of a table that are as they were written; the others are findings. */
  *#rows<Value>(table: TableName, rows: Iterable<FoundRow<Value>>): Generator<{ key: Key; value: Value }> {
    for (const { key, value, problem } of rows) {
      if (value !== undefined) yield { key, value };
      else this.#add(table, key, { what: "row", expected: "a row as it was written", found: `one that ${problem}` });
    }
  }

  /** Rows of JSON, decoded. */
  *#decoded<Row>(table: (typeof textTableNames)[number]): Generator<{ key: Key; row: Row }> {
    for (const { key, value } of this.#rows(table, this.#catalog[table].rows())) {
      try {
        yield { key, row: decodeRow<Row>(value) };
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        this.#add(table, key, { what: "row", expected: "JSON", found: error.message });
      }
    }
  }

  #reference(table: TableName, key: Key, expected: string, found: string, session?: Ulid): void {
    this.#add(table, key, { what: "reference", expected, found }, session);
  }

  #facts(): void {
    const names: Key[] = [];
    for (const { key } of this.#decoded("facts")) names.push(key);
    if (!names.includes("store")) this.#reference("facts", "store", "the store's identity", "nothing");
    for (const key of names) {
      if (factNames.includes(String(key)) || isOntologyKey(key)) continue;
      const expected = isSwapKey(key) ? "no repair that was broken off: run it again" : factNames.join(", ");
      this.#reference("facts", key, expected, keyText(key));
    }
  }

  #sequenceRows(): void {
    for (const { key, row } of this.#decoded<Sequence>("sequences")) {
      if (key !== row.name) this.#reference("sequences", key, keyText(row.name), keyText(key));
      this.#sequences.set(row.name, row);
      this.#resources.add(row.uuid);
    }
  }

  #sessionRows(): void {
    for (const { key, row } of this.#decoded<Session>("sessions")) {
      const expected = keyText([row.sequenceUlid, row.ulid]);
      if (keyText(key) !== expected) this.#reference("sessions", key, expected, keyText(key), row.ulid);
      const sequence = this.#sequences.get(row.sequence);
      if (sequence?.ulid !== row.sequenceUlid)
        this.#reference("sessions", key, `sequence ${row.sequence} ${row.sequenceUlid}`, `${sequence?.ulid}`, row.ulid);
      this.#sessions.set(row.ulid, row);
    }
  }

  #topicRows(): void {
    const numbers = new Map<string, string>();
    let bytes = 0;
    for (const { key, row } of this.#decoded<Topic>("topics")) {
      if (key !== row.locator) this.#reference("topics", key, row.locator, keyText(key), row.session);
      this.#topics.set(row.uuid, row);
      bytes += row.extent.bytes;
      this.#resources.add(row.uuid);
      const session = this.#sessions.get(row.session);
      if (session === undefined || session.sequence !== sequenceOfTopic(row.locator)) {
        this.#reference(
          "topics",
          key,
          `a session ${row.session} of ${sequenceOfTopic(row.locator)}`,
          `${session?.locator}`,
        );
        continue;
      }
      const place = `${row.session}/${row.number}`;
      const other = numbers.get(place);
      if (other !== undefined) this.#reference("topics", key, `a place of its own`, `that of ${other}`, row.session);
      numbers.set(place, row.locator);
      if (row.number >= session.topicNumberNext)
        this.#reference("topics", key, `a number below ${session.topicNumberNext}`, `${row.number}`, row.session);
      if (isFinalized(session) && !isCompleted(row))
        this.#reference("topics", key, "a complete topic, as its session is finalized", "an open one", row.session);
    }
    const stored = readStoredBytes(this.#catalog);
    if (stored !== bytes) this.#reference("facts", "bytes", `${bytes}, what all topics have`, `${stored}`);
  }

  #sessionKeys(): void {
    const { sessionKeys } = this.#catalog;
    const found = new Map<string, string>();
    for (const { key, value } of this.#rows("sessionKeys", sessionKeys.rows())) found.set(String(key), value);
    for (const { sequenceUlid, ulid, uuid, alias, locator } of this.#sessions.values()) {
      const expected = JSON.stringify([sequenceUlid, ulid]);
      for (const id of [uuid, alias, locator, ulid]) {
        if (found.get(id) !== expected) this.#reference("sessionKeys", id, expected, `${found.get(id)}`, ulid);
        found.delete(id);
      }
    }
    for (const [id, key] of found) this.#reference("sessionKeys", id, "the id of a session", key);
  }

  #transfers(): void {
    const targets = new Set<string>();
    for (const { key, row } of this.#decoded<Target>("targets")) {
      if (key !== row.name) this.#reference("targets", key, keyText(row.name), keyText(key));
      targets.add(row.id);
    }
    for (const { key } of this.#decoded<TransferRow>("transfers")) {
      const [session = "", target = ""] = typeof key === "string" ? [] : key.map(String);
      if (!this.#sessions.has(session)) this.#reference("transfers", key, "a session", "none");
      else if (!targets.has(target)) this.#reference("transfers", key, "a target", "none");
    }
    const sequences = new Set<string>([...this.#sequences.values()].map(({ ulid }) => ulid));
    for (const { key } of this.#rows("claims", this.#catalog.claims.rows())) {
      const [sequence = "", target = ""] = typeof key === "string" ? [] : key.map(String);
      const isPast = sequence.startsWith(pastPrefix);
      if (!isPast && !sequences.has(sequence)) this.#reference("claims", key, "a sequence", "none");
      else if (!targets.has(target)) this.#reference("claims", key, "a target", "none");
    }
    for (const { key } of this.#decoded<Leftover>("leftovers")) {
      const [target = "", session = ""] = typeof key === "string" ? [] : key.map(String);
      if (!targets.has(target)) this.#reference("leftovers", key, "a target", "none");
      else if (this.#sessions.has(session)) this.#reference("leftovers", key, "a session that was deleted", "one");
    }
  }

  #topicLocators(): void {
    const { topicLocators } = this.#catalog;
    const found = new Map<string, string>();
    for (const { key, value } of this.#rows("topicLocators", topicLocators.rows())) found.set(String(key), value);
    for (const { uuid, locator, session } of this.#topics.values()) {
      if (found.get(uuid) !== locator) this.#reference("topicLocators", uuid, locator, `${found.get(uuid)}`, session);
      found.delete(uuid);
    }
    for (const [uuid, locator] of found) this.#reference("topicLocators", uuid, "the UUID of a topic", locator);
  }

  /** Queries find what has its keys: one that lacks makes them answer wrongly. */
  #searchKeys(): void {
    const { searchKeys } = this.#catalog;
    // Of an earlier program's catalog some may be there.
    const isWhole = hasSearchKeys(this.#catalog);
    let expected = 0;
    const expect = (keys: readonly Key[], of: string, session?: Ulid): void => {
      for (const key of keys) {
        if (searchKeys.has(key)) expected += 1;
        else if (isWhole) this.#reference("searchKeys", key, `a row for ${of}`, "none", session);
      }
    };
    const locators = new Map<string, Topic>();
    for (const sequence of this.#sequences.values()) expect(keysOfSequence(sequence), sequence.name);
    for (const topic of this.#topics.values()) {
      locators.set(topic.locator, topic);
      expect(keysOfTopic(topic), topic.locator, topic.session);
    }
    // Of each that is there it is known whose it is: there may be millions.
    let found = 0;
    for (const _row of this.#rows("searchKeys", searchKeys.rows())) found += 1;
    if (found === expected) return;
    for (const { key } of searchKeys.rows()) {
      const name = String(key.at(-1));
      const [sequence, topic] = [this.#sequences.get(name), locators.get(name)];
      const keys = topic !== undefined ? keysOfTopic(topic) : sequence !== undefined ? keysOfSequence(sequence) : [];
      if (!keys.some((one) => keyText(one) === keyText(key)))
        this.#reference("searchKeys", key, "what a sequence or topic has", "nothing");
    }
  }

  /** What hangs on topics; whether it adds up is looked at session by session. */
  #topicParts(): void {
    const open = new Set<string>();
    for (const { key, value } of this.#rows("schemas", this.#catalog.schemas.rows())) {
      this.#ofTopic("schemas", key, String(key));
      try {
        readSchema(value);
      } catch (error) {
        this.#add("schemas", key, { what: "row", expected: "a schema", found: String(error) });
      }
    }
    const sealed = new Set<string>();
    for (const { key, value } of this.#rows("chunks", this.#catalog.chunks.rows())) {
      this.#ofTopic("chunks", key, String(key[0]));
      try {
        const chunks = decodeChunk(Number(key[1]), value).sealed ? sealed : open;
        chunks.add(keyText([key[0], key[1]]));
      } catch (error) {
        this.#add("chunks", key, { what: "row", expected: "a chunk", found: String(error) });
      }
    }
    for (const table of ["statistics", "zones"] as const) {
      for (const { key } of this.#rows(table, this.#catalog[table].rows())) {
        if (table === "statistics" && isTopicStatistics(key)) this.#ofTopic(table, key, String(key[0]));
        else if (!sealed.has(keyText(key))) this.#reference(table, key, "a sealed chunk", "none");
      }
    }
    for (const { key } of this.#rows("batches", this.#catalog.batches.rows())) {
      if (!open.has(keyText([key[0], key[1]]))) this.#reference("batches", key, "an open chunk", "none");
    }
    for (const { key } of this.#rows("tails", this.#catalog.tails.rows())) this.#ofTopic("tails", key, String(key[0]));
  }

  #ofTopic(table: TableName, key: Key, uuid: string): void {
    if (!this.#topics.has(uuid)) this.#reference(table, key, "the UUID of a topic", uuid);
  }

  #others(): void {
    for (const { key } of this.#decoded("notifications")) {
      if (!this.#resources.has(String(key[0])))
        this.#reference("notifications", key, "the UUID of a sequence or topic", String(key[0]));
    }
    for (const { key, row } of this.#decoded<{ fingerprint: string }>("keys")) {
      if (row.fingerprint !== key) this.#reference("keys", key, row.fingerprint, keyText(key));
    }
    for (const _row of this.#decoded("dialects"));
    for (const _row of this.#rows("trash", this.#catalog.trash.rows()));
  }
}
