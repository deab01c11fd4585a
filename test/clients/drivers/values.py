"""Random values for Arrow types, and the comparison of what was written with what came back.

Values are plain Python objects that pyarrow stores without loss in the given type: a float32 field gets a number
that is a float32, so equality after the round trip is exact, bit for bit, including NaN and the sign of zero.
"""

import math
import random
import struct as packing
from typing import Any, Iterator

import pyarrow as pa

types = pa.types
text_parts = [
    "",
    "a",
    "front_left",
    "Zürich",
    "日本",
    "🚗",
    '"quoted" \\ /',
    "line\nbreak",
    "ends with space ",
    "\u00e9\u0301",
]
special_floats = [math.nan, math.inf, -math.inf, -0.0, 0.0]
smallest_positive = {"halffloat": 2.0**-24, "float": 2.0**-149, "double": 5e-324}
largest = {"halffloat": 65504.0, "float": 3.4028234663852886e38, "double": 1.7976931348623157e308}


def narrow(value: float, kind: str) -> float:
    """`value` rounded to the nearest number that the Arrow type `kind` can hold."""
    if kind == "double":
        return value
    return packing.unpack(
        {"halffloat": "<e", "float": "<f"}[kind], packing.pack({"halffloat": "<e", "float": "<f"}[kind], value)
    )[0]


def bounds(kind: pa.DataType) -> tuple[int, int]:
    bits = kind.bit_width
    return (0, 2**bits - 1) if types.is_unsigned_integer(kind) else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def scalar(kind: pa.DataType, rng: random.Random, extreme: bool) -> Any:
    """One value of a type without children. `extreme` asks for the ends of its range and for the odd ones."""
    if types.is_boolean(kind):
        return rng.random() < 0.5
    if types.is_integer(kind):
        low, high = bounds(kind)
        return rng.choice([low, high, low + 1, high - 1]) if extreme else rng.randint(low, high)
    if types.is_floating(kind):
        name = str(kind)
        if extreme:
            return rng.choice([*special_floats, smallest_positive[name], largest[name], -largest[name]])
        return narrow(rng.uniform(-1000, 1000), name)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "" if extreme else "".join(rng.choice(text_parts) for _ in range(rng.randint(1, 4)))
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return b"" if extreme else rng.randbytes(rng.randint(1, 300))
    raise NotImplementedError(f"no random value for {kind}")


def list_length(kind: pa.DataType, rng: random.Random, extreme: bool) -> int:
    if types.is_fixed_size_list(kind):
        return kind.list_size
    return 0 if extreme else rng.randint(1, 5)


def is_list(kind: pa.DataType) -> bool:
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def plain(value: Any) -> Any:
    """`value` in the form in which two equal messages are `==`.

    Floats become their bytes (NaN equals NaN, 0.0 differs from -0.0); tuples and arrays become lists; a struct whose
    members are all null becomes None, because the SDKs cannot tell the two apart when reading.
    """
    if isinstance(value, float):
        return f"float {packing.pack('<d', value).hex()}" if not math.isnan(value) else "float nan"
    if isinstance(value, dict):
        members = {key: plain(member) for key, member in value.items()}
        return members if any(member is not None for member in members.values()) else None
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return value


def leaves(struct: pa.StructType, prefix: str = "") -> Iterator[tuple[str, pa.Field, bool]]:
    """Path, field and "may be null itself or through a parent" of every leaf; members of listed structs count as
    leaves too.
    """
    for field in struct:
        path = f"{prefix}{field.name}"
        inner = field.type
        while is_list(inner):
            inner = inner.value_type
        if types.is_struct(inner):
            yield from leaves(inner, f"{path}.")
        else:
            yield path, field, field.nullable
