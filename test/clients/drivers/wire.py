"""The protocol spoken with plain pyarrow.flight: JSON actions, uploads, reads. For what no SDK can do."""

import json
from typing import Any, Iterable

import pyarrow as pa
import pyarrow.flight as flight


class Wire:
    """One connection. `probe` is its first call, by which the server takes it for a client of 0.4 (A), 0.6 (B) or
    0.7 (C).
    """

    def __init__(
        self, host: str, port: int, *, api_key: str | None = None, probe: str = "C", deadline_seconds: float = 120
    ) -> None:
        headers = [(b"mosaico-api-key-token", api_key.encode())] if api_key is not None else []
        self.options = flight.FlightCallOptions(headers=headers, timeout=deadline_seconds)
        self.headers, self.deadline_seconds = headers, deadline_seconds
        self.client = flight.FlightClient(f"grpc://{host}:{port}")
        if probe == "A":
            list(self.client.list_flights(options=self.options))
        else:
            self.action({"B": "version", "C": "info"}[probe], {})

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: Any) -> None:
        self.client.close()

    def action(self, name: str, body: Any) -> Any:
        """The `response` of an action; `body` may be bytes, to send what is no JSON."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        results = list(self.client.do_action(flight.Action(name, payload), self.options))
        text = b"".join(result.body.to_pybytes() for result in results)
        answer = json.loads(text) if text else {}
        if answer.get("action") not in (None, "empty", name):
            raise AssertionError(f"{name} is answered by {answer}")
        return answer.get("response")

    def sequence(self, name: str, metadata: dict[str, Any] | None = None) -> str:
        """Creates a sequence with one session; the UUID of the session."""
        self.action("sequence_create", {"locator": name, "user_metadata": metadata or {}})
        return self.action("session_create", {"locator": name})["uuid"]

    def topic(self, session: str, locator: str, tag: str = "conformance", form: str = "default") -> dict[str, str]:
        """Creates a topic; the command for its upload."""
        body = {
            "session_uuid": session,
            "locator": locator,
            "serialization_format": form,
            "ontology_tag": tag,
            "user_metadata": {},
        }
        return {"resource_locator": locator, "topic_uuid": self.action("topic_create", body)["uuid"]}

    def writer(
        self, command: dict[str, str], schema: pa.Schema, ipc: pa.ipc.IpcWriteOptions | None = None
    ) -> flight.FlightStreamWriter:
        options = flight.FlightCallOptions(headers=self.headers, timeout=self.deadline_seconds, write_options=ipc)
        writer, _ = self.client.do_put(flight.FlightDescriptor.for_command(json.dumps(command)), schema, options)
        return writer

    def put(
        self,
        command: dict[str, str],
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        ipc: pa.ipc.IpcWriteOptions | None = None,
    ) -> None:
        writer = self.writer(command, schema, ipc)
        try:
            for batch in batches:
                writer.write_batch(batch)
        finally:
            writer.close()

    def info(self, locator: str, start: int | None = None, end: int | None = None) -> flight.FlightInfo:
        command: dict[str, Any] = {"resource_locator": locator}
        if start is not None:
            command["timestamp_ns_start"] = start
        if end is not None:
            command["timestamp_ns_end"] = end
        return self.client.get_flight_info(flight.FlightDescriptor.for_command(json.dumps(command)), self.options)

    def schema(self, locator: str) -> pa.Schema:
        descriptor = flight.FlightDescriptor.for_command(json.dumps({"resource_locator": locator}))
        return self.client.get_schema(descriptor, self.options).schema

    def open(self, locator: str, start: int | None = None, end: int | None = None) -> flight.FlightStreamReader:
        """Starts to read a topic; returns when its schema has come."""
        return self.client.do_get(self.info(locator, start, end).endpoints[0].ticket, self.options)

    def get(
        self, locator: str, start: int | None = None, end: int | None = None
    ) -> tuple[pa.Schema, list[pa.RecordBatch]]:
        """Schema and batches of a topic, as they come. A message without rows or without a batch is a failure."""
        reader = self.open(locator, start, end)
        batches = []
        while True:
            try:
                chunk = reader.read_chunk()
            except StopIteration:
                return reader.schema, batches
            if chunk.data is None or chunk.data.num_rows == 0:
                raise AssertionError(f"{locator} sent a message without rows")
            batches.append(chunk.data)

    def topic_metadata(self, locator: str, start: int | None = None, end: int | None = None) -> dict[str, Any]:
        return json.loads(self.info(locator, start, end).endpoints[0].app_metadata)


def own_metadata(schema: pa.Schema) -> pa.Schema:
    """The schema without what the server adds to it."""
    kept = {key: value for key, value in (schema.metadata or {}).items() if not key.startswith(b"mosaico:")}
    return schema.with_metadata(kept or None)
