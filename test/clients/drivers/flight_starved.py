"""Checks: more streams than the server's memory holds messages. Everybody has to come through, in whatever order
they are read.

To be run against a server with the smallest memory budget; a stream that is never served shows as a deadline.
"""

import random
from typing import Any

import pyarrow as pa
import pyarrow.flight as fl

import report
from bench import Bench, batch_of, finish, table_schema
from parallel_work import together
from wire import Wire

deadline_seconds = 30
topic_count, batch_count, rows_per_batch, row_bytes = 12, 3, 4, 1536 * 1024
schema = table_schema(pa.field("b", pa.binary()))


def batches(seed: int, ordered: bool) -> list[pa.RecordBatch]:
    """Batches of 6 MiB, more than the 4 MiB that pyarrow lets the server send unread; not `ordered`: each covers
    the whole time, so that reading has to merge all.
    """
    rng = random.Random(seed)
    made = []
    for number in range(batch_count):
        times = [
            row * batch_count + number if not ordered else number * rows_per_batch + row
            for row in range(rows_per_batch)
        ]
        made.append(batch_of(schema, times, [pa.array([rng.randbytes(row_bytes) for _ in times])]))
    return made


def upload(bench: Bench, sequence: str, ordered: bool) -> dict[str, Any]:
    """All topics at once, each by a thread of its own, over one connection."""
    with bench.wire(deadline_seconds=deadline_seconds) as wire:
        session = wire.sequence(sequence)
        commands = [wire.topic(session, f"{sequence}/t{index}") for index in range(topic_count)]
        together(
            *[
                lambda index=index: wire.put(commands[index], schema, batches(index, ordered))
                for index in range(topic_count)
            ]
        )
        finish(wire, session)
    return {"bytes": topic_count * batch_count * rows_per_batch * row_bytes}


def content(parts: list[pa.RecordBatch]) -> list[tuple[int, bytes]]:
    return sorted(pair for part in parts for pair in zip(part.column(0).to_pylist(), part.column(1).to_pylist()))


def streams(wire: Wire, sequence: str) -> list[fl.FlightStreamReader]:
    """All topics opened at once, as the SDKs do it to read a sequence."""
    return [wire.open(f"{sequence}/t{index}") for index in range(topic_count)]


def last_first(bench: Bench, sequence: str, ordered: bool) -> None:
    """The stream that was opened last is read to its end first; the first ones wait with a message in their hands."""
    with bench.wire(deadline_seconds=deadline_seconds) as wire:
        opened = streams(wire, sequence)
        for index in reversed(range(topic_count)):
            got = opened[index].read_all()
            report.equal(
                got.column("timestamp_ns").to_pylist(), list(range(batch_count * rows_per_batch)), f"times of t{index}"
            )
            report.true(content(got.to_batches()) == content(batches(index, ordered)), f"content of t{index}")


def in_turns(bench: Bench, sequence: str, ordered: bool) -> None:
    """One message of each stream, then the streams to their ends in random order: how a merge by time reads."""
    with bench.wire(deadline_seconds=deadline_seconds) as wire:
        opened = streams(wire, sequence)
        firsts = [stream.read_chunk().data for stream in opened]
        order = list(range(topic_count))
        bench.random("turns").shuffle(order)
        for index in order:
            got = [firsts[index], *opened[index].read_all().to_batches()]
            report.true(content(got) == content(batches(index, ordered)), f"content of t{index}")


def checks(run: report.Report, bench: Bench) -> None:
    for ordered in (True, False):
        kind = "sorted" if ordered else "merged"
        sequence = bench.name(f"starved-{kind}")
        if run.run(f"starved: uploads, {kind}", lambda: upload(bench, sequence, ordered)):
            run.run(f"starved: last stream first, {kind}", lambda: last_first(bench, sequence, ordered))
            run.run(f"starved: in turns, {kind}", lambda: in_turns(bench, sequence, ordered))
