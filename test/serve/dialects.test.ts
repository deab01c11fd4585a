// Sessions left behind, by the address of who asks for their names: the rest is shown over sockets in give-back.test.ts.

import { expect, test } from "vitest";
import { openLog } from "../../src/host/log.ts";
import { abandonedSessionMs } from "../../src/model/limits.ts";
import { allPermissions } from "../../src/model/permission.ts";
import type { Session, Ulid, Uuid } from "../../src/model/resource.ts";
import { Dialects } from "../../src/serve/dialects.ts";
import { openScratch } from "../catalog/scratch.ts";

const caller = { permissions: allPermissions, key: undefined };

test.each([
  ["10.0.0.1:5000", "10.0.0.1:5001", true],
  ["10.0.0.1:5000", "10.0.0.2:5001", false],
  ["::1:5000", "::1:5001", true],
  ["::1:5000", "::2:5000", false],
])("what %s left behind is given back to %s: %s", async (left, asks, expected) => {
  await using scratch = await openScratch();
  const clock = { nowMs: 0, wallNs: () => 1n, monotonicMs: () => clock.nowMs };
  const dialects = new Dialects({ catalog: scratch.catalog, clock, log: openLog("error"), legacySdk: undefined });
  const connection = dialects.connection(left);
  dialects.note(connection, "list", undefined);
  dialects.created(connection, "SEQUENCE" as Ulid);
  const session = { uuid: "uuid" as Uuid, sequenceUlid: "SEQUENCE" as Ulid } as Session;
  dialects.watch(session, connection, caller, "0.4");
  dialects.closed(left);
  const asking = { connection: dialects.connection(asks), caller };
  clock.nowMs = abandonedSessionMs - 1;
  expect(dialects.isAbandoned(session, asking)).toBe(false);
  clock.nowMs = abandonedSessionMs;
  expect(dialects.isAbandoned(session, asking)).toBe(expected);
});
