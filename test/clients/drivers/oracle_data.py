"""Random topics for the oracle: columns of many types, with nulls, NaN and other extremes, in batches whose values differ, so that
a skip index has something to skip.
"""

import random
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.flight as flight

from bench import batch_of, table_schema
from wire import Wire

first_ns = 1_700_000_000_000_000_000

part_type = pa.struct([pa.field("n", pa.int64()), pa.field("x", pa.float64())])
types: dict[str, pa.DataType] = {
    "i8": pa.int8(),
    "i64": pa.int64(),
    "u64": pa.uint64(),
    "f32": pa.float32(),
    "f64": pa.float64(),
    "flag": pa.bool_(),
    "text": pa.utf8(),
    "large": pa.large_utf8(),
    "word": pa.dictionary(pa.int32(), pa.utf8()),
    "at": pa.timestamp("ns"),
    "sub": pa.struct([pa.field("n", pa.int64()), pa.field("x", pa.float64()), pa.field("t", pa.utf8())]),
    "ints": pa.list_(pa.int64()),
    "reals": pa.large_list(pa.float64()),
    "words": pa.list_(pa.utf8()),
    "parts": pa.list_(part_type),
    "position": pa.struct([pa.field("x", pa.float64()), pa.field("y", pa.float64())]),
}
tags = {"alpha": 18, "beta": 12, "gps": 12}

integer_bounds = {"i8": (-(2**7), 2**7 - 1), "i64": (-(2**63), 2**63 - 1), "u64": (0, 2**64 - 1)}
edges = [0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]
float_edges = [float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 2.0**53, 5e-324, 1e308, 0.1]
texts = ["", "a", "A", "\u00e4", "\u65e5\u672c", "\U0001f6de", "\uffff", "a\nb", "x" * 90 + "1", "x" * 90 + "2"]


@dataclass
class Source:
    """A topic as it is uploaded."""

    locator: str
    tag: str
    schema: pa.Schema
    batches: list[pa.RecordBatch] = field(default_factory=list)
    stays_open: bool = False

    @property
    def rows(self) -> int:
        return sum(batch.num_rows for batch in self.batches)


class Maker:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def sources(self) -> list[Source]:
        found = []
        for tag, count in tags.items():
            for number in range(count):
                sequence = f"{self.rng.choice(['drive', 'lab'])}-{number}"
                bulky = tag == "beta" and number < 4
                source = self.source(f"{sequence}/{tag}", tag, bulky)
                source.stays_open = number == count - 1
                found.append(source)
        return found

    def source(self, locator: str, tag: str, bulky: bool) -> Source:
        rng = self.rng
        columns = {name: self.type_of(name) for name in types if name != "position" or tag == "gps"}
        chosen = {name: kind for name, kind in columns.items() if kind is not None}
        fields = [pa.field(name, kind) for name, kind in chosen.items()]
        schema = table_schema(*fields, *([pa.field("pad", pa.binary())] if bulky else []))
        makers = {name: Column(rng, kind) for name, kind in chosen.items()}
        source = Source(locator, tag, schema)
        ordered = rng.random() < 0.6
        at = first_ns + rng.randrange(1000)
        for _ in range(8 if bulky else rng.randint(1, 10)):
            rows = rng.randint(20, 40) if bulky else rng.randint(1, 40)
            times = [at + 10 * row for row in range(rows)]
            at = times[-1] + 10 if ordered or rng.random() < 0.5 else times[rows // 2] + 3
            if not ordered:
                rng.shuffle(times)
            arrays = [maker.batch(rows) for maker in makers.values()]
            if bulky:
                arrays.append(pa.array([rng.randbytes(300_000 // rows)] * rows, pa.binary()))
            source.batches.append(batch_of(schema, times, arrays))
        return source

    def type_of(self, name: str) -> pa.DataType | None:
        """Sometimes another one, or none, as topics of one tag may have."""
        if self.rng.random() >= 0.1 or name == "position":
            return types[name]
        return self.rng.choice([None, pa.int64(), pa.float64(), pa.utf8(), pa.bool_(), pa.list_(pa.float64())])


class Column:
    """Values of one column: around a level that moves from batch to batch, with extremes between."""

    def __init__(self, rng: random.Random, kind: pa.DataType) -> None:
        self.rng, self.kind = rng, kind
        self.nulls = rng.choice([0, 0, 0.1, 0.5, 1])
        self.extremes = rng.choice([0, 0, 0.1, 0.6, 1])
        self.float_edges = rng.sample(float_edges, rng.randint(1, 3))
        self.level, self.step = rng.randint(-100, 100), rng.choice([0, 1, 20])
        self.few = rng.sample(["on", "off", "idle", "error", *texts], 3)
        self.many = rng.random() < 0.5

    def batch(self, rows: int) -> pa.Array:
        self.level += self.step
        if pa.types.is_dictionary(self.kind):
            return pa.array([self.value(pa.utf8()) for _ in range(rows)], pa.utf8()).dictionary_encode()
        return pa.array([self.value(self.kind) for _ in range(rows)], self.kind)

    def value(self, kind: pa.DataType) -> object:
        rng = self.rng
        if rng.random() < self.nulls:
            return None
        extreme = rng.random() < self.extremes
        if pa.types.is_boolean(kind):
            return rng.random() < 0.5 if self.many else self.step == 0
        if pa.types.is_timestamp(kind):
            return first_ns + 1000 * (self.level + rng.randint(-20, 20)) + rng.randint(0, 2)
        if pa.types.is_integer(kind):
            least, most = integer_bounds[{"int8": "i8", "uint64": "u64"}.get(str(kind), "i64")]
            value = rng.choice(edges) if extreme else self.level + rng.randint(-20, 20)
            return min(max(value, least), most)
        if pa.types.is_floating(kind):
            return rng.choice(self.float_edges) if extreme else self.level + rng.randint(-80, 80) / 4
        if pa.types.is_struct(kind):
            return {one.name: self.value(one.type) for one in kind}
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return [self.value(kind.value_type) for _ in range(rng.choice([0, 1, 2, 3]))]
        if extreme:
            return rng.choice(texts)
        return f"t{self.level + rng.randint(0, 40):06d}" if self.many else rng.choice(self.few)


def upload(wire: Wire, sources: list[Source]) -> list[flight.FlightStreamWriter]:
    """All topics; sessions are finalized but for those of a topic that goes on. The writers of these, which are to be kept."""
    sequences: dict[str, list[Source]] = {}
    for source in sources:
        sequences.setdefault(source.locator.split("/")[0], []).append(source)
    kept = []
    for name, own in sequences.items():
        session = wire.sequence(name)
        for source in own:
            command = wire.topic(session, source.locator, source.tag)
            writer = wire.writer(command, source.schema)
            for batch in source.batches:
                writer.write_batch(batch)
            if source.stays_open:
                kept.append(writer)
            else:
                writer.close()
        if not any(source.stays_open for source in own):
            wire.action("session_finalize", {"session_uuid": session})
    return kept
