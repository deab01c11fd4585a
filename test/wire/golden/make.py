"""Makes flight.json beside it: bytes as pyarrow 26 writes them. Run by hand when a case is added: python make.py NODE"""

import json
import pathlib
import subprocess
import sys

import pyarrow as pa
import pyarrow.flight as flight

here = pathlib.Path(__file__).parent


def upload(node: str) -> list[str]:
    """The gRPC messages of a do_put, taken from its HTTP/2 stream."""
    catcher = subprocess.Popen(
        [node, str(here / "catch.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    port = int(catcher.stdout.readline())
    client = flight.connect(f"grpc://127.0.0.1:{port}")
    schema = pa.schema([pa.field("timestamp_ns", pa.int64(), False), pa.field("text", pa.string())])
    command = flight.FlightDescriptor.for_command(b'{"resource_locator":"s/t","topic_uuid":"u"}')
    writer, _ = client.do_put(command, schema)
    rows = [[1, 2, 3], ["a", None, "z\u00fcrich"]]
    writer.write_batch(pa.record_batch([pa.array(rows[0]), pa.array(rows[1])], schema=schema))
    writer.write_with_metadata(pa.record_batch([pa.array([4]), pa.array(["x" * 300])], schema=schema), b"note")
    writer.write_metadata(b"only metadata")
    writer.write_batch(pa.record_batch([pa.array([], pa.int64()), pa.array([], pa.string())], schema=schema))
    writer.done_writing()
    writer.close()
    client.close()
    return catcher.communicate()[0].split()


def info() -> flight.FlightInfo:
    endpoint = flight.FlightEndpoint(
        flight.Ticket(b"ticket"), [flight.Location.for_grpc_tcp("host", 1)], None, b'{"locked":true}'
    )
    return flight.FlightInfo(
        pa.schema([pa.field("a", pa.int32())], {"mosaico:context": "topic"}),
        flight.FlightDescriptor.for_command(b"command"),
        [endpoint, flight.FlightEndpoint(b"second", [])],
        7,
        8,
        True,
        b"app",
    )


cases = {
    "descriptor of a command": flight.FlightDescriptor.for_command(b"{}").serialize(),
    "descriptor of a path": flight.FlightDescriptor.for_path("a", b"b").serialize(),
    "ticket": flight.Ticket(b"\x00\xfftopic").serialize(),
    "action": flight.Action("sequence_create", b'{"locator":"s"}').serialize(),
    "action without body": flight.Action("info", b"").serialize(),
    "result": flight.Result(pa.py_buffer(b'{"action":"empty"}')).serialize(),
    "info": info().serialize(),
}
texts = {name: bytes(value).hex() for name, value in cases.items()}
golden = {"pyarrow": pa.__version__, "messages": texts, "upload": upload(sys.argv[1])}
(here / "flight.json").write_text(json.dumps(golden, indent=2) + "\n")
