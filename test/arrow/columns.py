"""Columns of nested types: each way of nesting around each kind of content, with nulls, gaps and shared items."""

import random
from typing import Callable

import pyarrow as pa

Make = Callable[[random.Random, int], pa.Array]


def mask(rng: random.Random, rows: int) -> pa.Array:
    return pa.array([rng.random() < 0.2 for _ in range(rows)], pa.bool_())


def lengths(rng: random.Random, rows: int) -> list[int]:
    return [rng.choice([0, 0, 1, 2, 3, 5]) for _ in range(rows)]


def offsets(rng: random.Random, rows: int, kind: pa.DataType, gap: int) -> tuple[pa.Array, int]:
    """Offsets that begin behind `gap` items, and the number of items."""
    at = [gap]
    for length in lengths(rng, rows):
        at.append(at[-1] + length)
    return pa.array(at, kind), at[-1] + gap


def nullable(array: pa.Array, rng: random.Random) -> pa.Array:
    """The same with some rows null; the items of null rows stay."""
    valid = [not null.as_py() for null in mask(rng, len(array))]
    bits = pa.array(valid, pa.bool_()).buffers()[1]
    buffers = [bits, *array.buffers()[1 : 1 + own_buffers(array.type)]]
    children = [array.values] if hasattr(array, "values") else []
    return pa.Array.from_buffers(array.type, len(array), buffers, children=children)


def own_buffers(kind: pa.DataType) -> int:
    return 2 if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind) else 1


def list_of(inner: Make, large: bool) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        at, items = offsets(rng, rows, pa.int64() if large else pa.int32(), rng.choice([0, 2]))
        kind = pa.LargeListArray if large else pa.ListArray
        return nullable(kind.from_arrays(at, inner(rng, items)), rng)

    return make


def list_view_of(inner: Make, large: bool) -> Make:
    """Lists in any order that overlap, and items that no list has."""

    def make(rng: random.Random, rows: int) -> pa.Array:
        count = 2 * rows + 3
        width = pa.int64() if large else pa.int32()
        sizes = [min(length, count) for length in lengths(rng, rows)]
        starts = [rng.randint(0, count - size) for size in sizes]
        kind = pa.LargeListViewArray if large else pa.ListViewArray
        return nullable(kind.from_arrays(pa.array(starts, width), pa.array(sizes, width), inner(rng, count)), rng)

    return make


def fixed_list_of(inner: Make, size: int) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        return pa.FixedSizeListArray.from_arrays(inner(rng, rows * size), size, mask=mask(rng, rows))

    return make


def struct_of(inner: Make) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        numbers = pa.array([rng.randrange(100) for _ in range(rows)], pa.int16())
        return pa.StructArray.from_arrays(
            [inner(rng, rows), numbers, inner(rng, rows)], ["first", "number", "last"], mask=mask(rng, rows)
        )

    return make


def map_of(inner: Make) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        at, items = offsets(rng, rows, pa.int32(), 0)
        keys = pa.array([f"key {index}" for index in range(items)], pa.string())
        return pa.MapArray.from_arrays(at, keys, inner(rng, items))

    return make


def sparse_union_of(inner: Make) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        codes = pa.array([rng.choice([3, 9]) for _ in range(rows)], pa.int8())
        numbers = pa.array([rng.randrange(100) for _ in range(rows)], pa.int16())
        return pa.UnionArray.from_sparse(codes, [inner(rng, rows), numbers], ["inner", "number"], [3, 9])

    return make


def dense_union_of(inner: Make) -> Make:
    """Children have rows that no row of the union names."""

    def make(rng: random.Random, rows: int) -> pa.Array:
        used = {3: 1, 9: 0}
        codes, at = [], []
        for _ in range(rows):
            code = rng.choice([3, 9])
            codes.append(code)
            at.append(used[code])
            used[code] += rng.choice([1, 1, 2])
        children = [inner(rng, used[3] + 1), pa.array(range(used[9] + 1), pa.int16())]
        return pa.UnionArray.from_dense(
            pa.array(codes, pa.int8()), pa.array(at, pa.int32()), children, ["inner", "number"], [3, 9]
        )

    return make


def runs_of(inner: Make, ends: pa.DataType) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        at = sorted({rng.randint(1, rows) for _ in range(rows // 3)} | {rows}) if rows > 0 else []
        return pa.RunEndEncodedArray.from_arrays(pa.array(at, ends), inner(rng, len(at)))

    return make


def dictionary_of(inner: Make) -> Make:
    def make(rng: random.Random, rows: int) -> pa.Array:
        indices = [None if rng.random() < 0.2 else rng.randrange(7) for _ in range(rows)]
        return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int16()), inner(rng, 7))

    return make


wrappers: dict[str, Callable[[Make], Make]] = {
    "list": lambda inner: list_of(inner, False),
    "large_list": lambda inner: list_of(inner, True),
    "list_view": lambda inner: list_view_of(inner, False),
    "large_list_view": lambda inner: list_view_of(inner, True),
    "fixed_size_list": lambda inner: fixed_list_of(inner, 3),
    "struct": struct_of,
    "map": map_of,
    "sparse_union": sparse_union_of,
    "dense_union": dense_union_of,
    "run_end16": lambda inner: runs_of(inner, pa.int16()),
    "run_end32": lambda inner: runs_of(inner, pa.int32()),
    "run_end64": lambda inner: runs_of(inner, pa.int64()),
    "dictionary": dictionary_of,
}

contents = ["null", "bool", "int64", "string", "large_binary", "string_view", "fixed_size_binary[0]", "month_day_nano_interval"]


def nested(plain: dict[str, Make], rng: random.Random, deeper: int) -> dict[str, Make]:
    """Every wrapper around every content, every wrapper around every wrapper, and some that are deeper."""
    made: dict[str, Make] = {}
    for outer, wrap in wrappers.items():
        for content in contents:
            made[f"{outer}<{content}>"] = wrap(plain[content])
        for middle, inner_wrap in wrappers.items():
            content = rng.choice(contents)
            made[f"{outer}<{middle}<{content}>>"] = wrap(inner_wrap(plain[content]))
    for _ in range(deeper):
        content = rng.choice(contents)
        name, make = content, plain[content]
        for _ in range(rng.randint(3, 4)):
            outer = rng.choice(list(wrappers))
            name, make = f"{outer}<{name}>", wrappers[outer](make)
        made[name] = make
    return made
