/** What people say of a target in flags, and how it is shown to them: in the same words. */

import { isIPv6 } from "node:net";
import { Fault } from "../model/fault.ts";
import type { SyncClass, Target } from "../model/target.ts";
import { parseDayTimes, type RateRule } from "../model/timetable.ts";
import { bytesText, readBytes } from "./settings.ts";

/** @throws Fault invalid; the query is read by whoever keeps it */
export function readClass(text: string): SyncClass {
  const [, name, priority = "0", rate, query] =
    /^([a-z][a-z0-9_-]*)(?::(-?[0-9]{1,6}|never))?(?:@([^=]{1,20}))?=(.+)$/s.exec(text) ?? [];
  if (name === undefined || query === undefined) {
    throw new Fault(
      "invalid",
      `--class: expected NAME=QUERY, NAME:PRIORITY=QUERY or NAME:PRIORITY@RATE=QUERY, found ${JSON.stringify(text.slice(0, 100))}`,
    );
  }
  const bytesPerSecond = rate === undefined ? undefined : readBytes("--class", rate);
  return {
    name,
    query,
    priority: priority === "never" ? 0 : Number(priority),
    isSent: priority !== "never",
    bytesPerSecond,
  };
}

export function classText({ name, query, priority, isSent, bytesPerSecond }: SyncClass): string {
  const rate = bytesPerSecond === undefined ? "" : `@${bytesText(bytesPerSecond)}`;
  return `${name}:${isSent ? priority : "never"}${rate}=${query}`;
}

/** @throws Fault invalid */
export function readRate(text: string): RateRule {
  const at = text.indexOf("=");
  const [times, rate] = at < 0 ? [undefined, text] : [text.slice(0, at), text.slice(at + 1)];
  const between = times === undefined ? undefined : parseDayTimes(times);
  if (times !== undefined && between === undefined)
    throw new Fault("invalid", `--rate: expected times like 08:00-18:00, found ${JSON.stringify(times.slice(0, 40))}`);
  if (between?.fromMinute === between?.toMinute && between !== undefined)
    throw new Fault("invalid", `--rate: expected a time that begins before it ends, found ${JSON.stringify(times)}`);
  return { between, bytesPerSecond: rate === "0" ? 0 : readBytes("--rate", rate) };
}

export function rateText({ between, bytesPerSecond }: RateRule): string {
  const rate = bytesText(bytesPerSecond);
  return between === undefined ? rate : `${clockText(between.fromMinute)}-${clockText(between.toMinute)}=${rate}`;
}

function clockText(minute: number): string {
  const digits = (value: number): string => String(value).padStart(2, "0");
  return `${digits(Math.floor(minute / 60))}:${digits(minute % 60)}`;
}

/** @throws Fault invalid */
export function readAddress(text: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const isOther = bracketed !== undefined && !isIPv6(bracketed);
  if (host === undefined || isOther || !(Number(port) >= 1 && Number(port) <= 65_535))
    throw new Fault("invalid", `--when-reachable: expected HOST:PORT, found ${JSON.stringify(text.slice(0, 100))}`);
  return { host, port: Number(port) };
}

/** By the names of the flags that would say the same; nothing of what is not said. */
export function targetTexts(target: Target): Readonly<Record<string, string | boolean | readonly string[]>> {
  const { name, url, caFile, keyFile, onConflict, verify = "rows", classes, restIsSent, rates, whenReachable } = target;
  const { include, exclude, interfaces, paused } = target;
  const texts = {
    target: name,
    url,
    ca: caFile,
    "api-key-file": keyFile,
    include,
    exclude,
    class: classes.map(classText),
    "classes-only": !restIsSent,
    rate: rates.map(rateText),
    interface: interfaces,
    "when-reachable": whenReachable === undefined ? undefined : addressText(whenReachable),
    "on-conflict": onConflict,
    verify,
    paused,
  };
  return Object.fromEntries(Object.entries(texts).flatMap(([key, text]) => (text === undefined ? [] : [[key, text]])));
}

function addressText({ host, port }: { host: string; port: number }): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
