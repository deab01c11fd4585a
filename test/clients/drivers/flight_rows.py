"""Checks: rows and their order, windows, what is told about topics, answers that the SDKs parse strictly."""

import json
from typing import Any

import pyarrow as pa

import report
from bench import Bench, batch_of, finish, number_batch, number_schema, pairs, table_schema
from wire import Wire, own_metadata

int64_min, int64_max = -(2**63), 2**63 - 1


def put_numbers(
    bench: Bench, wire: Wire, name: str, batches: list[list[int]], finalize: bool = True
) -> tuple[str, list[tuple[int, int]]]:
    """A sequence of one topic whose rows are numbered in the order of the upload; its locator and its rows."""
    sequence = bench.name(name)
    session = wire.sequence(sequence)
    made, first = [], 0
    for times in batches:
        made.append(number_batch(number_schema, times, first))
        first += len(times)
    wire.put(wire.topic(session, f"{sequence}/n"), number_schema, made)
    if finalize:
        finish(wire, session)
    return f"{sequence}/n", pairs(made)


def exact(
    wire: Wire, locator: str, rows: list[tuple[int, int]], start: int | None = None, end: int | None = None
) -> int:
    """Order is checked by time only: rows of equal times may come in any order."""
    _, batches = wire.get(locator, start, end)
    got = pairs(batches)
    wanted = [row for row in rows if (start is None or row[0] >= start) and (end is None or row[0] < end)]
    report.equal([time for time, _ in got], sorted(time for time, _ in wanted), f"times in [{start}, {end})")
    report.equal(sorted(got), sorted(wanted), f"rows in [{start}, {end})")
    return len(got)


def unsorted(bench: Bench, wire: Wire) -> dict[str, Any]:
    """Unsorted uploads of several shapes: everything shuffled, late batches, one late row, equal times,
    descending.
    """
    rng = bench.random("unsorted")
    shuffled = [[rng.randrange(5000) for _ in range(rng.randint(1, 400))] for _ in range(40)]
    interleaved = [list(range(offset, 20_000, 20)) for offset in range(20)]
    late = [list(range(1000)), [5], list(range(1000, 2000)), [-1], [2000]]
    equal_times = [[7] * 500, [7] * 500, [6] * 3, [7]]
    descending = [list(range(start, start - 100, -1)) for start in range(5000, 0, -100)]
    total = 0
    for name, batches in {
        "shuffled": shuffled,
        "interleaved": interleaved,
        "late": late,
        "equal": equal_times,
        "descending": descending,
    }.items():
        locator, rows = put_numbers(bench, wire, f"unsorted-{name}", batches)
        total += exact(wire, locator, rows)
        for _ in range(6):
            start, end = sorted(rng.sample(range(-10, 21_000), 2))
            exact(wire, locator, rows, start, end)
        for time in rng.sample(rows, min(3, len(rows))):
            exact(wire, locator, rows, time[0], time[0] + 1)
    return {"rows": total}


def extremes(bench: Bench, wire: Wire) -> None:
    """The ends of int64, with windows at them. Bounds left out are no bounds, and an end of 2^63 - 1 says the
    same.
    """
    times = [int64_max, int64_min, 0, -1, int64_max - 1, int64_min + 1, 2**53 + 1, 2**53, -(2**53) - 1]
    locator, rows = put_numbers(bench, wire, "extremes", [times[:4], times[4:]])
    exact(wire, locator, rows)
    _, batches = wire.get(locator, int64_max - 1, int64_max)
    report.equal([time for time, _ in pairs(batches)], [int64_max - 1, int64_max], "times from 2^63 - 2 to no end")
    for start, end in (
        (int64_max, None),
        (int64_max - 1, None),
        (None, int64_min + 1),
        (int64_min, 0),
        (None, int64_min),
        (2**53, 2**53 + 1),
        (-1, 1),
    ):
        exact(wire, locator, rows, start, end)
    metadata = wire.topic_metadata(locator)
    report.equal(metadata["info"]["timestamp"], {"start_ns": int64_min, "end_ns": int64_max}, "info.timestamp")
    report.equal(metadata["data_info"]["interval"], {"start_ns": int64_min, "end_ns": int64_max}, "data_info.interval")


def described(bench: Bench, wire: Wire) -> dict[str, Any]:
    """app_metadata of a topic: the keys of all client families, numbers that agree, the window only when asked."""
    locator, rows = put_numbers(bench, wire, "described", [[10, 20], [30], [40, 50, 60]])
    whole = wire.topic_metadata(locator)
    for key in (
        "created_at_ns",
        "completed_at_ns",
        "locked",
        "resource_locator",
        "info",
        "ontology_tag",
        "serialization_format",
        "user_metadata",
        "data_info",
    ):
        report.true(whole.get(key) is not None, f"{key} in {whole}")
    report.equal((whole["resource_locator"], whole["locked"], whole["user_metadata"]), (locator, True, {}), "values")
    report.true("time_window_info" not in whole, "time_window_info is there unasked")
    report.equal(whole["data_info"]["total_row_count"], len(rows), "rows")
    report.equal(whole["data_info"]["total_bytes"], whole["info"]["total_bytes"], "bytes")
    report.equal(whole["data_info"]["total_chunks_count"], whole["info"]["chunks_number"], "chunks")
    for window, count, interval in (
        ((20, 50), 3, (20, 40)),
        ((20, None), 5, (20, 60)),
        ((None, 20), 1, (10, 10)),
        ((41, 50), 0, None),
        ((60, 10), 0, None),
    ):
        part = wire.topic_metadata(locator, *window)
        wanted = None if interval is None else {"start_ns": interval[0], "end_ns": interval[1]}
        report.equal(part["time_window_info"].get("interval"), wanted, f"interval of {window}")
        report.equal(part["time_window_info"]["row_count"], count, f"rows of {window}")
        report.equal(part["data_info"], whole["data_info"], f"data_info of {window}")
    return {"keys": sorted(whole)}


def mosaico_keys(bench: Bench) -> None:
    """Clients of 0.4 to 0.6 need three keys in the schema, and cannot bear values that are no UTF-8."""
    sequence = bench.name("mosaico-keys")
    schema = number_schema.with_metadata({b"good": "gut".encode(), b"bad": b"\xff", b"mosaico:context": b"mine"})
    with bench.wire() as wire:
        session = wire.sequence(sequence, {"a": 1})
        wire.put(wire.topic(session, f"{sequence}/n"), schema, [number_batch(schema, [1, 2, 3])])
        wire.put(wire.topic(session, f"{sequence}/none"), schema, [])
        finish(wire, session)
    for probe in ("A", "B"):
        with bench.wire(probe) as wire:
            for locator, rows in ((f"{sequence}/n", 3), (f"{sequence}/none", 0)):
                for got in (wire.get(locator)[0], wire.info(locator).schema):
                    metadata = got.metadata
                    report.equal(metadata[b"mosaico:context"], b"topic", f"mosaico:context for {probe}")
                    properties = json.loads(metadata[b"mosaico:properties"])
                    report.equal(
                        (properties["ontology_tag"], properties["serialization_format"]),
                        ("conformance", "default"),
                        f"properties for {probe}",
                    )
                    report.equal(json.loads(metadata[b"mosaico:user_metadata"]), {}, f"user metadata for {probe}")
                    report.equal(metadata.get(b"good"), b"gut", f"a good value for {probe}")
                    for key, value in metadata.items():
                        key.decode(), value.decode()
                counted = json.loads(wire.get(locator)[0].metadata[b"mosaico:properties"])
                report.equal(counted.get("message_count") or 0, rows, f"message_count for {probe}")
            metadata = wire.info(sequence).schema.metadata
            report.equal(metadata[b"mosaico:context"], b"sequence", "mosaico:context of a sequence")
            report.equal(json.loads(metadata[b"mosaico:user_metadata"]), {"a": 1}, "user metadata of a sequence")
    with bench.wire("C") as wire:
        report.equal(wire.get(f"{sequence}/n")[0].metadata.get(b"bad"), b"\xff", "a value that is no UTF-8, for C")


def without_rows(bench: Bench, wire: Wire) -> dict[str, Any]:
    """Schema only, batches without rows only, and both mixed with rows: never a message without rows."""
    sequence = bench.name("without-rows")
    session = wire.sequence(sequence)
    empty = number_batch(number_schema, [])
    for name, batches, count in (
        ("schema", [], 0),
        ("empty", [empty, empty], 0),
        ("mixed", [empty, number_batch(number_schema, [1]), empty], 1),
    ):
        locator = f"{sequence}/{name}"
        wire.put(wire.topic(session, locator), number_schema, batches)
        schema, got = wire.get(locator)
        report.true(own_metadata(schema).equals(number_schema, check_metadata=True), f"schema of {name}: {schema}")
        report.equal(sum(batch.num_rows for batch in got), count, f"rows of {name}")
        metadata = wire.topic_metadata(locator)
        report.true(metadata["locked"], f"{name} is locked")
        if count == 0:
            report.equal(metadata["info"], {"chunks_number": 0, "total_bytes": 0, "timestamp": None}, f"info of {name}")
            report.equal(metadata["data_info"]["total_row_count"], 0, f"rows told of {name}")
            report.equal(wire.get(locator, 0, 10)[1], [], f"window of {name}")
    finish(wire, session)
    return {"topics": 3}


def many_rows(bench: Bench, wire: Wire) -> dict[str, Any]:
    """One upload of a million rows, half in order, half late, with windows; and a batch of 16 MiB."""
    rng = bench.random("many rows")
    sequence = bench.name("many-rows")
    session = wire.sequence(sequence)
    schema = table_schema(pa.field("n", pa.int64()), pa.field("x", pa.float64()))
    per_batch, batches = 10_000, []
    starts = [number * per_batch for number in range(100)]
    late = rng.sample(starts, 50)
    for start in [start for start in starts if start not in late] + late:
        times = pa.array(range(start, start + per_batch), pa.int64())
        batches.append(pa.RecordBatch.from_arrays([times, times, times.cast(pa.float64())], schema=schema))
    wire.put(wire.topic(session, f"{sequence}/n"), schema, batches)
    for start, end in ((0, 1_000_000), (123_456, 123_457), (499_999, 730_001), (-5, 3), (999_999, None)):
        _, got = wire.get(f"{sequence}/n", start, end)
        table = pa.Table.from_batches(got)
        wanted = pa.chunked_array(
            [pa.array(range(max(start, 0), min(end if end is not None else 1_000_000, 1_000_000)), pa.int64())]
        )
        for column in ("timestamp_ns", "n"):
            report.true(table[column].equals(wanted), f"{column} in [{start}, {end})")
        report.true(table["x"].equals(wanted.cast(pa.float64())), f"x in [{start}, {end})")
    wide = table_schema(pa.field("b", pa.binary()))
    blobs = [rng.randbytes(8 * 2**20) for _ in range(2)]
    wire.put(wire.topic(session, f"{sequence}/wide"), wide, [batch_of(wide, [1, 2], [pa.array(blobs)])])
    _, got = wire.get(f"{sequence}/wide")
    report.equal([blob for batch in got for blob in batch.column(1).to_pylist()] == blobs, True, "wide rows")
    finish(wire, session)
    return {"rows": 1_000_000, "wide_bytes": 16 * 2**20}


def many_topics(bench: Bench, wire: Wire) -> dict[str, int]:
    """A hundred uploads open at once on one connection, written in turns, as a ROS bag would be."""
    sequence = bench.name("many-topics")
    session = wire.sequence(sequence)
    count, rounds = 100, 5
    writers = [wire.writer(wire.topic(session, f"{sequence}/t{index}"), number_schema) for index in range(count)]
    for turn in range(rounds):
        for index, writer in enumerate(writers):
            writer.write_batch(number_batch(number_schema, [turn * 1000 + index], turn))
    for writer in writers:
        writer.close()
    finish(wire, session)
    for index in range(count):
        report.equal(
            pairs(wire.get(f"{sequence}/t{index}")[1]),
            [(turn * 1000 + index, turn) for turn in range(rounds)],
            f"rows of topic {index}",
        )
    report.equal(len(wire.info(sequence).endpoints), count, "endpoints of the sequence")
    return {"topics": count}


def actions(bench: Bench, wire: Wire) -> dict[str, Any]:
    """Shapes of answers that the SDKs parse strictly."""
    version, info = wire.action("version", {}), wire.action("info", {})
    for answer in (version, info):
        report.true({"version", "semver"} <= set(answer), f"keys of {answer}")
        report.true({"major", "minor", "patch"} <= set(answer["semver"]), f"semver of {answer}")
    for key in ("grpc_max_decode_message_size", "grpc_max_encode_message_size", "grpc_target_encode_message_size"):
        report.true(info["config"][key] >= 4 * 2**20, f"{key} in {info}")
    sequence = bench.name("actions")
    report.equal(
        wire.action("sequence_create", {"locator": f"/{sequence}", "user_metadata": {}}), None, "sequence_create"
    )
    session = wire.action("session_create", {"locator": sequence})
    report.equal(set(session), {"uuid", "locator"}, "keys of session_create for C")
    for probe, keys in (("A", {"uuid"}), ("B", {"uuid", "locator"})):
        with bench.wire(probe) as other:
            report.equal(
                set(other.action("session_create", {"locator": sequence})), keys, f"keys of session_create for {probe}"
            )
    topic = wire.action(
        "topic_create",
        {
            "session_uuid": session["uuid"],
            "locator": f"{sequence}/t",
            "serialization_format": "ragged",
            "ontology_tag": "",
            "user_metadata": {},
        },
    )
    report.equal(set(topic), {"uuid"}, "keys of topic_create")
    report.equal(wire.action("topic_delete", {"locator": f"{sequence}/t"}), None, "topic_delete")
    listed = [
        flight
        for flight in wire.client.list_flights(options=wire.options)
        if flight.descriptor.path == [sequence.encode()]
    ]
    report.equal(len(listed), 1, "the sequence among the flights")
    status = json.loads(wire.info(sequence).app_metadata)
    report.equal(len(status["sessions"]), 3, "sessions")
    for described_session in status["sessions"]:
        report.equal((described_session["locked"], described_session["topics"]), (False, []), "an open session")
        report.true({"uuid", "locator", "created_at_ns"} <= set(described_session), f"keys of {described_session}")
    wire.action("session_delete", {"locator": session["locator"]})
    wire.action("sequence_delete", {"locator": sequence})
    return {"version": version["version"], "decode": info["config"]["grpc_max_decode_message_size"]}


def checks(run: report.Report, bench: Bench) -> None:
    with bench.wire() as wire:
        run.run("rows: unsorted uploads", lambda: unsorted(bench, wire))
        run.run("rows: ends of int64", lambda: extremes(bench, wire))
        run.run("rows: what is told about a topic", lambda: described(bench, wire))
        run.run("rows: schema keys for 0.4 to 0.6", lambda: mosaico_keys(bench))
        run.run("rows: none", lambda: without_rows(bench, wire))
        run.run("rows: many", lambda: many_rows(bench, wire))
        run.run("rows: many topics at once", lambda: many_topics(bench, wire))
        run.run("rows: shapes of answers", lambda: actions(bench, wire))
