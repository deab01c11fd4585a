"""Uploads with dictionaries in every way that a client may send them, read back by do_get and out of the chunk files.

dictionaries.py PORT DATA_DIR SEED: prints a JSON object, case -> [chunks, batches]; fails when a value differs.
"""

import glob
import json
import random
import sys

import pyarrow as pa
import pyarrow.flight as flight

port, data_dir, seed = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
chance = random.Random(seed)
client = flight.FlightClient(f"grpc://127.0.0.1:{port}")


def action(name: str, body: dict) -> dict:
    text = b"".join(r.body.to_pybytes() for r in client.do_action(flight.Action(name, json.dumps(body).encode())))
    return json.loads(text or b"{}").get("response") or {}


def word(number: int) -> str:
    return f"wort-{number}-äöü"


def encoded(values: list, categories: list, value_type: pa.DataType, index_type: pa.DataType, ordered: bool) -> pa.DictionaryArray:
    places = {category: index for index, category in enumerate(categories)}
    indices = pa.array([None if value is None else places[value] for value in values], index_type)
    return pa.DictionaryArray.from_arrays(indices, pa.array(categories, value_type), ordered=ordered)


def batches(kind: str, value_type: pa.DataType, index_type: pa.DataType, make, count: int = 12, rows: int = 40, ordered: bool = False):
    """`kind` says how the categories go from batch to batch."""
    pool = [make(number) for number in range(60)]
    categories = pool[:5]
    for index in range(count):
        if kind == "grows":
            categories = pool[: 5 + 2 * index]
        elif kind == "replaced":
            categories = chance.sample(pool, 6)
        elif kind == "alternates":
            categories = pool[:5] if index % 2 == 0 else pool[5:9]
        values = [chance.choice([*categories, None]) for _ in range(rows)]
        column = encoded(values, categories, value_type, index_type, ordered)
        nested = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), column)
        # In the order of time, or each row of a batch between two of the one before.
        step = 1 if kind != "interleaved" else count
        start = index * rows if kind != "interleaved" else index
        times = pa.array([start + step * row for row in range(rows)], pa.int64())
        yield pa.record_batch([times, column, nested], names=["timestamp_ns", "value", "values"]), values
        if kind == "interleaved":
            categories = chance.sample(pool, 6)


action("info", {})
action("sequence_create", {"locator": "dictionaries", "user_metadata": {}})
session = action("session_create", {"locator": "dictionaries"})["uuid"]
report = {}
kinds = ["same", "grows", "replaced", "alternates", "interleaved"]
value_types = {
    "utf8": (pa.string(), word),
    "large_utf8": (pa.large_string(), word),
    "binary": (pa.binary(), lambda number: word(number).encode()),
    "int64": (pa.int64(), lambda number: number * 2**55 + 1),
    "float64": (pa.float64(), lambda number: number / 7),
    "fixed": (pa.binary(4), lambda number: number.to_bytes(4, "big")),
}
index_types = {"int8": pa.int8(), "uint16": pa.uint16(), "uint8": pa.uint8(), "int64": pa.int64()}
index_widths = {**index_types, "int32": pa.int32()}
cases = [(kind, name, "int32", deltas, None) for kind in kinds for name in value_types for deltas in (False, True)]
cases += [(kind, "utf8", name, False, None) for kind in kinds for name in index_types]
cases += [(kind, "utf8", "int32", False, "ordered") for kind in ("replaced", "interleaved")]
cases += [(kind, "utf8", "int32", False, codec) for kind in kinds for codec in ("lz4", "zstd")]
topics = {}
for case in cases:
    kind, value_name, index_name, deltas, codec = case
    value_type, make = value_types[value_name]
    ordered, codec = codec == "ordered", None if codec == "ordered" else codec
    sent = list(batches(kind, value_type, index_widths[index_name], make, ordered=ordered))
    locator = f"dictionaries/{kind}/{value_name}/{index_name}/{'deltas' if deltas else 'ordered' if ordered else codec or 'plain'}"
    body = {"session_uuid": session, "locator": locator, "ontology_tag": "t", "serialization_format": "default"}
    uuid = action("topic_create", {**body, "user_metadata": {}})["uuid"]
    command = json.dumps({"resource_locator": locator, "topic_uuid": uuid})
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=deltas, compression=codec)
    writer, _ = client.do_put(
        flight.FlightDescriptor.for_command(command), sent[0][0].schema, flight.FlightCallOptions(write_options=options)
    )
    for batch, _values in sent:
        writer.write_batch(batch)
    writer.close()
    rows = sorted(zip([t for b, _ in sent for t in b.column(0).to_pylist()], [v for _, vs in sent for v in vs]))
    topics[locator] = rows
action("session_finalize", {"session_uuid": session})


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with values instead of dictionaries."""
    time, value, values = batch.columns
    return pa.record_batch(
        [time, value.cast(value.type.value_type), values.cast(pa.list_(values.type.value_type.value_type))],
        names=batch.schema.names,
    )


def open_batches(file: str) -> list[pa.RecordBatch]:
    reader = pa.ipc.open_file(file)
    return [reader.get_batch(index) for index in range(reader.num_record_batches)]


def check(table: pa.Table, rows: list, what: str) -> None:
    assert table.column("timestamp_ns").to_pylist() == [time for time, _ in rows], f"{what}: times"
    values = [value for _, value in rows]
    assert table.column("value").to_pylist() == values, f"{what}: values"
    assert table.column("values").to_pylist() == [[value] for value in values], f"{what}: nested values"


paths = {}
for document in glob.glob(f"{data_dir}/sessions/*/*/topic.json"):
    paths[json.load(open(document))["locator"]] = document.removesuffix("topic.json")
for locator, rows in topics.items():
    command = json.dumps({"resource_locator": locator})
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command))
    # One by one: read_all would unite the dictionaries of the batches by itself.
    chunks = [plain(chunk.data) for chunk in client.do_get(info.endpoints[0].ticket)]
    check(pa.Table.from_batches(chunks), rows, locator)
    files = sorted(glob.glob(f"{paths[locator]}*.arrow"))
    stored = [plain(batch) for file in files for batch in open_batches(file)]
    check(pa.Table.from_batches(stored).sort_by("timestamp_ns"), rows, f"{locator}, out of its files")
    report[locator.removeprefix("dictionaries/")] = [len(files), len(chunks)]
print(json.dumps(report))
