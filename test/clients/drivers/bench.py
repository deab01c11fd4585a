"""What the checks with plain pyarrow.flight share: where the server is, names, batches, and the rows that are
expected.
"""

import random

import pyarrow as pa

import report
from same import same_array
from wire import Wire


class Bench:
    """The server under test, the seed, and names for what is made on it."""

    def __init__(self, host: str, port: int, api_key: str | None, seed: int) -> None:
        self.host, self.port, self.api_key, self.seed = host, port, api_key, seed

    def wire(self, probe: str = "C", deadline_seconds: float = 120) -> Wire:
        return Wire(self.host, self.port, api_key=self.api_key, probe=probe, deadline_seconds=deadline_seconds)

    def random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    def name(self, suffix: str) -> str:
        return f"flight-{suffix}-{self.seed}"


def batch_of(schema: pa.Schema, times: list[int], columns: list[pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(times, schema.field("timestamp_ns").type), *columns], schema=schema)


def table_schema(*fields: pa.Field, metadata: dict[bytes, bytes] | None = None) -> pa.Schema:
    return pa.schema([pa.field("timestamp_ns", pa.int64(), nullable=False), *fields], metadata=metadata)


def as_read(schema: pa.Schema) -> pa.Schema:
    """The schema as pyarrow itself reads it from the wire: it gives the children of a map its own names."""
    return pa.ipc.read_schema(pa.py_buffer(schema.serialize()))


Rows = list[tuple[int, pa.RecordBatch, int]]


def rows_of(batches: list[pa.RecordBatch]) -> Rows:
    """Time, batch and index of every row, as they stand."""
    found: Rows = []
    for batch in batches:
        times = batch.column(batch.schema.get_field_index("timestamp_ns")).to_pylist()
        found.extend((time, batch, index) for index, time in enumerate(times))
    return found


def in_order(batches: list[pa.RecordBatch], start: int | None = None, end: int | None = None) -> Rows:
    rows = [row for row in rows_of(batches) if (start is None or row[0] >= start) and (end is None or row[0] < end)]
    return sorted(rows, key=lambda row: row[0])


def same_rows(expected: Rows, actual: Rows, where: str) -> None:
    """Row by row, column by column, to the bit. Times are distinct, so their order is the order of the rows."""
    report.equal([row[0] for row in actual], [row[0] for row in expected], f"times of {where}")
    for (time, wanted, wanted_index), (_, got, got_index) in zip(expected, actual):
        for column, field in enumerate(wanted.schema):
            left, right = got.column(column).slice(got_index, 1), wanted.column(column).slice(wanted_index, 1)
            same_array(left, right, f"{where}, {field.name} at {time}")


def finish(wire: Wire, session: str) -> None:
    wire.action("session_finalize", {"session_uuid": session})


number_schema = table_schema(pa.field("n", pa.int64()))


def number_batch(schema: pa.Schema, times: list[int], first: int = 0) -> pa.RecordBatch:
    return batch_of(schema, times, [pa.array(range(first, first + len(times)), pa.int64())])


def pairs(batches: list[pa.RecordBatch]) -> list[tuple[int, int]]:
    return [pair for batch in batches for pair in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist())]
