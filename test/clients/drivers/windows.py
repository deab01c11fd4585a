"""Checks: streamers with and without time windows, topics without rows, order across topics."""

from typing import Any

from mosaicolabs import Floating64, Integer64, String

import family
import report
from family import Server

base_ns = 1_650_000_000_000_000_000
#: Topic -> model and times relative to `base_ns`, as pushed: /late is out of order, /empty never gets a row.
recorded = {
    "/even": (Integer64, [index * 10 for index in range(100)]),
    "/odd": (Floating64, [5 + index * 10 for index in range(50)]),
    "/late": (String, [900, 300, 700, 100, 500, 500]),
    "/single": (Integer64, [250]),
    "/empty": (String, []),
}


def payload(model: type, offset: int) -> Any:
    return model(data=f"row {offset}" if model is String else offset * (0.5 if model is Floating64 else 1))


def write(client: Any, sequence: str) -> None:
    with client.sequence_create(sequence, {}, **family.small_batches(client, 2000)) as writer:
        for topic, (model, offsets) in recorded.items():
            topic_writer = writer.topic_create(topic, {}, model)
            report.true(topic_writer is not None, f"no writer for {topic}")
            for offset in offsets:
                topic_writer.push(family.message(base_ns + offset, payload(model, offset)))


def expected(topic: str, start: int | None, end: int | None) -> list[int]:
    """Times of `topic` in [start, end), relative: start inclusive, end exclusive."""
    _, offsets = recorded[topic]
    return sorted(offset for offset in offsets if (start is None or offset >= start) and (end is None or offset < end))


def window(start: int | None, end: int | None) -> dict[str, int]:
    bounds = {"start_timestamp_ns": start, "end_timestamp_ns": end}
    return {name: base_ns + offset for name, offset in bounds.items() if offset is not None}


def windows_of(server: Server) -> list[tuple[int | None, int | None]]:
    """Bounds on rows, one nanosecond beside them, open ends, far outside, and some random ones."""
    rng = server.random("windows")
    fixed = [
        (None, None),
        (0, None),
        (None, 0),
        (None, 1),
        (250, 251),
        (249, 250),
        (250, 250 + 1),
        (251, 260),
        (990, None),
        (991, None),
    ]
    fixed += [(None, 990), (None, 991), (-5000, 5000), (100, 901), (101, 900), (-5000, -4000), (5000, 6000), (500, 501)]
    return fixed + [tuple(sorted(rng.sample(range(-50, 1050), 2))) for _ in range(20)]


def by_topic(server: Server, client: Any, sequence: str) -> dict[str, Any]:
    rows = 0
    for topic, (model, offsets) in recorded.items():
        if not offsets:
            continue
        for start, end in windows_of(server):
            got = family.read_topic(client, sequence, topic, **window(start, end))
            wanted = expected(topic, start, end)
            report.equal([message.timestamp_ns - base_ns for message in got], wanted, f"{topic} in [{start}, {end})")
            for message in got:
                offset = message.timestamp_ns - base_ns
                report.equal(message.get_data(model).data, payload(model, offset).data, f"{topic} at {offset}")
            rows += len(got)
    return {"windows": len(windows_of(server)), "rows": rows}


def by_sequence(server: Server, client: Any, sequence: str) -> dict[str, Any]:
    raised = 0
    for start, end in windows_of(server):
        for topics in ([], ["/odd"], ["/even", "/single", "/empty"]):
            asked = topics or list(recorded)
            wanted = {topic: expected(topic, start, end) for topic in asked}
            where = f"{asked} in [{start}, {end})"
            if family.letter == "C" and not any(wanted.values()):
                report.raises(
                    lambda: list(family.read_sequence(client, sequence, topics, **window(start, end))),
                    f"{where}, no rows, SDK 0.7",
                )
                raised += 1
                continue
            got: dict[str, list[int]] = {topic: [] for topic in asked}
            order = []
            for topic, message in family.read_sequence(client, sequence, topics, **window(start, end)):
                got[topic].append(message.timestamp_ns - base_ns)
                order.append(message.timestamp_ns)
            report.equal(got, wanted, where)
            report.equal(order, sorted(order), f"order of {where}")
    return {"windows": len(windows_of(server)), "raised": raised}


def counts(server: Server, client: Any, sequence: str) -> Any:
    """SDK 0.6 and 0.7 tell rows and bounds of a stream before reading it: those of the window."""
    for start, end in windows_of(server):
        for topic, (_, offsets) in recorded.items():
            if not offsets:
                continue
            streamer = family.fresh_topic(client, sequence, topic).get_data_streamer(**window(start, end))
            wanted = expected(topic, start, end)
            bounds = (base_ns + wanted[0], base_ns + wanted[-1]) if wanted else None
            where = f"{topic} in [{start}, {end})"
            if wanted:
                report.equal(streamer.msg_count, len(wanted), f"count of {where}")
                report.equal((streamer.timestamp_ns_min, streamer.timestamp_ns_max), bounds, f"bounds of {where}")
                report.equal(streamer.next_timestamp(), bounds[0], f"next time of {where}")
            else:
                report.true(streamer.msg_count in (0, None), f"count of {where}: {streamer.msg_count}")
                report.equal(streamer.next_timestamp(), None, f"next time of {where}")
            streamer.close()
    return {"topics": len(recorded) - 1}


def data_frames(client: Any, sequence: str) -> dict[str, Any]:
    """The SDK's own way to pandas, which reads whole batches of all topics at once."""
    import pandas
    from mosaicolabs.ml import DataFrameExtractor

    handler = family.fresh_handler(client, sequence)
    frame = pandas.concat(DataFrameExtractor(handler).to_pandas_chunks(topics=["/even", "/odd"], window_sec=1e-7))
    handler.close()
    for topic in ("/even", "/odd"):
        model, _ = recorded[topic]
        column = next(name for name in frame.columns if name.startswith(f"{topic}.") and name.endswith(".data"))
        rows = frame[frame[column].notna()]
        wanted = expected(topic, None, None)
        report.equal(sorted(int(time) - base_ns for time in rows["timestamp_ns"]), wanted, f"times of {topic}")
        report.equal(
            sorted(rows[column].tolist()), [payload(model, offset).data for offset in wanted], f"values of {topic}"
        )
    return {"rows": len(frame)}


def inverted(client: Any, sequence: str) -> Any:
    """start >= end: no rows. (The daemon of 0.6 refuses; this server answers with an empty stream, as 0.4 did.)"""
    for start, end in ((500, 500), (500, 100), (5000, -5000)):
        got = family.read_topic(client, sequence, "/even", **window(start, end))
        report.equal(len(got), 0, f"rows of /even in [{start}, {end})")
    return None


def handlers(client: Any, sequence: str) -> dict[str, Any]:
    handler = family.fresh_handler(client, sequence)
    report.equal(sorted(handler.topics), sorted(recorded), "topics of the sequence")
    offsets = [offset for _, offsets in recorded.values() for offset in offsets]
    report.equal(
        (handler.timestamp_ns_min, handler.timestamp_ns_max),
        (base_ns + min(offsets), base_ns + max(offsets)),
        "bounds of the sequence",
    )
    report.equal(len(handler.sessions), 1, "sessions")
    report.true(handler.sessions[0].locked, "the session is locked")
    report.equal(sorted(handler.sessions[0].topics), sorted(recorded), "topics of the session")
    size = 0
    for topic, (model, times) in recorded.items():
        single = handler.get_topic_handler(topic, force_new_instance=True)
        report.equal(single.ontology_tag, model.__ontology_tag__, f"tag of {topic}")
        report.true(single.locked, f"{topic} is locked")
        if times:
            report.equal(
                (single.timestamp_ns_min, single.timestamp_ns_max),
                (base_ns + min(times), base_ns + max(times)),
                f"bounds of {topic}",
            )
            report.true(single.total_size_bytes > 0, f"{topic} has no size")
            report.true(single.chunks_number >= 1, f"{topic} has no chunk")
        size += single.total_size_bytes
    report.equal(handler.total_size_bytes, size, "size of the sequence against the sum of its topics")
    return {"bytes": size}


def topic_without_rows(client: Any, sequence: str) -> dict[str, Any]:
    handler = family.fresh_topic(client, sequence, "/empty")
    report.true(handler is not None, "no handler for a topic without rows")
    report.equal((handler.timestamp_ns_min, handler.timestamp_ns_max), (None, None), "bounds")
    report.equal(handler.chunks_number, 0, "chunks")
    error = report.raises(handler.get_data_streamer, "stream of a topic without rows")
    report.true("no data" in str(error), f"the SDK's own message for no data, got: {error}")
    if hasattr(handler, "ontology_schema"):
        report.true(
            "data" in [field.name for field in handler.ontology_schema], "the schema of a topic without rows is kept"
        )
    return {"error": str(error)}


def sequence_without_rows(server: Server, client: Any) -> dict[str, Any]:
    sequence = server.name("norows")
    with client.sequence_create(sequence, {"rows": 0}) as writer:
        for topic in ("/one", "/two"):
            report.true(writer.topic_create(topic, {}, String) is not None, f"no writer for {topic}")
    handler = family.fresh_handler(client, sequence)
    report.equal(sorted(handler.topics), ["/one", "/two"], "topics")
    report.equal((handler.timestamp_ns_min, handler.timestamp_ns_max), (None, None), "bounds")
    error = report.raises(handler.get_data_streamer, "stream of a sequence without rows")
    report.true("no data" in str(error), f"the SDK's own message for no data, got: {error}")
    return {"error": str(error)}


def empty_session(server: Server, client: Any) -> dict[str, Any]:
    """A block that creates no topic: the session cannot be finalized, the SDK raises, the sequence's name can be
    given back.
    """
    sequence = server.name("notopics")

    def block() -> None:
        with client.sequence_create(sequence, {}):
            pass

    error = report.raises(block, "a session without topics")
    client.sequence_delete(sequence)
    report.true(sequence not in client.list_sequences(), "the sequence is gone")
    return {"error": str(error)[:300]}


def partly_read(client: Any, sequence: str) -> None:
    """A stream that is closed half-way is cancelled; the next one starts afresh on the same connection."""
    for _ in range(5):
        handler = family.fresh_handler(client, sequence)
        streamer = handler.get_data_streamer()
        first = [next(streamer)[1].timestamp_ns for _ in range(3)]
        report.equal(first, [base_ns, base_ns + 5, base_ns + 10], "first rows")
        handler.close()
    report.equal(len(family.read_topic(client, sequence, "/even")), 100, "rows of /even after cancelled streams")


def checks(run: report.Report, server: Server) -> None:
    sequence = server.name("windows")
    with server.connect() as client:
        if run.run("windows: written", lambda: write(client, sequence)):
            run.run("windows: by topic, half-open", lambda: by_topic(server, client, sequence))
            run.run(
                "windows: by sequence, half-open, in order across topics", lambda: by_sequence(server, client, sequence)
            )
            run.run("windows: start not before end", lambda: inverted(client, sequence))
            if not family.is_old:
                run.run("windows: counts and bounds of a stream", lambda: counts(server, client, sequence))
            run.run("windows: handlers", lambda: handlers(client, sequence))
            run.run("windows: data frames", lambda: data_frames(client, sequence))
            run.run("windows: topic without rows", lambda: topic_without_rows(client, sequence))
            run.run("windows: streams closed half-way", lambda: partly_read(client, sequence))
        run.run("windows: sequence without rows", lambda: sequence_without_rows(server, client))
        run.run("windows: session without topics", lambda: empty_session(server, client))
