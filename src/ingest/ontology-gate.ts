/** Whether the topics of a session fit the ontology models of their tags, and what becomes of those that do not. */

import { readSchema } from "../arrow/schema.ts";
import { SchemaTypes } from "../arrow/schema-types.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { putNotification, sizeOfNotifications } from "../catalog/notifications.ts";
import { findRegistered } from "../catalog/ontology-rows.ts";
import { findSequence } from "../catalog/resources.ts";
import type { Log } from "../host/log.ts";
import { builtInModels } from "../model/built-in-models.ts";
import { Fault } from "../model/fault.ts";
import { ontologyNamedMax, ontologyNotesMax, topicsNamedMax } from "../model/limits.ts";
import { bestFit, generationsOf, type OntologyDifference, type OntologyModel } from "../model/ontology.ts";
import type { Session, Topic } from "../model/resource.ts";
import type { TimeNs } from "../model/time.ts";

export type OntologyPolicy = "off" | "warn" | "strict";

export interface OntologyParts {
  readonly policy: OntologyPolicy;
  /** By tag, of the directory of definitions. */
  readonly given: ReadonlyMap<string, readonly OntologyModel[]>;
}

/** The models that count for a tag, those that other processes have registered too when the catalog was refreshed. */
export function modelsOfTag(catalog: Catalog, given: OntologyParts["given"], tag: string): OntologyModel[] {
  const custom = [...findRegistered(catalog, tag), ...(given.get(tag) ?? [])];
  return generationsOf(custom, builtInModels().get(tag) ?? []);
}

interface Misfit {
  readonly topic: Topic;
  /** What users read: topic, tag, and of each field what was expected and found. */
  readonly sentence: string;
}

/** Looks at the topics of a session that is being finalized. */
export class OntologyGate {
  readonly #catalog: Catalog;
  readonly #parts: OntologyParts;
  /** The first ones. */
  readonly #misfits: Misfit[] = [];
  #count = 0;

  constructor(catalog: Catalog, parts: OntologyParts) {
    this.#catalog = catalog;
    this.#parts = parts;
  }

  /** A topic fits when nobody knows its tag, and when it never got a schema. */
  look(topic: Topic): void {
    const { policy, given } = this.#parts;
    if (policy === "off") return;
    const models = modelsOfTag(this.#catalog, given, topic.ontologyTag);
    const header = models.length === 0 ? undefined : this.#catalog.schemas.get(topic.uuid);
    if (header === undefined) return;
    const differences = bestFit(new SchemaTypes(readSchema(header)), models)?.differences ?? [];
    if (differences.length === 0) return;
    this.#count += 1;
    if (this.#misfits.length < ontologyNotesMax)
      this.#misfits.push({ topic, sentence: sentenceOf(topic, differences) });
  }

  /** @throws Fault wrong_state naming topic, field, expected and found, when the policy is strict and a topic does not fit */
  check(session: Session): void {
    if (this.#parts.policy !== "strict" || this.#count === 0) return;
    const { topics } = ontologyNamedMax;
    const named = this.#misfits.slice(0, topics).map(({ sentence }) => sentence);
    const more = this.#count > topics ? ` And ${this.#count - topics} more topics.` : "";
    throw new Fault(
      "wrong_state",
      `Session \`${session.locator}\` is not finalized and stays open, the ontology policy is strict. ${named.join(" ")}${more}`,
    );
  }

  /**
   * Leaves a notification on each topic that does not fit, to be called inside the transaction that finalizes the session and before
   * anything else is written there: so it is there once, whatever happens. When there are too many, one on the sequence counts the
   * others.
   * @throws Fault corrupt before it has written anything
   */
  put(session: Session, createdAtNs: TimeNs): void {
    const notes = this.#misfits.map(({ topic, sentence }) => ({ resource: topic.uuid, message: sentence }));
    const rest = this.#count - notes.length;
    const sequence = rest > 0 ? findSequence(this.#catalog, session.sequence) : undefined;
    if (sequence !== undefined) {
      const message = `Ontology: ${rest} more topics of session \`${session.locator}\` do not fit the models of their tags.`;
      notes.push({ resource: sequence.uuid, message });
    }
    for (const { resource } of notes) sizeOfNotifications(this.#catalog, resource);
    // SDKs refuse a list that has another type than this one.
    for (const { resource, message } of notes)
      putNotification(this.#catalog, resource, { type: "error", message, createdAtNs });
  }

  /** What was put. */
  tell(log: Log, session: Session): void {
    for (const { topic, sentence } of this.#misfits.slice(0, topicsNamedMax))
      log.warning("ontology_differs", { topic: topic.locator, reason: sentence });
    const rest = this.#count - topicsNamedMax;
    if (rest > 0) log.warning("ontology_differs", { session: session.locator, moreTopics: rest });
  }
}

function sentenceOf({ locator, ontologyTag }: Topic, differences: readonly OntologyDifference[]): string {
  const { fields } = ontologyNamedMax;
  const named = differences.slice(0, fields).map(differenceText).join("; ");
  const more = differences.length > fields ? `; and ${differences.length - fields} more` : "";
  return `Ontology: topic \`${locator}\` does not fit the model ${shown(ontologyTag)}: ${named}${more}.`;
}

function differenceText({ field, expected, found }: OntologyDifference): string {
  return `field ${shown(field)}: expected ${shown(expected)}, found ${found === undefined ? "nothing" : shown(found)}`;
}

/** Types have names of clients inside. */
function shown(text: string): string {
  const { characters } = ontologyNamedMax;
  return text.length > characters ? `${text.slice(0, characters)}...` : text;
}
