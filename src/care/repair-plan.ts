/** What is to be done about findings. Pure: repair.ts does it. */

import type { Ulid } from "../model/resource.ts";
import { describeFinding, type Finding, pathOfFinding } from "./finding.ts";

export interface RepairPlan {
  /** Paths that should not be there, or are of the wrong type. */
  readonly aside: readonly PathPlan[];
  /** Documents that are to be written from the catalog. */
  readonly documents: readonly PathPlan[];
  /** Topics of which a chunk file or a tail frame is damaged. */
  readonly topics: readonly TopicPlan[];
  /** Tail logs that are damaged: whatever is sound in them moves to chunk files. */
  readonly logs: readonly PathPlan[];
  /** Nothing here can be done about these. */
  readonly beyond: readonly Finding[];
}

export interface PathPlan {
  readonly path: string;
  readonly reasons: readonly string[];
}

export interface TopicPlan {
  readonly session: Ulid;
  readonly number: number;
  readonly reasons: readonly string[];
}

const document =
  /^(store\.json|sequences\/[0-9A-Z]{26}\.json|sessions\/[0-9A-Z]{26}\/(session\.json|[0-9]+\/topic\.json))$/;
const topicPath = /^sessions\/([0-9A-Z]{26})\/([0-9]+)(\/[0-9]{5,}\.arrow)?$/;
const sessionPath = /^sessions(\/[0-9A-Z]{26})?$/;
const log = /^tail\/[0-9]{8,}\.log$/;

export function planRepair(findings: readonly Finding[]): RepairPlan {
  const aside = new Reasons();
  const documents = new Reasons();
  const topics = new Reasons();
  const logs = new Reasons();
  const beyond: Finding[] = [];
  for (const finding of findings) {
    if (finding.severity !== "damage") continue;
    const path = pathOfFinding(finding);
    if (path === undefined || finding.what === "catalog_file") {
      beyond.push(finding);
      continue;
    }
    if (finding.what === "extra" || finding.what === "wrong_type") aside.add(path, finding);
    if (finding.what === "extra") continue;
    const topic = topicPath.exec(path);
    if (document.test(path)) documents.add(path, finding);
    else if (log.test(path)) logs.add(path, finding);
    else if (topic !== null) {
      topics.add(`${topic[1]}/${topic[2]}`, finding);
      // A directory that is missing has taken the document with it; a damaged chunk changes what a manifest says.
      if (topic[3] === undefined) documents.add(`${path}/topic.json`, finding);
      documents.note(`sessions/${topic[1]}/session.json`, `it is as it was before ${path} was repaired`);
    } else if (sessionPath.test(path)) {
      if (path !== "sessions") documents.add(`${path}/session.json`, finding);
    } else if (finding.what !== "wrong_type" && path !== "sequences") beyond.push(finding);
  }
  return {
    aside: aside.list(),
    documents: documents.list(),
    topics: topics.list().map(({ path, reasons }) => {
      const [session = "", number = ""] = path.split("/");
      return { session: session as Ulid, number: Number(number), reasons };
    }),
    logs: logs.list(),
    beyond,
  };
}

class Reasons {
  readonly #reasons = new Map<string, string[]>();

  add(path: string, finding: Finding): void {
    this.note(path, describeFinding(finding));
  }

  /** One reason is told once, however many findings there are. */
  note(path: string, reason: string): void {
    const known = this.#reasons.get(path) ?? [];
    if (!known.includes(reason)) known.push(reason);
    this.#reasons.set(path, known);
  }

  list(): PathPlan[] {
    return [...this.#reasons].map(([path, reasons]) => ({ path, reasons }));
  }
}
