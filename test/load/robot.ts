// A simulated robot on a drive: the topics of a base session and, seen afterwards, of a labels session. All from one seed.

import {
  Binary,
  Field,
  Float64,
  Int64,
  makeData,
  makeVector,
  Struct,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import type { Outgoing } from "./flight-client.ts";
import { type Columns, toMessages } from "./messages.ts";
import { randomBytes, randomFrom } from "./random.ts";

const second = 1_000_000_000n;

export interface Drive {
  /** Nanoseconds since 1970. */
  readonly startNs: bigint;
  readonly seconds: number;
  readonly seed: number;
}

export interface TopicLoad {
  /** Below the sequence. */
  readonly path: string;
  readonly ontologyTag: string;
  readonly userMetadata: Readonly<Record<string, unknown>>;
  readonly messages: readonly Outgoing[];
  readonly rows: number;
}

/** Position at 10 Hz, acceleration and rotation at 200 Hz, a front camera at 5 Hz, what the robot is about at 1 Hz. */
export function baseTopics(drive: Drive): TopicLoad[] {
  return [gps(drive), imu(drive), camera(drive), mode(drive)];
}

/** What a person saw in the recording: one label every ten seconds. */
export function labelTopics(drive: Drive): TopicLoad[] {
  const words = ["straight on", "left turn", "crossing", "pedestrian", "traffic light"];
  const count = Math.floor(drive.seconds / 10);
  return [
    topic("labels/scene", "string", { labelled_by: "jo" }, [
      { timestamp_ns: times(drive, count, 0.1), data: texts(count, (row) => words[row % words.length] ?? "") },
    ]),
  ];
}

function gps(drive: Drive): TopicLoad {
  const rate = 10;
  // A circle of 400 m around the Politecnico di Milano.
  const angle = (row: number) => (row / (drive.seconds * rate)) * 2 * Math.PI;
  const batches = batchesOf(drive, rate, 1, (count, first) => ({
    position: struct(count, {
      x: (row) => 45.4781 + 0.0036 * Math.sin(angle(first + row)),
      y: (row) => 9.2273 + 0.0051 * Math.cos(angle(first + row)),
      z: () => 122,
    }),
  }));
  return topic("sensors/gps", "gps", { sensor: { model: "F9P", rate_hz: 10 } }, batches);
}

/** Somebody runs into the road: seconds of the drive, half-open. */
export const emergencyStop = { fromS: 61, toS: 64 } as const;

function imu(drive: Drive): TopicLoad {
  const random = randomFrom(drive.seed);
  const noise = () => (random() - 0.5) * 0.02;
  const rate = 200;
  const brakes = (row: number) => row >= emergencyStop.fromS * rate && row < emergencyStop.toS * rate;
  const batches = batchesOf(drive, rate, 1, (count, first) => ({
    acceleration: struct(count, {
      x: (row) => (brakes(first + row) ? -8 : 0) + noise(),
      y: noise,
      z: () => 9.81 + noise(),
    }),
    angular_velocity: struct(count, { x: noise, y: noise, z: () => 0.1 + noise() }),
  }));
  return topic("sensors/imu", "imu", { sensor: { model: "BMI088", rate_hz: 200 } }, batches);
}

function mode(drive: Drive): TopicLoad {
  const isStop = (second: number) => second >= emergencyStop.fromS && second < emergencyStop.toS;
  const batches = batchesOf(drive, 1, 1, (count, first) => ({
    data: texts(count, (row) => (isStop(first + row) ? "emergency stop" : "following route")),
  }));
  return topic("status/mode", "string", {}, batches);
}

function camera(drive: Drive): TopicLoad {
  const random = randomFrom(drive.seed + 1);
  const batches = batchesOf(drive, 5, 1, (count) => ({
    data: blobs(Array.from({ length: count }, () => randomBytes(random, 60_000))),
    format: texts(count, () => "jpeg"),
  }));
  return topic(
    "sensors/camera/front",
    "compressed_image",
    { sensor: { model: "IMX477", rate_hz: 5 }, night: false },
    batches,
  );
}

function topic(
  path: string,
  ontologyTag: string,
  userMetadata: TopicLoad["userMetadata"],
  batches: readonly Columns[],
): TopicLoad {
  const rows = batches.reduce((sum, { timestamp_ns }) => sum + (timestamp_ns?.length ?? 0), 0);
  return { path, ontologyTag, userMetadata, messages: toMessages(batches), rows };
}

function batchesOf(
  drive: Drive,
  rateHz: number,
  batchSeconds: number,
  columns: (count: number, first: number) => Columns,
): Columns[] {
  const rows = rateHz * batchSeconds;
  return Array.from({ length: Math.floor(drive.seconds / batchSeconds) }, (_none, index) => ({
    timestamp_ns: times(drive, rows, rateHz, index * rows),
    ...columns(rows, index * rows),
  }));
}

function times({ startNs }: Drive, count: number, rateHz: number, first = 0): Vector {
  const stepNs = BigInt(Math.round(1e9 / rateHz));
  const values = BigInt64Array.from({ length: count }, (_none, row) => startNs + BigInt(first + row) * stepNs);
  return makeVector(makeData({ type: new Int64(), data: values }));
}

function struct(count: number, fields: Readonly<Record<string, (row: number) => number>>): Vector {
  const children = Object.values(fields).map((value) =>
    makeData({ type: new Float64(), data: Float64Array.from({ length: count }, (_none, row) => value(row)) }),
  );
  const type = new Struct(Object.keys(fields).map((name) => new Field(name, new Float64(), false)));
  return makeVector(makeData({ type, length: count, nullCount: 0, children }));
}

function texts(count: number, value: (row: number) => string): Vector {
  return vectorFromArray(
    Array.from({ length: count }, (_none, row) => value(row)),
    new Utf8(),
  );
}

export function blobs(values: readonly Uint8Array[]): Vector {
  return vectorFromArray(values, new Binary());
}

/** The window of the `from`th to the `to`th second, half-open. */
export function windowOf({ startNs }: Drive, from: number, to: number): { startNs: bigint; endNs: bigint } {
  return { startNs: startNs + BigInt(from) * second, endNs: startNs + BigInt(to) * second };
}
