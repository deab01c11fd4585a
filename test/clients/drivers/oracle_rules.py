"""What the query language means, said once more and independently of the server: one Python value after the other, for Python
compares integers and floats exactly, which pyarrow.compute does not.
"""

import fnmatch
import math
import re
from datetime import datetime, timezone
from typing import Any, Callable

import pyarrow as pa

Rows = list[bool]
Condition = tuple[str, Any]


class Table:
    """Rows of a topic as they are read back."""

    def __init__(self, locator: str, tag: str, batches: list[pa.RecordBatch], schema: pa.Schema) -> None:
        self.locator, self.tag, self.schema = locator, tag, schema
        self.table = pa.Table.from_batches(batches, schema)
        self.times: list[int] = self.table.column("timestamp_ns").to_pylist()
        self.columns: dict[str, tuple[pa.DataType, list[Any]] | None] = {}

    def column(self, path: str) -> tuple[pa.DataType, list[Any]] | None:
        """Type and values of a field, with null where a parent is null; None when there is none."""
        if path not in self.columns:
            self.columns[path] = self.read(path)
        return self.columns[path]

    def read(self, path: str) -> tuple[pa.DataType, list[Any]] | None:
        name, *steps = path.split(".")
        if name not in self.schema.names:
            return None
        kind = self.schema.field(name).type
        array = self.table.column(name)
        values = (array.cast(pa.int64()) if pa.types.is_timestamp(kind) else array).to_pylist()
        for step in steps:
            if not pa.types.is_struct(kind) or kind.get_field_index(step) < 0:
                return None
            kind = kind.field(step).type
            values = [None if value is None else value[step] for value in values]
        return (kind.value_type if pa.types.is_dictionary(kind) else kind), values


def order_of(kind: pa.DataType) -> str | None:
    """What values of a type can be compared with."""
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    if pa.types.is_timestamp(kind):
        return "time"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


def operand_for(order: str, operand: Any) -> Any:
    """The operand as a value of that order; None when it is none."""
    if isinstance(operand, bool):
        return operand if order == "boolean" else None
    if isinstance(operand, (int, float)):
        return operand if order in ("number", "time") else None
    if order == "time":
        return nanoseconds(operand)
    return operand if order == "text" else None


def nanoseconds(text: str) -> int | None:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z", text)
    if found is None:
        return None
    seconds = datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc).timestamp()
    return int(seconds) * 10**9 + int(found[2])


def like(pattern: str) -> re.Pattern[str]:
    """As of 0.4: anywhere in the text."""
    return re.compile(".*" + "".join({"%": ".*", "_": "."}.get(one, re.escape(one)) for one in pattern) + ".*", re.S)


def test_of(order: str | None, condition: Condition, style: str) -> Callable[[Any], bool]:
    """What a condition says of one value that is of an order, or of none."""
    operator, operand = condition
    if operator == "$ex":
        return lambda value: value is not None
    if operator == "$nex":
        return lambda value: value is None
    if order is None:
        return lambda _: False
    if operator == "$match":
        if order != "text":
            return lambda _: False
        pattern = like(operand) if style == "like" else re.compile(fnmatch.translate(operand))
        return lambda value: value is not None and pattern.fullmatch(value) is not None
    operands = [operand_for(order, one) for one in (operand if isinstance(operand, list) else [operand])]
    if operator == "$in":
        return lambda value: value is not None and any(one is not None and value == one for one in operands)
    if any(one is None for one in operands):
        return lambda _: False
    (a, *rest) = operands
    compare: Callable[[Any], bool] = {
        "$eq": lambda value: value == a,
        "$neq": lambda value: value != a,
        "$lt": lambda value: value < a,
        "$leq": lambda value: value <= a,
        "$gt": lambda value: value > a,
        "$geq": lambda value: value >= a,
        "$between": lambda value: a <= value <= rest[0],
        "$outside": lambda value: value < a or value > rest[0],
    }[operator]
    return lambda value: value is not None and compare(value)


def field_rows(table: Table, path: str, condition: Condition, style: str) -> Rows:
    """Rows that satisfy the condition on a field, or on items of a list: `path[i]`, `path[?]`, `path[!]`, `path[?].field`."""
    found = re.fullmatch(r"([^\[]+)(?:\[(\d+|\?|!)\](?:\.(.+))?)?", path)
    assert found is not None
    field, choice, item_field = found.groups()
    column = table.column(field)
    if column is None:
        return [False] * len(table.times)
    kind, values = column
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    operator, operand = condition
    if choice is None:
        if isinstance(operand, list) and operator in ("$eq", "$neq"):
            return list_rows(kind, values, condition) if is_list else [False] * len(values)
        test = test_of(order_of(kind), condition, style)
        return [test(value) for value in values]
    if not is_list:
        return [False] * len(values)
    kind = kind.value_type
    if item_field is not None:
        if not pa.types.is_struct(kind) or kind.get_field_index(item_field) < 0:
            return [False] * len(values)
        kind = kind.field(item_field).type
    test = test_of(order_of(kind), condition, style)

    def holds(items: list[Any] | None) -> bool:
        inner = [one if item_field is None or one is None else one[item_field] for one in items or []]
        if choice == "?":
            return any(test(one) for one in inner)
        if choice == "!":
            return len(inner) > 0 and all(test(one) for one in inner)
        return test(inner[int(choice)] if int(choice) < len(inner) else None)

    return [holds(items) for items in values]


def list_rows(kind: pa.DataType, values: list[Any], condition: Condition) -> Rows:
    """A whole list, item by item; with what its items cannot be compared with it is neither equal nor unequal."""
    operator, operand = condition
    order = order_of(kind.value_type)
    operands = [] if order is None else [operand_for(order, one) for one in operand]
    if any(one is None for one in operands) or (order is None and operand):
        return [False] * len(values)

    def same(items: list[Any]) -> bool:
        return len(items) == len(operands) and all(one is not None and one == other for one, other in zip(items, operands))

    return [items is not None and same(items) == (operator == "$eq") for items in values]


def within_rows(table: Table, area: dict[str, list[float]]) -> Rows:
    latitudes, longitudes = table.column("position.x"), table.column("position.y")
    assert latitudes is not None and longitudes is not None
    return [is_within(area, *place) for place in zip(latitudes[1], longitudes[1])]


def is_within(area: dict[str, list[float]], latitude: float | None, longitude: float | None) -> bool:
    if latitude is None or longitude is None or not abs(latitude) <= 90 or not math.isfinite(longitude):
        return False
    # Before anything is subtracted: of a longitude of 1e17 degrees nothing would be left of that.
    turned = math.remainder(longitude, 360) if abs(longitude) > 180 else longitude
    if "box" in area:
        south, west, north, east = area["box"]
        sames = {turned, 180.0, -180.0} if abs(turned) == 180 else {turned}
        inside = [west <= one <= east if west <= east else one >= west or one <= east for one in sames]
        return south <= latitude <= north and any(inside)
    center_latitude, center_longitude, radius = area["circle"]
    a, b = math.radians(center_latitude), math.radians(latitude)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(turned - center_longitude) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(min(1, math.sqrt(half))) <= radius


def norms_of(table: Table) -> list[float | None]:
    x, y = table.column("position.x"), table.column("position.y")
    assert x is not None and y is not None
    return [None if a is None or b is None else math.sqrt(a * a + b * b) for a, b in zip(x[1], y[1])]


def norm_rows(table: Table, condition: Condition) -> Rows:
    test = test_of("number", condition, "glob")
    return [test(value) for value in norms_of(table)]


def ranges_of(times: list[int], gap: int) -> list[list[int]]:
    """Times that are not farther apart than the gap, from first to last."""
    found: list[list[int]] = []
    for time in sorted(times):
        if found and time - found[-1][1] <= gap:
            found[-1][1] = time
        else:
            found.append([time, time])
    return found
