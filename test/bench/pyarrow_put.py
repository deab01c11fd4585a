"""Puts one topic of float64 columns with plain pyarrow.flight: port, batches, rows per batch, columns beside the time.

Prints the seconds from the first message to the finalized session.
"""

import json
import sys
import time

import pyarrow as pa
import pyarrow.flight as flight

port, batches, rows, columns = (int(argument) for argument in sys.argv[1:])
client = flight.FlightClient(f"grpc://127.0.0.1:{port}")


def action(name: str, body: dict) -> dict:
    text = b"".join(r.body.to_pybytes() for r in client.do_action(flight.Action(name, json.dumps(body).encode())))
    return json.loads(text or b"{}").get("response") or {}


action("info", {})
action("sequence_create", {"locator": "bench", "user_metadata": {}})
session = action("session_create", {"locator": "bench"})["uuid"]
topic = {"session_uuid": session, "locator": "bench/t0", "ontology_tag": "load", "serialization_format": "default"}
uuid = action("topic_create", {**topic, "user_metadata": {}})["uuid"]

values = {f"value_{index}": pa.array([0.5 * row for row in range(rows)], pa.float64()) for index in range(columns)}
times = [pa.array(range(index * rows, (index + 1) * rows), pa.int64()) for index in range(min(batches, 4))]
schema = pa.schema([("timestamp_ns", pa.int64()), *((name, pa.float64()) for name in values)])
command = json.dumps({"resource_locator": "bench/t0", "topic_uuid": uuid})
started = time.perf_counter()
writer, _ = client.do_put(flight.FlightDescriptor.for_command(command), schema)
for index in range(batches):
    writer.write_batch(pa.record_batch([times[index % len(times)], *values.values()], schema=schema))
writer.close()
action("session_finalize", {"session_uuid": session})
print(time.perf_counter() - started)
