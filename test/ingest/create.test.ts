// Names at their longest: whatever sequence may be created can have sessions that are found and deleted by their locator, and topics.

import { describe, expect, test } from "vitest";
import { findSession } from "../../src/catalog/resources.ts";
import { machineClock } from "../../src/host/clock.ts";
import { createSequence, createSession, createTopic } from "../../src/ingest/create.ts";
import { parseSequenceName, parseSessionLocator, parseTopicLocator } from "../../src/model/locator.ts";
import type { JsonText } from "../../src/model/resource.ts";
import { Poison } from "../../src/store/poison.ts";
import { openScratch, openSpace } from "../catalog/scratch.ts";

const userMetadata = "{}" as JsonText;

describe.each([1, 997, 998, 1_024])("a sequence with a name of %i characters", (characters) => {
  test("has sessions that are found by their locator, and room for topics", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    const clock = machineClock();
    const space = await openSpace(scratch);
    const parts = { catalog, clock, poison: new Poison(() => undefined), space };
    const name = "s".repeat(characters);
    await createSequence(parts, { name: parseSequenceName(name), userMetadata });
    const session = await createSession(parts, { sequence: parseSequenceName(name), creator: undefined });
    const locator = parseSessionLocator(session.locator);
    expect(findSession(scratch.catalog, locator)?.uuid).toBe(session.uuid);
    const request = { session: session.uuid, ontologyTag: "t", serializationFormat: "default", userMetadata } as const;
    const path = "t".repeat(512);
    const topic = await createTopic(parts, { ...request, locator: parseTopicLocator(`${name}/${path.slice(1)}`) });
    expect(topic.locator).toHaveLength(characters + path.length);
  });
});
