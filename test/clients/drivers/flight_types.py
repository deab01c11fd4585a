"""Checks: every Arrow type comes back to the bit, whatever the order and the compression of its upload."""

import random
from typing import Any

import pyarrow as pa

import arrow_types
import report
from bench import Bench, as_read, batch_of, finish, in_order, rows_of, same_rows, table_schema
from wire import Wire, own_metadata

ipc_options = {
    "plain": lambda: None,
    "lz4": lambda: pa.ipc.IpcWriteOptions(compression="lz4"),
    "zstd": lambda: pa.ipc.IpcWriteOptions(compression="zstd"),
    "deltas": lambda: pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True),
}


def batches_for(
    make: arrow_types.Make, field: pa.Field, rng: random.Random, ordered: bool
) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """Five batches of one column and a row number: one of them without rows, one cut out of a larger one."""
    schema = table_schema(field, pa.field("row", pa.uint32()))
    sizes = [rng.randint(3, 9), 0, rng.randint(3, 9), 1, rng.randint(5, 12)]
    times = rng.sample(range(-1000, 1000), sum(sizes))
    times = sorted(times) if ordered else times
    batches, first = [], 0
    for number, size in enumerate(sizes):
        chosen, before, after = times[first : first + size], 0, 0
        if number == 2:  # a slice: buffers with rows before and after it, bits that do not start at a byte
            before, after = 3, 2
        column = make(rng, before + size + after).slice(before, size)
        batches.append(batch_of(schema, chosen, [column, pa.array(range(first, first + size), pa.uint32())]))
        first += size
    return schema, batches


def arrow_type(
    bench: Bench, wire: Wire, session: str, number: int, name: str, make: arrow_types.Make
) -> dict[str, Any]:
    kind = make(bench.random(name), 3).type
    field = pa.field("value", kind, metadata={b"description": "Größe".encode(), b"raw": b"\xff\x00\xfe"})
    rows = 0
    for option, ipc in ipc_options.items():
        for ordered in (True, False):
            locator = f"{bench.name('types')}/t{number}/{option}/{'sorted' if ordered else 'unsorted'}"
            schema, batches = batches_for(make, field, bench.random(f"{name} {option} {ordered}"), ordered)
            wire.put(wire.topic(session, locator), schema, batches, ipc())
            where = f"{name}, {option}, {'sorted' if ordered else 'unsorted'}"
            schema = as_read(schema)
            for start, end in ((None, None), (-300, 400), (None, 0), (0, None)):
                got_schema, got = wire.get(locator, start, end)
                report.true(
                    own_metadata(got_schema).equals(schema, check_metadata=True), f"schema of {where}: {got_schema}"
                )
                wanted = in_order(batches, start, end)
                same_rows(wanted, rows_of(got), f"{where} in [{start}, {end})")
                if (start, end) != (None, None):
                    told = wire.topic_metadata(locator, start, end)["time_window_info"]
                    interval = {"start_ns": wanted[0][0], "end_ns": wanted[-1][0]} if wanted else None
                    report.equal(
                        (told["row_count"], told.get("interval")),
                        (len(wanted), interval),
                        f"rows told of {where} in [{start}, {end})",
                    )
            report.true(own_metadata(wire.schema(locator)).equals(schema, check_metadata=True), f"GetSchema of {where}")
            report.true(
                own_metadata(wire.info(locator).schema).equals(schema, check_metadata=True),
                f"GetFlightInfo schema of {where}",
            )
            rows += sum(batch.num_rows for batch in batches)
    return {"type": str(kind), "rows": rows}


def checks(run: report.Report, bench: Bench) -> None:
    with bench.wire() as wire:
        session = wire.sequence(bench.name("types"))
        for number, (name, make) in enumerate(arrow_types.columns.items()):
            run.run(f"arrow: {name}", lambda: arrow_type(bench, wire, session, number, name, make))
        run.run("arrow: dictionary that grows by deltas", lambda: growing(bench, wire, session))
        run.run("arrow: all types in one topic", lambda: everything(bench, wire, session))
        run.run("arrow: session finalized", lambda: finish(wire, session))


def growing(bench: Bench, wire: Wire, session: str) -> dict[str, int]:
    """Delta dictionaries: every batch adds words; and the same sent as replacements."""
    schema = table_schema(
        pa.field("word", pa.dictionary(pa.int16(), pa.string())),
        pa.field("colour", pa.dictionary(pa.int8(), pa.string())),
    )
    for option in ("deltas", "plain"):
        rng = bench.random(f"growing {option}")
        word, colour = arrow_types.growing_dictionary(), arrow_types.dictionaries(pa.int8(), ["red", "green", "blue"])
        batches = [
            batch_of(schema, list(range(start, start + 10)), [word(rng, 10), colour(rng, 10)])
            for start in range(0, 300, 10)
        ]
        locator = f"{bench.name('types')}/growing/{option}"
        wire.put(wire.topic(session, locator), schema, batches, ipc_options[option]())
        for start, end in ((None, None), (95, 215)):
            got_schema, got = wire.get(locator, start, end)
            report.true(own_metadata(got_schema).equals(schema, check_metadata=True), f"schema: {got_schema}")
            same_rows(in_order(batches, start, end), rows_of(got), f"growing, {option}, [{start}, {end})")
    return {"batches": len(batches)}


def everything(bench: Bench, wire: Wire, session: str) -> dict[str, int]:
    """A schema of all types at once, columns in random order, with metadata of its own on schema and fields."""
    rng = bench.random("everything")
    makes = list(arrow_types.columns.items())
    rng.shuffle(makes)
    fields = [
        pa.field(name, make(rng, 2).type, metadata={b"n": str(index).encode()})
        for index, (name, make) in enumerate(makes)
    ]
    metadata = {
        b"author": "Ä".encode(),
        b"\xff\xfe": b"\x80\x81",
        b"empty": b"",
        b"": b"empty key",
        b"long": b"x" * 50_000,
    }
    schema = table_schema(*fields, metadata=metadata)
    times = rng.sample(range(10_000), 60)
    batches = [
        batch_of(schema, times[start : start + 20], [make(rng, 20) for _, make in makes]) for start in (0, 20, 40)
    ]
    locator = f"{bench.name('types')}/everything"
    wire.put(wire.topic(session, locator), schema, batches)
    got_schema, got = wire.get(locator)
    report.true(own_metadata(got_schema).equals(as_read(schema), check_metadata=True), f"schema: {got_schema}")
    same_rows(in_order(batches), rows_of(got), "all types")
    return {"columns": len(fields)}
