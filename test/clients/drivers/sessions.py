"""Checks: errors inside a write block under every policy, notifications, second sessions, deletes, names used
again.
"""

from typing import Any

from mosaicolabs import Integer64, SessionLevelErrorPolicy, String, TopicLevelErrorPolicy

import family
import report
from family import Server


class Planned(Exception):
    """The failure that a check causes on purpose inside a write block."""


def push(topic_writer: Any, *numbers: int) -> None:
    report.true(topic_writer is not None, "no writer")
    for number in numbers:
        topic_writer.push(family.message(1000 + number, Integer64(data=number)))


def numbers(client: Any, sequence: str, topic: str) -> list[int]:
    """The rows of a topic; `push` gives them times in the order of the numbers."""
    return [message.get_data(Integer64).data for message in family.read_topic(client, sequence, topic)]


def messages(notifications: list[Any]) -> list[str]:
    return [notification.message for notification in notifications]


def report_policy(server: Server, client: Any) -> dict[str, Any]:
    """Report: what was flushed stays readable, sequence and topics carry a notification, the session is closed."""
    sequence = server.name("report")

    def block() -> None:
        with client.sequence_create(sequence, {"kept": True}, on_error=SessionLevelErrorPolicy.Report) as writer:
            push(writer.topic_create("/a", {}, Integer64), 1, 2, 3)
            push(writer.topic_create("/b", {}, Integer64), 1)
            raise Planned("sensor unplugged")

    report.equal(type(report.raises(block, "the block")), Planned, "the exception")
    handler = family.fresh_handler(client, sequence)
    report.true(handler is not None, "the sequence stays")
    report.equal(sorted(handler.topics), ["/a", "/b"], "its topics stay")
    report.true(handler.sessions[0].locked, "its session is closed")
    report.equal(handler.user_metadata, {"kept": True}, "its metadata")
    listed = client.list_sequence_notifications(sequence)
    report.equal(len(listed), 1, "notifications of the sequence")
    report.true("sensor unplugged" in listed[0].message, f"text of the notification: {listed[0].message}")
    report.true(listed[0].created_datetime.tzinfo is not None, "time of the notification")
    for topic in ("/a", "/b"):
        report.equal(
            messages(client.list_topic_notifications(sequence, topic)),
            ["sensor unplugged"],
            f"notifications of {topic}",
        )
    client.clear_topic_notifications(sequence, "/a")
    report.equal(client.list_topic_notifications(sequence, "/a"), [], "notifications of /a after clearing")
    report.equal(len(client.list_topic_notifications(sequence, "/b")), 1, "notifications of /b after clearing /a")
    report.equal(
        len(client.list_sequence_notifications(sequence)), 1, "notifications of the sequence after clearing /a"
    )
    client.clear_sequence_notifications(sequence)
    report.equal(client.list_sequence_notifications(sequence), [], "notifications of the sequence after clearing")
    client.clear_sequence_notifications(sequence)  # clearing nothing is fine
    return {"text": listed[0].message[:200]}


def delete_policy(server: Server, client: Any) -> None:
    """Delete: a new sequence disappears with its failed first session; its name is free at once."""
    sequence = server.name("delete")

    def block() -> None:
        with client.sequence_create(sequence, {"try": 1}, on_error=SessionLevelErrorPolicy.Delete) as writer:
            push(writer.topic_create("/a", {}, Integer64), 1)
            raise Planned("stop")

    for _ in range(3):
        report.equal(type(report.raises(block, "the block")), Planned, "the exception")
        report.true(sequence not in client.list_sequences(), "the sequence is gone")
        report.equal(family.fresh_handler(client, sequence), None, "its handler")
    with client.sequence_create(sequence, {"try": 2}) as writer:
        push(writer.topic_create("/a", {}, Integer64), 7, 8)
    report.equal(numbers(client, sequence, "/a"), [7, 8], "rows of the second try")


def update_policies(server: Server, client: Any) -> None:
    """A failed second session never touches the first: Report keeps it, Delete removes it, its topic names become
    free.
    """
    sequence = server.name("update")
    with client.sequence_create(sequence, {}) as writer:
        push(writer.topic_create("/first", {}, Integer64), 1)
    before = {"/first"}
    for policy, name, stays in (
        (SessionLevelErrorPolicy.Delete, "/gone", False),
        (SessionLevelErrorPolicy.Report, "/stays", True),
    ):

        def block() -> None:
            with family.updater(client, sequence, on_error=policy) as writer:
                push(writer.topic_create(name, {}, Integer64), 2)
                raise Planned("stop")

        report.equal(type(report.raises(block, f"the block under {policy}")), Planned, "the exception")
        before |= {name} if stays else set()
        report.equal(set(family.fresh_handler(client, sequence).topics), before, f"topics after {policy}")
        report.equal(numbers(client, sequence, "/first"), [1], f"the first session after {policy}")
    with family.updater(client, sequence) as writer:
        push(writer.topic_create("/gone", {}, Integer64), 3)
    report.equal(numbers(client, sequence, "/gone"), [3], "the topic name used again")


def topic_policies(server: Server, client: Any) -> dict[str, Any]:
    """Raise passes the exception on; Ignore reports it and goes on writing; Finalize reports it and closes that
    topic only.
    """
    sequence = server.name("topics")
    with client.sequence_create(sequence, {}) as writer:
        push(writer.topic_create("/other", {}, Integer64), 1)
        topic_writer = writer.topic_create("/raise", {}, Integer64, on_error=TopicLevelErrorPolicy.Raise)

        def block() -> None:
            with topic_writer:
                push(topic_writer, 1)
                raise Planned("raised")

        report.equal(type(report.raises(block, "policy Raise")), Planned, "the exception")
        with writer.topic_create("/ignore", {}, Integer64, on_error=TopicLevelErrorPolicy.Ignore) as ignoring:
            push(ignoring, 1)
            raise Planned("ignored")
        push(ignoring, 2)
        with writer.topic_create("/finalize", {}, Integer64, on_error=TopicLevelErrorPolicy.Finalize) as finalizing:
            push(finalizing, 1)
            raise Planned("finalized")
        report.true(not finalizing.is_active, "the finalized topic is closed")
        push(writer.get_topic_writer("/other"), 2)
    report.equal(messages(client.list_topic_notifications(sequence, "/raise")), [], "notifications under Raise")
    report.equal(
        messages(client.list_topic_notifications(sequence, "/ignore")), ["ignored"], "notifications under Ignore"
    )
    report.equal(
        messages(client.list_topic_notifications(sequence, "/finalize")), ["finalized"], "notifications under Finalize"
    )
    report.equal(client.list_sequence_notifications(sequence), [], "notifications of the sequence")
    report.equal(numbers(client, sequence, "/other"), [1, 2], "rows of the topic beside")
    report.equal(numbers(client, sequence, "/raise"), [1], "rows under Raise")
    report.equal(numbers(client, sequence, "/ignore"), [1, 2], "rows under Ignore")
    return {"finalize kept": family.fresh_topic(client, sequence, "/finalize").timestamp_ns_min is not None}


def second_session(server: Server, client: Any) -> None:
    """Three sessions of one sequence; the middle one is deleted by its id; the others stay as they were."""
    sequence = server.name("sessions")
    ids = []
    with client.sequence_create(sequence, {}) as writer:
        push(writer.topic_create("/s0/t", {}, Integer64), 0)
        ids.append(family.session_id(writer))
    for number in (1, 2):
        with family.updater(client, sequence) as writer:
            push(writer.topic_create(f"/s{number}/t", {"n": number}, Integer64), number)
            push(writer.topic_create(f"/s{number}/u", {}, Integer64), number, number + 10)
            ids.append(family.session_id(writer))
    handler = family.fresh_handler(client, sequence)
    report.equal(len(handler.sessions), 3, "sessions")
    report.equal(
        {session.uuid if family.letter == "A" else session.locator for session in handler.sessions},
        set(ids),
        "ids of the sessions",
    )
    report.equal(sorted(handler.topics), ["/s0/t", "/s1/t", "/s1/u", "/s2/t", "/s2/u"], "topics")
    report.equal(len(handler.updated_timestamps), 3, "times of the sessions")
    client.session_delete(ids[1])
    report.true(handler.reload(), "reload")
    report.equal(sorted(handler.topics), ["/s0/t", "/s2/t", "/s2/u"], "topics after the delete")
    report.equal(family.fresh_topic(client, sequence, "/s1/t"), None, "handler of a deleted topic")
    report.raises(lambda: client.session_delete(ids[1]), "deleting a session twice")
    report.equal(numbers(client, sequence, "/s2/u"), [2, 12], "rows of a session that stayed")
    client.session_delete(ids[0])
    client.session_delete(ids[2])
    handler = family.fresh_handler(client, sequence)
    report.equal((handler.topics, handler.sessions), ([], []), "topics and sessions after deleting all sessions")


def names(server: Server, client: Any) -> dict[str, Any]:
    """Listing, existence, names taken twice, names that are prefixes of each other, names that do not exist."""
    short, long = server.name("name"), server.name("name") + "x"
    for sequence in (short, long):
        with client.sequence_create(sequence, {"name": sequence}) as writer:
            for topic in ("/a", "/a/b", "/aa"):
                push(writer.topic_create(topic, {"topic": topic}, Integer64), len(sequence), len(topic))
    listed = client.list_sequences()
    report.equal([listed.count(short), listed.count(long)], [1, 1], "both listed once")

    def again() -> None:
        with client.sequence_create(short, {}) as writer:
            push(writer.topic_create("/z", {}, Integer64), 1)

    twice = report.raises(again, "creating a name twice")
    report.equal(numbers(client, short, "/a/b"), [4, len(short)], "the first owner's rows")
    with family.updater(client, short) as writer:
        report.equal(writer.topic_create("/a", {}, String), None, "a topic name taken by another session")
        push(writer.topic_create("/new", {}, Integer64), 5)
    report.equal(numbers(client, short, "/a"), [2, len(short)], "the first topic's rows")
    missing = server.name("missing")
    report.equal(family.fresh_handler(client, missing), None, "handler of a missing sequence")
    report.equal(family.fresh_topic(client, missing, "/a"), None, "topic handler in a missing sequence")
    report.equal(family.fresh_topic(client, short, "/missing"), None, "handler of a missing topic")
    report.raises(lambda: client.sequence_delete(missing), "deleting a missing sequence")
    report.raises(lambda: client.list_sequence_notifications(missing), "notifications of a missing sequence")
    if family.has_exists:
        report.equal([client.sequence_exists(short), client.sequence_exists(missing)], [True, False], "sequence_exists")
        asked = [(short, "/a"), (short, "/missing"), (missing, "/a")]
        report.equal([client.topic_exists(*names) for names in asked], [True, False, False], "topic_exists")
    client.sequence_delete(short)
    report.equal(family.fresh_handler(client, short), None, "handler after the delete")
    report.equal(numbers(client, long, "/aa"), [3, len(long)], "the sequence whose name only starts alike")
    with client.sequence_create(short, {"again": True}) as writer:
        push(writer.topic_create("/a", {}, Integer64), 9)
    report.equal(numbers(client, short, "/a"), [9], "rows under the name used again")
    report.equal(family.fresh_handler(client, short).topics, ["/a"], "topics under the name used again")
    return {"twice": str(twice)[:200]}


def open_session(server: Server, client: Any) -> None:
    """While a session is open its sequence can be listed and its finished parts read; an unfinished topic is not
    served as whole.
    """
    sequence = server.name("open")
    with client.sequence_create(sequence, {}) as writer:
        push(writer.topic_create("/t", {}, Integer64), 1)
        with server.connect() as other:
            report.true(sequence in other.list_sequences(), "listed while open")
            handler = other.sequence_handler(sequence)
            report.true(handler is not None, "no handler while open")
            report.true(not handler.sessions[0].locked, "the session is not locked while open")
    report.equal(numbers(client, sequence, "/t"), [1], "rows afterwards")


def large_records(server: Server, client: Any) -> dict[str, Any]:
    """More bytes than one batch of any release holds, in records of 4 MiB."""
    sequence = server.name("large")
    rng = server.random("large")
    count, size = (12 if family.letter == "C" else 5), 4 * 2**20
    wanted = [(rng.randbytes(64), index) for index in range(count)]
    with client.sequence_create(sequence, {}) as writer:
        topic_writer = writer.topic_create("/text", {}, String)
        for seed, index in wanted:
            topic_writer.push(family.message(index, String(data=seed.hex() * (size // 128))))
    got = family.read_topic(client, sequence, "/text")
    report.equal(len(got), count, "records")
    for (seed, index), message in zip(wanted, got):
        report.true(
            message.timestamp_ns == index and message.data.data == seed.hex() * (size // 128), f"record {index} differs"
        )
    client.sequence_delete(sequence)
    return {"bytes": count * size}


def checks(run: report.Report, server: Server) -> None:
    with server.connect() as client:
        run.run("sessions: policy Report", lambda: report_policy(server, client))
        run.run("sessions: policy Delete", lambda: delete_policy(server, client))
        run.run("sessions: policies of a second session", lambda: update_policies(server, client))
        run.run("sessions: policies of a topic", lambda: topic_policies(server, client))
        run.run("sessions: several, deleted by id", lambda: second_session(server, client))
        run.run("sessions: names", lambda: names(server, client))
        run.run("sessions: open", lambda: open_session(server, client))
        run.run("sessions: large records", lambda: large_records(server, client))
