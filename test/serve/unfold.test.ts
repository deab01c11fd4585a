// Uploads whose few bytes say that they are many: what has to be unfolded is within the memory that there is, or refused.

import { zstdCompressSync } from "node:zlib";
import * as arrow from "apache-arrow";
import { expect, test } from "vitest";
import { encodeZstdHeader, partsOf } from "../arrow/made.ts";
import { FlightClient } from "../load/flight-client.ts";
import { splitStream } from "../load/messages.ts";
import { createTopic, openSession, readTopic } from "../round-trip.ts";
import { startServer } from "../server.ts";

const table = new arrow.Table(new arrow.Schema([new arrow.Field("timestamp_ns", new arrow.Int64(), false)]));
const [schema] = splitStream(arrow.tableToIPC(table, "stream"));

/** A batch of so many rows at time 0. */
function zeros(rows: number): { header: Uint8Array; body: Uint8Array } {
  const content = zstdCompressSync(new Uint8Array(8 * rows));
  const body = new Uint8Array((8 + content.byteLength + 7) & ~7);
  new DataView(body.buffer).setBigInt64(0, BigInt(8 * rows), true);
  body.set(content, 8);
  return { header: encodeZstdHeader(partsOf(rows, [{ length: rows, nulls: 0 }], [0, 8 + content.byteLength])), body };
}

test("a compressed column of times is unfolded when there is room, else refused with both numbers", async () => {
  await using server = await startServer();
  using client = new FlightClient(server.port);
  const session = await openSession(client, "unfold");
  if (schema === undefined) throw new Error("a stream begins with its schema");
  const small = await createTopic(client, session, "unfold/small");
  await client.put(small, [schema, zeros(2 ** 20)]);
  expect(await readTopic(client, small.locator)).toHaveLength(1);
  const large = await createTopic(client, session, "unfold/large");
  await expect(client.put(large, [schema, zeros(2 ** 24)])).rejects.toMatchObject({
    code: 8,
    message: expect.stringContaining("unfolds to 134217728 bytes, at most 33554432 are allowed here"),
  });
  await server.stop();
});
