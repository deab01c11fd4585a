"""Makes IPC streams of every Arrow type for gather.test.ts, and checks what it made of them.

python golden.py DIR make SEED    writes DIR/sources.bin and DIR/sources.json
python golden.py DIR check        reads DIR/results.bin and DIR/results.json, prints a JSON line of what is wrong
"""

import io
import json
import pathlib
import random
import sys
from typing import Any

import pyarrow as pa

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "clients" / "drivers"))
import arrow_types  # noqa: E402
import columns  # noqa: E402

types = pa.types
compressions = {"none": None, "lz4": "lz4", "zstd": "zstd"}


def has_dictionary(kind: pa.DataType) -> bool:
    if types.is_dictionary(kind):
        return True
    if isinstance(kind, pa.BaseExtensionType):
        return has_dictionary(kind.storage_type)
    if types.is_run_end_encoded(kind):
        return has_dictionary(kind.value_type)
    return any(has_dictionary(kind.field(index).type) for index in range(kind.num_fields))


def batches(make: columns.Make, rng: random.Random, compression: str | None) -> bytes:
    """Four batches of one column: one without rows, two cut out of larger ones. Dictionaries are the same in all."""
    sizes = [rng.randint(9, 20), 0, rng.randint(1, 9), rng.randint(20, 40)]
    whole = make(rng, sum(sizes) + 9)
    schema = pa.schema([pa.field("timestamp_ns", pa.int64(), False), pa.field("value", whole.type)])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        at = 5
        for number, size in enumerate(sizes):
            cut = has_dictionary(whole.type) or number % 2 == 0
            column = whole.slice(at, size) if cut else make(rng, size)
            writer.write_batch(pa.record_batch([pa.array(range(at, at + size), pa.int64()), column], schema=schema))
            at += size
    return sink.getvalue()


def make(folder: pathlib.Path, seed: int) -> None:
    rng = random.Random(seed)
    plain = {**arrow_types.columns}
    # Also with no rows a column of booleans.
    plain["bool"] = lambda rng, rows: pa.array([rng.choice([True, False, None]) for _ in range(rows)], pa.bool_())
    made = {**plain, **columns.nested(plain, rng, 40)}
    listed: list[dict[str, Any]] = []
    unable: dict[str, str] = {}
    with open(folder / "sources.bin", "wb") as file:
        for name, column in made.items():
            for compression, codec in compressions.items():
                # Compression is by buffer: what is nested shows nothing new, but for one content in each wrapper.
                if codec is not None and "<" in name and not name.endswith("<string>"):
                    continue
                try:
                    stream = batches(column, random.Random(f"{seed} {name}"), codec)
                    for batch in pa.ipc.open_stream(stream):
                        batch.validate(full=True)
                except (pa.ArrowException, OSError) as error:  # pyarrow cannot make or send it
                    unable[name] = str(error).splitlines()[0]
                    continue
                listed.append(
                    {"name": name, "compression": compression, "start": file.tell(), "bytes": len(stream)}
                )
                file.write(stream)
    (folder / "sources.json").write_text(json.dumps({"sources": listed, "unable": unable}))


def canonical(array: pa.Array) -> list[Any]:
    """The values of an array without offset, to the bit."""
    kind = array.type
    assert array.offset == 0
    if types.is_null(kind) or len(array) == 0:
        return [None] * len(array)
    if isinstance(kind, pa.BaseExtensionType):
        return canonical(array.storage)
    if types.is_union(kind):
        children = [canonical(array.field(index)) for index in range(kind.num_fields)]
        number = {code: index for index, code in enumerate(kind.type_codes)}
        codes = array.type_codes.to_pylist()
        rows = array.offsets.to_pylist() if kind.mode == "dense" else range(len(array))
        return [(code, children[number[code]][row]) for code, row in zip(codes, rows)]
    if types.is_run_end_encoded(kind):
        values = canonical(array.values)
        expanded: list[Any] = []
        for end, value in zip(array.run_ends.to_pylist(), values):
            expanded.extend([value] * (min(end, len(array)) - len(expanded)))
        return expanded
    if types.is_dictionary(kind):  # not by is_valid: that crashes when the dictionary is of nulls
        words = canonical(array.dictionary)
        return [None if index is None else words[index] for index in array.indices.to_pylist()]
    valid = array.is_valid().to_pylist()
    return [value if ok else None for ok, value in zip(valid, present(array))]


def present(array: pa.Array) -> list[Any]:
    """The values where they are not null; anything where they are."""
    kind = array.type
    if types.is_struct(kind):
        children = [canonical(array.field(index)) for index in range(kind.num_fields)]
        return list(zip(*children)) if children else [()] * len(array)
    if types.is_map(kind):
        items = list(zip(canonical(array.keys), canonical(array.items)))
        return spans(items, array.offsets.to_pylist())
    if types.is_fixed_size_list(kind):
        items, size = canonical(array.values), kind.list_size
        return [items[row * size : (row + 1) * size] for row in range(len(array))]
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        items = canonical(array.values)
        return [
            items[start : start + size]
            for start, size in zip(array.offsets.to_pylist(), array.sizes.to_pylist())
        ]
    if types.is_list(kind) or types.is_large_list(kind):
        return spans(canonical(array.values), array.offsets.to_pylist())
    if types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind):
        return array.to_pylist()
    if types.is_large_binary(kind) or types.is_string_view(kind) or types.is_binary_view(kind):
        return array.to_pylist()
    width = kind.bit_width // 8
    if width == 0:
        return [b""] * len(array)
    data = bytes(array.buffers()[1]) if len(array) > 0 else b""
    return [data[row * width : (row + 1) * width] for row in range(len(array))]


def spans(items: list[Any], at: list[int]) -> list[list[Any]]:
    return [items[start:end] for start, end in zip(at, at[1:])]


def check(folder: pathlib.Path) -> None:
    listed = json.loads((folder / "results.json").read_text())
    sources = (folder / "sources.bin").read_bytes()
    results = (folder / "results.bin").read_bytes()
    wrong: list[str] = []
    rows = 0
    for entry in listed:
        source, result = entry["source"], entry["result"]
        reader = pa.ipc.open_stream(sources[source["start"] : source["start"] + source["bytes"]])
        found = pa.ipc.open_stream(results[result["start"] : result["start"] + result["bytes"]])
        name = f"{source['name']} {source['compression']}"
        try:
            given = list(reader)
            if not found.schema.equals(reader.schema, check_metadata=True):
                raise ValueError(f"schema {found.schema}")
            got = list(found)
            if len(got) != len(entry["jobs"]):
                raise ValueError(f"{len(got)} batches of {len(entry['jobs'])}")
            whole = [[canonical(one.column(index)) for one in given] for index in range(2)]
            for job, batch in zip(entry["jobs"], got):
                batch.validate(full=True)
                for index, field in enumerate(reader.schema):
                    wanted = [
                        value
                        for run in job["runs"]
                        for value in whole[index][run["source"]][run["start"] : run["start"] + run["length"]]
                    ]
                    values = canonical(batch.column(index))
                    rows += len(values)
                    same_values(values, wanted, f"{job['kind']}: {field.name}")
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}: {str(error)[:400]}")
    print(json.dumps({"entries": len(listed), "values": rows, "wrong": wrong}))


def same_values(values: list[Any], wanted: list[Any], where: str) -> None:
    if values == wanted:
        return
    for row, (left, right) in enumerate(zip(values, wanted)):
        if left != right:
            raise ValueError(f"{where}[{row}] is {left!r:.100}, expected {right!r:.100}")
    raise ValueError(f"{where} has {len(values)} rows, expected {len(wanted)}")


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    if sys.argv[2] == "make":
        make(folder, int(sys.argv[3]))
    else:
        check(folder)
