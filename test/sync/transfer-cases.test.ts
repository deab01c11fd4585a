// Single steps of a transfer, where what is known of a session decides: each case by the answers that lead to it.

import { expect, test } from "vitest";
import type { SessionLocator, TopicLocator } from "../../src/model/locator.ts";
import type { Uuid } from "../../src/model/resource.ts";
import { type Cursor, leftoverOf, type Place, retriedCursor, type TopicState } from "../../src/model/transfer.ts";
import type { Answer, Command, TransferFacts } from "../../src/sync/command.ts";
import { step } from "../../src/sync/transfer.ts";
import { beginTransfer } from "../../src/sync/transfer-place.ts";
import type { TransferContext } from "../../src/sync/transfer-state.ts";

const edge = { kind: "edge", countsRows: true, mayDelete: true } as const;

test("rows that are at an edge are gone on with only while the topic is what it was when they were sent", () => {
  const locator = "s/topic-0" as TopicLocator;
  const traits = { ...edge, onConflict: "refuse", comparesContents: false } as const;
  const uuid = "topic-0" as Uuid;
  const session = { uuid: "session" as Uuid, locator: undefined };
  const cases: readonly (readonly [TopicState, lostRows: number, command: Command["kind"]])[] = [
    [{ kind: "new", rows: 5 }, 0, "put"],
    [{ kind: "new", rows: 5 }, 2, "put"],
    [{ kind: "new", rows: 7 }, 2, "delete_session"],
    // What nobody noted may be of before the loss.
    [{ kind: "new" }, 0, "put"],
    [{ kind: "new" }, 2, "delete_session"],
    // A daemon that has become an edge.
    [{ kind: "asked" }, 0, "put"],
    [{ kind: "sending", uuid }, 0, "put"],
    [{ kind: "ended", uuid }, 2, "delete_session"],
  ];
  for (const [state, lostRows, kind] of cases) {
    const range = { startNs: 0n, endNs: 4n };
    const facts = { session: session.uuid, topics: [{ locator, uuid, rows: 5, range, lostRows, messages: 5 }] };
    const context: TransferContext = { facts, traits };
    const cursor: Cursor = { place: { kind: "topic", index: 0, state }, sequence: "ours", session, anew: 0 };
    const asked = step(beginTransfer(cursor, context), { kind: "made", uuid }, context);
    expect(asked.command.kind).toBe("topic_status");
    const status = { rows: 3, state: "open", lostRows: 0 } as const;
    const next = step(asked, { kind: "status", status }, context);
    expect(next.command, JSON.stringify([state, lostRows])).toMatchObject(
      kind === "put" ? { kind, fromRow: 3 } : { kind },
    );
  }
});

test("what is complete there is not deleted while rows are lost here, and goes on once somebody has deleted it", () => {
  const uuid = "topic" as Uuid;
  const session = { uuid: "session" as Uuid, locator: undefined };
  const topics = ["s/topic-0", "s/topic-1"].map((name) => {
    const locator = name as TopicLocator;
    return { locator, uuid, rows: 5, range: { startNs: 0n, endNs: 4n }, lostRows: 2, messages: 5 };
  });
  const whole = { locked: true, rows: 7, messages: undefined, range: { startNs: 0n, endNs: 6n } };
  const places: readonly (readonly [Place, Answer[]])[] = [
    [{ kind: "check", index: 1 }, [{ kind: "topic", found: whole }]],
    [{ kind: "compare", index: 0 }, [{ kind: "compared", difference: "has other rows" }]],
    [{ kind: "finalize" }, [{ kind: "done" }, { kind: "topic", found: whole }]],
    [
      { kind: "topic", index: 1, state: { kind: "new" } },
      [
        { kind: "made", uuid },
        { kind: "status", status: { rows: 7, state: "finalized", lostRows: 0 } },
      ],
    ],
  ];
  for (const kind of ["edge", "central"] as const) {
    const traits = { kind, countsRows: true, onConflict: "refuse", comparesContents: true } as const;
    const context: TransferContext = { facts: { session: session.uuid, topics }, traits };
    for (const [place, answers] of places) {
      if (kind === "central" && place.kind === "topic") continue;
      const title = `${kind} at ${place.kind}`;
      let transfer = beginTransfer({ place, sequence: "ours", session, anew: 0 }, context);
      for (const answer of answers) transfer = step(transfer, answer, context);
      expect(transfer.command.kind, title).toBe("end");
      expect(transfer.cursor.place, title).toMatchObject({ kind: "parked", cause: "different" });
      expect(leftoverOf({ locator: "s:session" as SessionLocator }, transfer.cursor), title).toBeUndefined();
      // Whoever deletes it and says retry gets what is here.
      let retried = beginTransfer(retriedCursor(transfer.cursor), context);
      const gone: Answer[] =
        kind === "edge"
          ? [{ kind: "done" }, { kind: "made", uuid: session.uuid }]
          : place.kind === "compare"
            ? [
                { kind: "refused", code: "absent", reason: "gone" },
                { kind: "refused", code: "internal", reason: "gone" },
              ]
            : [{ kind: "topic", found: undefined }, { kind: "done" }];
      for (const answer of gone) retried = step(retried, answer, context);
      expect(["create_topic", "show_sequence", "wait"], title).toContain(retried.command.kind);
    }
  }
});

test("a topic that lost rows is asked for what is there before anything of it is sent, also behind others", () => {
  const session = { uuid: "session" as Uuid, locator: undefined };
  const range = { startNs: 0n, endNs: 4n };
  for (const [lostRows, kind] of [
    [0, "put"],
    [2, "topic_status"],
  ] as const) {
    const topics = [0, 1].map((index) => {
      const locator = `s/topic-${index}` as TopicLocator;
      return { locator, uuid: `topic-${index}` as Uuid, rows: 5, range, lostRows: index * lostRows, messages: 5 };
    });
    const traits = { ...edge, onConflict: "refuse", comparesContents: false } as const;
    const context: TransferContext = { facts: { session: session.uuid, topics }, traits };
    const place: Place = { kind: "topic", index: 0, state: { kind: "new" } };
    let transfer = beginTransfer({ place, sequence: "ours", session, anew: 0 }, context);
    for (const answer of [
      { kind: "made", uuid: "topic-0" as Uuid },
      { kind: "status", status: { rows: 5, state: "completed", lostRows: 0 } },
      { kind: "made", uuid: "topic-1" as Uuid },
    ] as const)
      transfer = step(transfer, answer, context);
    expect(transfer.command).toMatchObject({ kind, index: 1 });
  }
});

const uuid = "topic-0" as Uuid;
const oneTopic: TransferFacts = {
  session: "session" as Uuid,
  topics: [
    {
      locator: "s/topic-0" as TopicLocator,
      uuid,
      rows: 5,
      range: { startNs: 0n, endNs: 4n },
      lostRows: 0,
      messages: 5,
    },
  ],
};
const oneSession = { uuid: "session" as Uuid, locator: undefined };

test("a topic at a daemon is ours where it is of our session, or where that cannot be told and its UUID was ours", () => {
  const traits = { kind: "central", countsRows: true, onConflict: "refuse", comparesContents: false } as const;
  const context: TransferContext = { facts: oneTopic, traits };
  const whole = { locked: true, rows: 5, messages: undefined, range: { startNs: 0n, endNs: 4n } };
  const half = { ...whole, locked: false, rows: 3 };
  const cases: readonly (readonly [TopicState, boolean | undefined, open: string, complete: string])[] = [
    [{ kind: "asked" }, true, "delete_topic", "conflict"],
    [{ kind: "asked" }, false, "conflict", "conflict"],
    [{ kind: "asked" }, undefined, "conflict", "conflict"],
    [{ kind: "sending", uuid }, true, "delete_topic", "add_notes"],
    [{ kind: "sending", uuid }, false, "conflict", "conflict"],
    [{ kind: "ended", uuid }, undefined, "delete_topic", "add_notes"],
  ];
  for (const [state, isOfSession, ...expected] of cases) {
    const place: Place = { kind: "topic", index: 0, state };
    const begun = beginTransfer({ place, sequence: "ours", session: oneSession, anew: 0 }, context);
    expect(begun.command).toEqual({ kind: "show_topic", index: 0, of: oneSession });
    for (const [at, found] of [half, whole].entries()) {
      const { cursor, command } = step(begun, { kind: "topic", found: { ...found, isOfSession } }, context);
      const became = cursor.place.kind === "parked" ? cursor.place.cause : command.kind;
      expect(became, JSON.stringify([state, isOfSession, found.locked])).toBe(expected[at]);
    }
  }
});

test("a session is complete there without a topic only when it was asked since; before, it may be gone", () => {
  const traits = { kind: "edge", countsRows: true, onConflict: "refuse", comparesContents: false } as const;
  const context: TransferContext = { facts: oneTopic, traits };
  const place: Place = { kind: "check", index: 0, wasThere: true };
  const missing: Answer = { kind: "topic", found: undefined };
  const begun = beginTransfer({ place, sequence: "ours", session: oneSession, anew: 1 }, context);
  const asked = step(step(begun, missing, context), { kind: "done" }, context);
  expect(asked.command).toMatchObject({ kind: "create_session" });
  const made = step(asked, { kind: "made", uuid: oneSession.uuid }, context);
  expect(made.command).toMatchObject({ kind: "create_topic" });
  const complete = step(asked, { kind: "refused", code: "wrong_state", reason: "it is locked" }, context);
  expect(complete.command).toMatchObject({ kind: "show_topic" });
  const { place: end } = step(complete, missing, context).cursor;
  expect(end).toMatchObject({ kind: "parked", cause: "different" });
});

test("a sequence of our UUID with other metadata at an edge is ours where it was before, and else a conflict", () => {
  const traits = { kind: "edge", countsRows: true, onConflict: "refuse", comparesContents: false } as const;
  const context: TransferContext = { facts: oneTopic, traits };
  const answer: Answer = { kind: "refused", code: "wrong_state", reason: "it has another user_metadata" };
  const answered = (sequence: Cursor["sequence"]) =>
    step(
      beginTransfer({ place: { kind: "sequence" }, sequence, session: undefined, anew: 0 }, context),
      answer,
      context,
    );
  expect(answered("ours").command).toMatchObject({ kind: "create_session" });
  for (const claim of ["unknown", "asked"] as const)
    expect(answered(claim).cursor.place, claim).toMatchObject({ kind: "parked", cause: "conflict" });
});
