/** What remotes take, and what the central daemon can and cannot do with what is sent to it, as it was found out by running it. */

import { type Field, readSchema, type Schema } from "../arrow/schema.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Remote } from "../client/remote.ts";
import { centralRowBytes, paced, syncMessageBytes } from "../model/sync-limits.ts";
import type { Target } from "../model/target.ts";
import type { RemoteTraits } from "./command.ts";
import type { Shipment } from "./shipment.ts";
import type { StreamLimits } from "./topic-stream.ts";

/** @param bytesPerSecond that may go now; undefined for as many as can */
export function limitsOf(
  { version, isEdge }: Pick<Remote, "version" | "isEdge">,
  bytesPerSecond?: number | undefined,
): StreamLimits {
  if (isEdge) {
    const { messageBytesMax } = version;
    return {
      messageBytesMax,
      targetBytes: syncMessageBytes.edge,
      wideRowBytes: Number.POSITIVE_INFINITY,
      keepsCompression: true,
      pacedBytes:
        bytesPerSecond === undefined
          ? Number.POSITIVE_INFINITY
          : Math.max(paced.leastBytes, bytesPerSecond * paced.seconds),
    };
  }
  return {
    messageBytesMax: Math.min(version.messageBytesMax, centralRowBytes.most),
    targetBytes: syncMessageBytes.central,
    wideRowBytes: centralRowBytes.wide,
    // How wide its rows are is to be seen; it keeps nothing as it is anyway.
    keepsCompression: false,
    // Its messages are counted, and must be as many whenever they are sent.
    pacedBytes: Number.POSITIVE_INFINITY,
  };
}

/** Why it could not keep one of the topics of a session; undefined when it can keep all. */
export function whyTopicsUnsuitable(catalog: Catalog, { topics }: Pick<Shipment, "topics">): string | undefined {
  for (const { uuid, locator } of topics) {
    const header = catalog.schemas.get(uuid);
    const problem = header === undefined ? undefined : whyUnsuitable(readSchema(header));
    if (problem !== undefined) return `The central daemon cannot keep topic \`${locator}\`: ${problem}.`;
  }
  return undefined;
}

/** Why it could not keep a topic of this schema; undefined when it can. */
function whyUnsuitable({ fields }: Pick<Schema, "fields">): string | undefined {
  for (const field of fields) {
    // It takes the names of nested columns apart at their dots, and fails at the first batch.
    if (field.name.includes(".")) return `the name of column \`${field.name}\` has a dot`;
    const problem = problemOf(field, field.name);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function problemOf({ type, children }: Field, path: string): string | undefined {
  // The first ends its process, the others are refused.
  if (type.kind === "union") return `column \`${path}\` is a union`;
  if (type.kind === "runEnd") return `column \`${path}\` is run-end encoded`;
  if (type.kind === "interval") return `column \`${path}\` is an interval`;
  if (type.kind === "struct" && children.length === 0) return `column \`${path}\` is a struct without fields`;
  for (const child of children) {
    const problem = problemOf(child, `${path}.${child.name}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** What a transfer has to know of a remote. */
export function traitsOf({ isEdge, version }: Remote, { onConflict, verify }: Target): RemoteTraits {
  return {
    kind: isEdge ? "edge" : "central",
    countsRows: version.major > 0 || version.minor >= 7,
    onConflict,
    comparesContents: verify === "contents",
  };
}
