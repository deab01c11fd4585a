"""One random column of every Arrow type that pyarrow can make, with nulls where the type has them."""

import decimal
import random
from typing import Any, Callable

import pyarrow as pa

Make = Callable[[random.Random, int], pa.Array]


def maybe(rng: random.Random, value: Any) -> Any:
    return None if rng.random() < 0.2 else value


def integers(kind: pa.DataType) -> Make:
    """Also the ends of the range. For every type that is an integer underneath: dates, timestamps, durations."""

    def make(rng: random.Random, rows: int) -> pa.Array:
        bits = kind.bit_width
        low, high = (
            (0, 2**bits - 1) if pa.types.is_unsigned_integer(kind) else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        raw = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[bits]
        if pa.types.is_unsigned_integer(kind):
            raw = kind
        numbers = [maybe(rng, rng.choice([low, high, 0, 1, rng.randint(low, high)])) for _ in range(rows)]
        return pa.array(numbers, raw).view(kind)

    return make


def bounded(kind: pa.DataType, step: int, high: int) -> Make:
    """Times of day, and dates that are stored in milliseconds: multiples of `step` below `high`."""
    raw = {32: pa.int32(), 64: pa.int64()}[kind.bit_width]
    return lambda rng, rows: pa.array(
        [maybe(rng, rng.choice([0, high - step, step * rng.randrange(high // step)])) for _ in range(rows)], raw
    ).view(kind)


def floats(kind: pa.DataType) -> Make:
    """Every bit pattern: NaN with payloads, infinities, subnormals, both zeros."""

    def make(rng: random.Random, rows: int) -> pa.Array:
        bits = kind.bit_width
        raw = {16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[bits]
        quiet = {16: 0x7E01, 32: 0x7FC00001, 64: 0x7FF8000000000001}[bits]
        patterns = [0, 1, 1 << (bits - 1), quiet, quiet | 1 << (bits - 1), 2**bits - 1]
        return pa.array([maybe(rng, rng.choice([*patterns, rng.getrandbits(bits)])) for _ in range(rows)], raw).view(
            kind
        )

    return make


def decimals(kind: pa.DataType) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        with decimal.localcontext(decimal.Context(prec=100)):
            top = 10**kind.precision - 1
            numbers = [
                maybe(rng, decimal.Decimal(rng.choice([top, -top, 0, rng.randint(-top, top)])).scaleb(-kind.scale))
                for _ in range(rows)
            ]
            return pa.array(numbers, kind)

    return make


def texts(kind: pa.DataType) -> Make:
    words = ["", "a", "short", "exactly 12 b", "thirteen byte", "Zürich 東京 🚗", "x" * 5000]
    return lambda rng, rows: pa.array([maybe(rng, rng.choice(words)) for _ in range(rows)], kind)


def blobs(kind: pa.DataType) -> Make:
    return lambda rng, rows: pa.array(
        [maybe(rng, rng.randbytes(rng.choice([0, 1, 12, 13, 700]))) for _ in range(rows)], kind
    )


def fixed_blobs(size: int) -> Make:
    return lambda rng, rows: pa.array([maybe(rng, rng.randbytes(size)) for _ in range(rows)], pa.binary(size))


def booleans(rng: random.Random, rows: int) -> pa.Array:
    return pa.array([maybe(rng, rng.random() < 0.5) for _ in range(rows)])


def lists(kind: pa.DataType, value: Callable[[random.Random], Any], size: int | None = None) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        return pa.array(
            [maybe(rng, [value(rng) for _ in range(rng.randrange(5) if size is None else size)]) for _ in range(rows)],
            kind,
        )

    return make


def some_int(rng: random.Random) -> Any:
    return maybe(rng, rng.randint(-(2**31), 2**31 - 1))


def some_text(rng: random.Random) -> Any:
    return maybe(rng, rng.choice(["", "one", "zwei", "三", "a text longer than twelve bytes"]))


def structs(kind: pa.DataType) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        return pa.array(
            [
                maybe(rng, {"n": some_int(rng), "t": some_text(rng), "in": maybe(rng, {"deep": [some_int(rng)]})})
                for _ in range(rows)
            ],
            kind,
        )

    return make


def maps(kind: pa.DataType) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        return pa.array(
            [maybe(rng, [(f"key {index}", some_int(rng)) for index in range(rng.randrange(4))]) for _ in range(rows)],
            kind,
        )

    return make


def sparse_unions(rng: random.Random, rows: int) -> pa.Array:
    codes = pa.array([rng.choice([0, 1]) for _ in range(rows)], pa.int8())
    children = [
        pa.array([some_int(rng) for _ in range(rows)], pa.int32()),
        pa.array([some_text(rng) for _ in range(rows)], pa.string()),
    ]
    return pa.UnionArray.from_sparse(codes, children, ["number", "text"])


def dense_unions(rng: random.Random, rows: int) -> pa.Array:
    codes = [rng.choice([5, 7]) for _ in range(rows)]
    offsets, used = [], {5: 0, 7: 0}
    for code in codes:
        offsets.append(used[code])
        used[code] += 1
    children = [
        pa.array([some_int(rng) for _ in range(used[5])], pa.int32()),
        pa.array([some_text(rng) for _ in range(used[7])], pa.string()),
    ]
    return pa.UnionArray.from_dense(
        pa.array(codes, pa.int8()), pa.array(offsets, pa.int32()), children, ["number", "text"], [5, 7]
    )


def dictionaries(index: pa.DataType, values: list[Any], ordered: bool = False) -> Make:
    """A dictionary of its own per batch: another order, another length."""

    def make(rng: random.Random, rows: int) -> pa.Array:
        known = rng.sample(values, rng.randint(1, len(values)))
        indices = pa.array([maybe(rng, rng.randrange(len(known))) for _ in range(rows)], index)
        return pa.DictionaryArray.from_arrays(indices, pa.array(known), ordered=ordered)

    return make


def growing_dictionary() -> Make:
    """Each batch's dictionary starts with the one before: what pyarrow sends as a delta when asked to."""
    known: list[str] = []

    def make(rng: random.Random, rows: int) -> pa.Array:
        known.extend(f"word {len(known) + index}" for index in range(rng.randint(1, 4)))
        return pa.DictionaryArray.from_arrays(
            pa.array([maybe(rng, rng.randrange(len(known))) for _ in range(rows)], pa.int16()), pa.array(known)
        )

    return make


def listed_dictionaries(rng: random.Random, rows: int) -> pa.Array:
    """A dictionary inside a list inside a struct."""
    lengths = [rng.randrange(4) for _ in range(rows)]
    items = dictionaries(pa.int8(), ["red", "green", "blue"])(rng, sum(lengths))
    offsets = [sum(lengths[:index]) for index in range(rows + 1)]
    listed = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items)
    return pa.StructArray.from_arrays([listed, booleans(rng, rows)], ["colours", "lit"])


def runs(rng: random.Random, rows: int) -> pa.Array:
    if rows == 0:
        return pa.RunEndEncodedArray.from_arrays(
            pa.array([], pa.int32()), pa.array([], pa.string()), pa.run_end_encoded(pa.int32(), pa.string())
        )
    ends = sorted({rng.randint(1, rows) for _ in range(max(1, rows // 3))} | {rows})
    return pa.RunEndEncodedArray.from_arrays(
        pa.array(ends, pa.int32()), pa.array([some_text(rng) for _ in ends], pa.string())
    )


def month_intervals(rng: random.Random, rows: int) -> pa.Array:
    values = [
        maybe(rng, pa.MonthDayNano([rng.randint(-99, 99), rng.randint(-999, 999), rng.randint(-(2**62), 2**62)]))
        for _ in range(rows)
    ]
    return pa.array(values, pa.month_day_nano_interval())


def nothing(_: random.Random, rows: int) -> pa.Array:
    return pa.nulls(rows)


def extension(kind: pa.ExtensionType, storage: Make) -> Make:
    return lambda rng, rows: pa.ExtensionArray.from_storage(kind, storage(rng, rows))


struct_kind = pa.struct(
    [
        pa.field("n", pa.int32()),
        pa.field("t", pa.string()),
        pa.field("in", pa.struct([pa.field("deep", pa.list_(pa.int32()))])),
    ]
)
element = pa.field("element", pa.int32(), metadata={b"unit": b"mm"})
whole_numbers = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
moments = [pa.date32()]
moments += [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "Europe/Zurich")]
moments += [pa.duration(unit) for unit in ("s", "ms", "us", "ns")]
day_s = 86_400
of_day = [
    (pa.time32("s"), day_s),
    (pa.time32("ms"), day_s * 10**3),
    (pa.time64("us"), day_s * 10**6),
    (pa.time64("ns"), day_s * 10**9),
]
decimal_kinds = [
    pa.decimal32(9, 2),
    pa.decimal64(18, 0),
    pa.decimal128(38, 10),
    pa.decimal256(76, 40),
    pa.decimal256(76, 76),
]

columns: dict[str, Make] = {
    "null": nothing,
    "bool": booleans,
    **{str(kind): integers(kind) for kind in whole_numbers + moments},
    **{str(kind): bounded(kind, 1, high) for kind, high in of_day},
    "date64[ms]": bounded(pa.date64(), day_s * 10**3, day_s * 10**3 * 10**6),
    **{str(kind): floats(kind) for kind in (pa.float16(), pa.float32(), pa.float64())},
    **{str(kind): decimals(kind) for kind in decimal_kinds},
    **{str(kind): texts(kind) for kind in (pa.string(), pa.large_string(), pa.string_view())},
    **{str(kind): blobs(kind) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())},
    "fixed_size_binary[16]": fixed_blobs(16),
    "fixed_size_binary[0]": fixed_blobs(0),
    "list": lists(pa.list_(pa.int32()), some_int),
    "list, child named element": lists(pa.list_(element), some_int),
    "list, child not null": lists(
        pa.list_(pa.field("item", pa.int16(), nullable=False)), lambda rng: rng.randrange(100)
    ),
    "large_list": lists(pa.large_list(pa.string()), some_text),
    "list_view": lists(pa.list_view(pa.int32()), some_int),
    "large_list_view": lists(pa.large_list_view(pa.string()), some_text),
    "fixed_size_list": lists(pa.list_(pa.int32(), 3), some_int, 3),
    "fixed_size_list[0]": lists(pa.list_(pa.int32(), 0), some_int, 0),
    "list of lists of structs": lists(
        pa.list_(pa.list_(pa.struct([pa.field("s", pa.string_view())]))),
        lambda rng: maybe(rng, [maybe(rng, {"s": some_text(rng)}) for _ in range(2)]),
    ),
    "struct": structs(struct_kind),
    "struct without members": lambda rng, rows: pa.array([maybe(rng, {}) for _ in range(rows)], pa.struct([])),
    "map": maps(pa.map_(pa.string(), pa.int64())),
    "map, keys sorted": maps(pa.map_(pa.string(), pa.int64(), keys_sorted=True)),
    "map, own names": maps(
        pa.map_(pa.field("k", pa.string(), nullable=False), pa.field("v", pa.int64(), metadata={b"a": b"b"}))
    ),
    "sparse_union": sparse_unions,
    "dense_union": dense_unions,
    "dictionary": dictionaries(pa.int32(), ["north", "east", "south", "west"]),
    "dictionary, ordered, uint8": dictionaries(pa.uint8(), ["low", "mid", "high"], ordered=True),
    "dictionary of numbers": dictionaries(pa.int8(), [1.5, -0.0, 3e300]),
    "dictionary in list in struct": listed_dictionaries,
    "run_end_encoded": runs,
    "month_day_nano_interval": month_intervals,
    "extension uuid": extension(pa.uuid(), fixed_blobs(16)),
    "extension json": extension(pa.json_(), texts(pa.string())),
    "extension bool8": extension(pa.bool8(), integers(pa.int8())),
    "extension tensor": extension(
        pa.fixed_shape_tensor(pa.float32(), [2, 2]), lists(pa.list_(pa.float32(), 4), lambda rng: rng.random(), 4)
    ),
    "extension opaque": extension(pa.opaque(pa.binary(), "geometry", "somebody"), blobs(pa.binary())),
}
