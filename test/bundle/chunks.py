"""Rows of the chunk files of an unpacked bundle, as pyarrow reads them: python chunks.py FOLDER, prints JSON by file."""

import json
import pathlib
import sys

import pyarrow as pa

folder = pathlib.Path(sys.argv[1])
rows = {}
for path in sorted(folder.glob("sessions/*/*/*.arrow")):
    table = pa.ipc.open_file(path).read_all()
    table.validate(full=True)
    rows[str(path.relative_to(folder))] = table.num_rows
print(json.dumps(rows))
