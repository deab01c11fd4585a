"""What pyarrow reads in the files that file.test.ts wrote: python files.py DIR, prints JSON."""

import json
import pathlib
import sys
from typing import Any

import pyarrow as pa


def schema_of(schema: pa.Schema) -> dict[str, Any]:
    return {
        "fields": [[field.name, str(field.type), field.nullable, pairs(field.metadata)] for field in schema],
        "metadata": pairs(schema.metadata),
    }


def pairs(metadata: dict[bytes, bytes] | None) -> list[list[str]]:
    return [[key.hex(), value.hex()] for key, value in (metadata or {}).items()]


def chunk(path: pathlib.Path) -> dict[str, Any]:
    reader = pa.ipc.open_file(path)
    batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
    for batch in batches:
        batch.validate(full=True)
    return {
        "schema": schema_of(reader.schema),
        "footer": pairs(reader.metadata),
        "rows": [batch.to_pylist() for batch in batches],
    }


folder = pathlib.Path(sys.argv[1])
result = {
    "chunks": {path.stem: chunk(path) for path in sorted(folder.glob("*.arrow"))},
    "schemas": {path.stem: schema_of(pa.ipc.read_schema(pa.py_buffer(path.read_bytes()))) for path in sorted(folder.glob("*.schema"))},
}
print(json.dumps(result))
