// Uploads a load: every topic on one connection, all at once, as fast as the server takes it or in time.

import { setTimeout as sleep } from "node:timers/promises";
import { FlightClient } from "../load/flight-client.ts";
import { type Load, type LoadPart, messagesOf } from "./loads.ts";

/** Messages of one stream that are on their way at once. */
const inFlight = 2;

export interface LoadTopic {
  readonly locator: string;
  readonly uuid: string;
  readonly part: LoadPart;
}

export async function createTopics(client: FlightClient, { parts }: Load, sequence = "bench") {
  await client.action("info", {});
  await client.action("sequence_create", { locator: sequence, user_metadata: {} });
  const { uuid: session } = (await client.action("session_create", { locator: sequence })) as { uuid: string };
  const topics: LoadTopic[] = [];
  for (const part of parts) {
    for (let index = 0; index < part.topics; index += 1) {
      const locator = `${sequence}/t${topics.length}`;
      const { uuid } = (await client.action("topic_create", {
        session_uuid: session,
        locator,
        ontology_tag: "load",
        serialization_format: "default",
        user_metadata: {},
      })) as { uuid: string };
      topics.push({ locator, uuid, part });
    }
  }
  return { session, topics };
}

/** As fast as it goes; ends when the session is finalized. */
export async function putAll(port: number, load: Load, sequence = "bench"): Promise<void> {
  using client = new FlightClient(port);
  const { session, topics } = await createTopics(client, load, sequence);
  await Promise.all(
    topics.map(async (topic) => {
      const put = client.openPut(topic);
      const sending: Promise<void>[] = [];
      for (const message of messagesOf(topic.part, inFlight + 1)) {
        sending.push(put.sendData(message));
        if (sending.length > inFlight) await sending.shift();
      }
      await put.finish();
    }),
  );
  await client.action("session_finalize", { session_uuid: session });
}

/** Milliseconds that messages went out after their time, and from then until they were durable; in order. */
export interface Pacing {
  readonly lateMs: readonly number[];
  readonly durableMs: readonly number[];
}

/** At `speed` times real time, one session after the other, each of a sequence of its own. */
export async function putInTime(port: number, load: Load, speed: number, sessions: number): Promise<Pacing> {
  const lateMs: number[] = [];
  const durableMs: number[] = [];
  for (let number = 0; number < sessions; number += 1) {
    const session = await putSessionInTime(port, load, speed, `drive-${number}`);
    for (const value of session.lateMs) lateMs.push(value);
    for (const value of session.durableMs) durableMs.push(value);
  }
  return { lateMs: lateMs.toSorted((a, b) => a - b), durableMs: durableMs.toSorted((a, b) => a - b) };
}

async function putSessionInTime(port: number, load: Load, speed: number, sequence: string): Promise<Pacing> {
  using client = new FlightClient(port, undefined, { headers: { "x-mosaico-edge-acks": "1" } });
  const { session, topics } = await createTopics(client, load, sequence);
  const lateMs: number[] = [];
  const durableMs: number[] = [];
  const startMs = performance.now() + 100;
  await Promise.all(
    topics.map(async (topic, number) => {
      const put = client.openPut(topic, "kept");
      const sentMs: number[] = [];
      const acknowledged = (async () => {
        let durable = 0;
        for await (const message of put.call.messages()) {
          const [, batches] = /"batches":(\d+)/.exec(message.toString("latin1")) ?? [];
          const nowMs = performance.now();
          for (; durable < Number(batches ?? 0); durable += 1) durableMs.push(nowMs - (sentMs[durable] ?? nowMs));
        }
      })();
      const periodMs = 1_000 / (speed * (topic.part.rateHz ?? 1));
      // Sensors are not in step.
      const phaseMs = (periodMs * number) / topics.length;
      let index = -1;
      for (const message of messagesOf(topic.part, inFlight)) {
        if (index >= 0) {
          const dueMs = startMs + phaseMs + index * periodMs;
          if (dueMs > performance.now()) await sleep(dueMs - performance.now());
          sentMs.push(performance.now());
          await put.sendData(message);
          lateMs.push(Math.max(0, performance.now() - dueMs));
        } else await put.sendData(message);
        index += 1;
      }
      put.call.end();
      await acknowledged;
    }),
  );
  await client.action("session_finalize", { session_uuid: session });
  return { lateMs, durableMs };
}
