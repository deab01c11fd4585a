/** Notifications on sequences and topics. Functions named put and remove are to be called inside a transaction. */

import { notificationsMax } from "../model/limits.ts";
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

/** Notifications of a resource, oldest first. */
export function listNotifications(catalog: Catalog, resource: Uuid): Notification[] {
  return [...catalog.notifications.range(...rangeOf(resource))].map(({ value }) => decodeRow<Notification>(value));
}

/** Adds a notification; beyond the limit the oldest one goes. */
export function putNotification(catalog: Catalog, resource: Uuid, notification: Notification): void {
  const keys = [...catalog.notifications.keys(...rangeOf(resource))];
  const last = keys.at(-1);
  const number = last === undefined ? 0 : Number(last[1]) + 1;
  for (const key of keys.slice(0, Math.max(0, keys.length + 1 - notificationsMax))) catalog.notifications.remove(key);
  catalog.notifications.put([resource, number], encodeRow(notification));
}

export function removeNotifications(catalog: Catalog, resource: Uuid): void {
  const keys = [...catalog.notifications.keys(...rangeOf(resource))];
  for (const key of keys) catalog.notifications.remove(key);
}

function rangeOf(resource: Uuid): [Key, Key] {
  return [
    [resource, 0],
    [resource, Number.MAX_SAFE_INTEGER],
  ];
}
