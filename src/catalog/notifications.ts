/** Notifications on sequences and topics. Functions named put and remove are to be called inside a transaction. */

import { notificationBytesTotal, notificationsMax } from "../model/limits.ts";
import type { Uuid } from "../model/resource.ts";
import type { TimeNs } from "../model/time.ts";
import type { Catalog, Key } from "./catalog.ts";
import { decodeRow, encodeRow } from "./row.ts";

/** The protocol knows no other type, and SDKs refuse a list that has one. */
export type NotificationType = "error";

export interface Notification {
  readonly type: NotificationType;
  readonly message: string;
  readonly createdAtNs: TimeNs;
}

/** What is kept of a resource, in a row in front of its notifications, so that adding one reads no others. */
interface Kept {
  /** Number of the oldest, and the one behind the newest. */
  readonly first: number;
  readonly next: number;
  /** Bytes of their rows. */
  readonly bytes: number;
}

const keptNumber = -1;

/** Notifications of a resource, oldest first. */
export function listNotifications(catalog: Catalog, resource: Uuid): Notification[] {
  return [...rowsOf(catalog, resource)].map(({ value }) => decodeRow<Notification>(value));
}

/** How many there are of a resource, and about how many bytes a list of them has. */
export function sizeOfNotifications(catalog: Catalog, resource: Uuid): { count: number; bytes: number } {
  const { first, next, bytes } = keptOf(catalog, resource);
  return { count: next - first, bytes };
}

/** Adds a notification; beyond the limits of their number and bytes the oldest ones go. */
export function putNotification(catalog: Catalog, resource: Uuid, notification: Notification): void {
  const row = encodeRow(notification);
  let { first, next, bytes } = keptOf(catalog, resource);
  bytes += Buffer.byteLength(row);
  for (; first < next && (next - first >= notificationsMax || bytes > notificationBytesTotal); first += 1) {
    bytes -= Buffer.byteLength(catalog.notifications.get([resource, first]) ?? "");
    catalog.notifications.remove([resource, first]);
  }
  catalog.notifications.put([resource, next], row);
  next += 1;
  catalog.notifications.put([resource, keptNumber], encodeRow({ first, next, bytes } satisfies Kept));
}

export function removeNotifications(catalog: Catalog, resource: Uuid): void {
  const { notifications } = catalog;
  const keys = notifications.keys([resource, keptNumber], [resource, Number.MAX_SAFE_INTEGER], notificationsMax + 1);
  for (const key of keys) notifications.remove(key);
}

/** Stores of earlier versions have no such row: there it is counted. */
function keptOf(catalog: Catalog, resource: Uuid): Kept {
  const row = catalog.notifications.get([resource, keptNumber]);
  if (row !== undefined) return decodeRow<Kept>(row);
  let kept: Kept = { first: 0, next: 0, bytes: 0 };
  for (const { key, value } of rowsOf(catalog, resource)) {
    const number = Number(key[1]);
    const first = kept.next === 0 ? number : kept.first;
    kept = { first, next: number + 1, bytes: kept.bytes + Buffer.byteLength(value) };
  }
  return kept;
}

function rowsOf(catalog: Catalog, resource: Uuid): Iterable<{ key: Key; value: string }> {
  return catalog.notifications.range([resource, 0], [resource, Number.MAX_SAFE_INTEGER]);
}
