"""Checks: what must be refused, each with the status that pyarrow gives a class of its own, and without harm."""

from typing import Any

import pyarrow as pa
import pyarrow.flight as fl

import report
from bench import Bench, finish, number_batch, number_schema, pairs
from wire import Wire


def refusals(bench: Bench, wire: Wire) -> dict[str, str]:
    """What must be refused, each with the class pyarrow gives to the status, and without harm to what is stored."""
    sequence = bench.name("refusals")
    session = wire.sequence(sequence)
    locator = f"{sequence}/n"
    command = wire.topic(session, locator)
    seen: dict[str, str] = {}

    def refused(what: str, action: Any, *kinds: type) -> None:
        error = report.raises(action, what)
        report.true(
            isinstance(error, kinds or (fl.FlightError, pa.ArrowException)), f"{what}: {type(error).__name__}: {error}"
        )
        seen[what] = f"{type(error).__name__}: {error}"[:160]

    def put(field: pa.Field | None, **changes: str) -> Any:
        fields = [pa.field("n", pa.int64())] + ([field] if field is not None else [])
        schema = pa.schema(fields)
        return lambda: wire.put(
            {**command, **changes},
            schema,
            [pa.RecordBatch.from_arrays([pa.array([1], field.type) for field in fields], schema=schema)],
        )

    refused("upload without timestamp_ns", put(None), pa.ArrowInvalid)
    refused(
        "upload with a timestamp of another type", put(pa.field("timestamp_ns", pa.timestamp("ns"))), pa.ArrowInvalid
    )
    refused(
        "upload with a foreign uuid",
        put(pa.field("timestamp_ns", pa.int64()), topic_uuid="00000000-0000-4000-8000-000000000000"),
        fl.FlightUnauthorizedError,
    )
    refused(
        "upload with a uuid that is none", put(pa.field("timestamp_ns", pa.int64()), topic_uuid="x"), pa.ArrowInvalid
    )
    refused(
        "upload to a missing topic", put(pa.field("timestamp_ns", pa.int64()), resource_locator=f"{sequence}/missing")
    )
    report.true(not wire.topic_metadata(locator)["locked"], "the topic is still open after refused uploads")
    refused("finalizing with an open topic", lambda: finish(wire, session))
    wire.put(command, number_schema, [number_batch(number_schema, [1, 2, 3])])
    refused("second upload", lambda: wire.put(command, number_schema, [number_batch(number_schema, [7])]))
    refused("topic name taken", lambda: wire.topic(session, locator))
    refused("topic of another sequence", lambda: wire.topic(session, f"{sequence}2/n"))
    finish(wire, session)
    refused("topic in a closed session", lambda: wire.topic(session, f"{sequence}/late"))
    refused("sequence name taken", lambda: wire.sequence(sequence))
    refused("unknown action", lambda: wire.action("no_such_action", {}))
    refused("body that is no JSON", lambda: wire.action("sequence_create", b"{"), pa.ArrowInvalid)
    refused("body without a key", lambda: wire.action("sequence_create", {"locator": bench.name("x")}), pa.ArrowInvalid)
    refused("malformed session uuid", lambda: wire.action("session_finalize", {"session_uuid": "x"}), pa.ArrowInvalid)
    for name in ("", "a b", "a.b", "a%b", "a'b", "a:b:c", "ä", "a/b"):
        refused(f"sequence called {name!r}", lambda: wire.sequence(name), pa.ArrowInvalid)
    refused(
        "topic with another format",
        lambda: wire.topic(wire.sequence(bench.name("form")), f"{bench.name('form')}/n", form="other"),
        pa.ArrowInvalid,
    )
    refused(
        "flight info by path",
        lambda: wire.client.get_flight_info(fl.FlightDescriptor.for_path(sequence), wire.options),
        pa.ArrowInvalid,
    )
    refused("flight info of nothing", lambda: wire.info(bench.name("missing")))
    refused("schema of a sequence", lambda: wire.schema(sequence))
    refused("broken ticket", lambda: wire.client.do_get(fl.Ticket(b"\xff\xff"), wire.options).read_all())
    refused("criteria", lambda: list(wire.client.list_flights(b"abc", wire.options)), pa.ArrowInvalid)
    refused(
        "notification type",
        lambda: wire.action(
            "topic_notification_create", {"locator": locator, "notification_type": "warning", "msg": ""}
        ),
        pa.ArrowInvalid,
    )
    report.equal(pairs(wire.get(locator)[1]), [(1, 0), (2, 1), (3, 2)], "rows after all refusals")
    return seen


def checks(run: report.Report, bench: Bench) -> None:
    with bench.wire() as wire:
        run.run("refusals", lambda: refusals(bench, wire))
