"""Checks: user metadata of sequences and topics comes back equal, and spelled alike."""

import json
import random
from typing import Any

from mosaicolabs import Integer64

import family
import report
from family import Server

fixed: dict[str, Any] = {
    "text": 'Grüße aus 東京 🚗 \u0000-free " \\ / \b\f\n\r\t \u2028',
    "empty text": "",
    "nothing": None,
    "yes": True,
    "no": False,
    "float that is whole": 1.0,
    "negative zero": -0.0,
    "zero": 0,
    "huge": 1e300,
    "tiny": 5e-324,
    "third": 1 / 3,
    "point one": 0.1,
    "largest unsigned": 2**64 - 1,
    "smallest signed": -(2**63),
    "beyond a double": 2**53 + 1,
    "array": [1, 1.0, "1", True, None, [], {}, [[1.5], [2**63]]],
    "nested": {"a": {"b": {"c": {"d": [{"e": "deep"}]}}}},
    "empty object": {},
    "empty array": [],
    "dotted.key:with colon": {"x/y": 1},
    "ключ": "значение",
}


def spelled(value: Any) -> Any:
    """`value` with the type of every number written down: 1.0 is not 1, and -0.0 is not 0.0."""
    if isinstance(value, dict):
        return {key: spelled(member) for key, member in value.items()}
    if isinstance(value, list):
        return [spelled(item) for item in value]
    return f"{type(value).__name__} {value!r}"


def invented(rng: random.Random, depth: int) -> Any:
    """A random JSON value."""
    kinds = ["int", "float", "text", "bool", "null"] + (["list", "object"] * 2 if depth > 0 else [])
    kind = rng.choice(kinds)
    if kind == "int":
        return rng.choice([rng.randint(-100, 100), rng.randint(-(2**63), 2**64 - 1)])
    if kind == "float":
        return rng.choice([rng.random(), float(rng.randint(-100, 100)), rng.random() * 10.0 ** rng.randint(-300, 300)])
    if kind == "text":
        return "".join(
            chr(rng.choice([rng.randint(32, 126), rng.randint(0xA0, 0xD7FF), rng.randint(0x10000, 0x1FFFF)]))
            for _ in range(rng.randrange(12))
        )
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "null":
        return None
    if kind == "list":
        return [invented(rng, depth - 1) for _ in range(rng.randrange(5))]
    return {f"key-{rng.randrange(1000)} {index}": invented(rng, depth - 1) for index in range(rng.randrange(5))}


def round_trip(server: Server, client: Any, name: str, value: dict[str, Any]) -> dict[str, Any]:
    sequence = server.name(name)
    topic_value = {"of the topic": value, "number": 7}
    with client.sequence_create(sequence, value) as writer:
        topic_writer = writer.topic_create("/t", topic_value, Integer64)
        report.true(topic_writer is not None, "no writer")
        topic_writer.push(family.message(1, Integer64(data=1)))
    handler = family.fresh_handler(client, sequence)
    report.equal(spelled(handler.user_metadata), spelled(value), "metadata of the sequence")
    report.equal(list(handler.user_metadata), list(value), "order of the keys")
    report.equal(
        spelled(handler.get_topic_handler("/t", force_new_instance=True).user_metadata),
        spelled(topic_value),
        "metadata of the topic",
    )
    report.equal(
        spelled(family.fresh_topic(client, sequence, "/t").user_metadata),
        spelled(topic_value),
        "metadata of the topic, asked alone",
    )
    return {"bytes": len(json.dumps(value))}


def large(server: Server) -> dict[str, Any]:
    """As the ROS bridge writes it: the whole message definition, tens of kilobytes in one text."""
    rng = server.random("large metadata")
    lines = [f"float64 field_{rng.randrange(10**6)}  # {rng.random()}" for _ in range(2000)]
    return {"_ros_": {"type": "custom_msgs/msg/Everything", "definition": "\n".join(lines)}}


def refused(server: Server, client: Any) -> dict[str, Any]:
    """NaN is no JSON number: Python writes it all the same, the server says which value it cannot take, nothing is
    left behind.
    """
    sequence = server.name("metadata-nan")

    def block() -> None:
        with client.sequence_create(sequence, {"bad": float("nan")}) as writer:
            writer.topic_create("/t", {}, Integer64)

    error = report.raises(block, "NaN in metadata")
    report.true(sequence not in client.list_sequences(), "the refused sequence does not exist")
    return {"error": str(error)[:300]}


def checks(run: report.Report, server: Server) -> None:
    with server.connect() as client:
        run.run("metadata: unusual values", lambda: round_trip(server, client, "metadata", fixed))
        run.run("metadata: none", lambda: round_trip(server, client, "metadata-none", {}))
        run.run("metadata: large", lambda: round_trip(server, client, "metadata-large", large(server)))
        for number in range(8):
            rng = server.random(f"metadata {number}")
            value = {f"k{index}": invented(rng, 4) for index in range(6)}
            run.run(f"metadata: random {number}", lambda: round_trip(server, client, f"metadata-{number}", value))
        run.run("metadata: NaN", lambda: refused(server, client))
