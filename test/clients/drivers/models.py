"""Checks: every shipped model, written with all fields and with every null, comes back equal and as its own class."""

import copy
import pickle
from typing import Any, Optional

import pyarrow as pa
from mosaicolabs import Message, MosaicoField, Serializable

import family
import ontology
import report
import values
from family import Server

start_ns = 1_700_000_000_000_000_000
Row = tuple[int, Message]


def plan(server: Server) -> dict[str, tuple[type, list[Row]]]:
    """Topic name -> model and its messages in time order, with distinct times inside a topic."""
    topics = {}
    for model in ontology.topics():
        rng = server.random(f"model {model.__name__}")
        rows, now = [], start_ns
        for data in ontology.instances(model, rng):
            now += rng.randint(1, 10**7)
            rows.append((now, family.message(now, data, rng)))
        topics[f"/models/{model.__name__}"] = (model, rows)
    return topics


def covered(topics: dict[str, tuple[type, list[Row]]]) -> dict[str, Any]:
    """Fails unless every shipped model is in `topics`, every leaf held a value and every nullable field a null."""
    shipped = {model.__name__ for model in ontology.shipped()}
    left_out = {name: reason for name, reason in ontology.not_topics.items() if name in shipped}
    report.equal(
        shipped - {model.__name__ for model, _ in topics.values()} - set(left_out), set(), "models without a topic"
    )
    fields = nulls = rows_total = 0
    for model, rows in topics.values():
        struct = ontology.struct_of(model)
        filled, empty = ontology.seen(struct, [message.data.model_dump() for _, message in rows])
        wanted = {path for path, _, _ in values.leaves(struct)}
        nullable = set(ontology.nullable_paths(model, struct))
        report.equal(wanted - filled, set(), f"fields of {model.__name__} that never held a value")
        report.equal(nullable - empty, set(), f"fields of {model.__name__} that were never null")
        fields, nulls, rows_total = fields + len(wanted), nulls + len(nullable), rows_total + len(rows)
    return {"models": len(topics), "fields": fields, "nullable": nulls, "rows": rows_total, "left_out": left_out}


def write(server: Server, client: Any, sequence: str, topics: dict[str, tuple[type, list[Row]]]) -> None:
    """All topics open at once, pushed in turns, every other topic out of order, in several batches where the SDK
    can.
    """
    rng = server.random("push order")
    with client.sequence_create(sequence, {"purpose": "every model"}, **family.small_batches(client, 6000)) as writer:
        queues = []
        for topic, (model, rows) in topics.items():
            topic_writer = writer.topic_create(topic, {"model": model.__name__}, model)
            report.true(topic_writer is not None, f"no writer for {topic}")
            rows = list(rows)
            if len(queues) % 2 == 1:
                rng.shuffle(rows)
            queues.append((topic_writer, rows))
        for turn in range(max(len(rows) for _, rows in queues)):
            for topic_writer, rows in queues:
                if turn < len(rows):
                    topic_writer.push(rows[turn][1])


def same(what: str, model: type, expected: list[Row], actual: list[Message]) -> None:
    report.equal([message.timestamp_ns for message in actual], [now for now, _ in expected], f"times of {what}")
    for (now, wanted), got in zip(expected, actual):
        report.true(type(got.data) is model, f"{what} at {now} is a {type(got.data).__name__}, not a {model.__name__}")
        report.true(got.get_data(model) is not None, f"get_data({model.__name__}) gives nothing for {what}")
        report.equal(
            values.plain(family.envelope_of(got)),
            values.plain(family.envelope_of(wanted)),
            f"envelope of {what} at {now}",
        )
        report.equal(values.plain(got.data.model_dump()), values.plain(wanted.data.model_dump()), f"{what} at {now}")


def read_by_topic(client: Any, sequence: str, topics: dict[str, tuple[type, list[Row]]]) -> dict[str, Any]:
    for topic, (model, rows) in topics.items():
        handler = family.fresh_topic(client, sequence, topic)
        report.true(handler is not None, f"no handler for {topic}")
        report.equal(handler.ontology_tag, model.__ontology_tag__, f"tag of {topic}")
        format_name = getattr(handler.serialization_format, "value", handler.serialization_format)  # text before 0.7
        report.equal(format_name, model.__serialization_format__.value, f"format of {topic}")
        report.equal(handler.user_metadata, {"model": model.__name__}, f"metadata of {topic}")
        report.equal(
            (handler.timestamp_ns_min, handler.timestamp_ns_max), (rows[0][0], rows[-1][0]), f"bounds of {topic}"
        )
        report.true(handler.locked, f"{topic} is not locked")
        if hasattr(handler, "ontology_schema"):
            schema = handler.ontology_schema
            report.true(schema.equals(ontology.struct_of(model)), f"schema of {topic}: {schema}")
        same(topic, model, rows, list(handler.get_data_streamer()))
        handler.close()
    return {"topics": len(topics), "rows": sum(len(rows) for _, rows in topics.values())}


def read_by_sequence(client: Any, sequence: str, topics: dict[str, tuple[type, list[Row]]]) -> dict[str, Any]:
    actual: dict[str, list[Message]] = {topic: [] for topic in topics}
    last = -1
    for topic, message in family.read_sequence(client, sequence):
        report.true(message.timestamp_ns >= last, f"{topic} steps back in time to {message.timestamp_ns}")
        last = message.timestamp_ns
        actual[topic].append(message)
    for topic, (model, rows) in topics.items():
        same(topic, model, rows, actual[topic])
    return {"rows": sum(len(rows) for rows in actual.values())}


class ConformanceEntry(Serializable):
    """A user's own model, with nestings no shipped model has."""

    label: str = MosaicoField(description="plain text, described: field metadata")
    grid: list[list[int]]
    blobs: Optional[list[bytes]] = None  # the SDKs do not understand `list[bytes] | None`


class ConformanceMap(Serializable):
    """A map. Only 0.7 reads back what it writes: 0.4 and 0.5 cannot encode a dictionary, 0.6 decodes it to a list
    of pairs.
    """

    weights: dict[str, float]


def own_model(server: Server, client: Any) -> dict[str, Any]:
    rng = server.random("own model")
    sequence = server.name("own")
    entries, maps = [], []
    for index in range(20):
        now = start_ns + index
        entry = ConformanceEntry(
            label=values.scalar(pa.string(), rng, index == 0),
            grid=[[rng.randint(-(2**31), 2**31 - 1) for _ in range(rng.randrange(4))] for _ in range(rng.randrange(4))],
            blobs=None if index % 3 == 0 else [rng.randbytes(rng.randrange(20)) for _ in range(rng.randrange(3))],
        )
        entries.append((now, family.message(now, entry, rng)))
        # Not empty: SDK 0.7 takes an empty map for a missing value.
        weights = {f"key {number}": rng.random() for number in range(1 + index % 4)}
        maps.append((now, family.message(now, ConformanceMap(weights=weights), rng)))
    topics = {"/own": (ConformanceEntry, entries)} | ({"/map": (ConformanceMap, maps)} if family.letter == "C" else {})
    write(server, client, sequence, topics)
    for topic, (model, rows) in topics.items():
        same(topic, model, rows, family.read_topic(client, sequence, topic))
    return {"topics": sorted(topics), "rows": len(entries)}


def generated_model(server: Server, client: Any) -> dict[str, Any]:
    """The classes SDK 0.6 and 0.7 make from an Arrow schema, as their ROS and MCAP bridges do."""
    from mosaicolabs.enum import SerializationFormat
    from mosaicolabs.models.core.unmodeled import make_unmodeled_ontology_class

    struct = pa.struct(
        [
            pa.field(
                "stamp", pa.struct([pa.field("sec", pa.int32(), False), pa.field("nanosec", pa.uint32(), False)]), False
            ),
            pa.field("readings", pa.list_(pa.struct([pa.field("id", pa.uint16()), pa.field("raw", pa.binary())]))),
            pa.field("text", pa.large_string()),
            pa.field("pair", pa.list_(pa.int16(), 2)),
            pa.field("Capital", pa.float32()),
        ]
    )
    model = make_unmodeled_ontology_class("ConformanceRaw", "ConformanceRaw", SerializationFormat.Ragged, struct)
    rng = server.random("generated model")
    sequence = server.name("generated")
    rows = []
    for index in range(30):
        filler = ontology.Filler(
            rng, null_paths=frozenset(rng.sample(["readings", "text", "pair", "Capital"], index % 4))
        )
        data = model(raw_data=filler.struct(None, struct, ""))
        rows.append((start_ns + index, family.message(start_ns + index, data)))
    pushed = copy.deepcopy(rows)  # pushing adds the time to the dictionary of the message (SDK 0.6 and 0.7)
    write(server, client, sequence, {"/raw": (model, pushed)})
    same("/raw", model, rows, family.read_topic(client, sequence, "/raw"))
    return {"rows": len(rows)}


def dump(path: str, topics: dict[str, tuple[type, list[Row]]]) -> None:
    """What was written, in plain Python values, for the driver of another release that reads it (`foreign.py`)."""
    plain = {}
    for topic, (model, rows) in topics.items():
        plain[topic] = {
            "tag": model.__ontology_tag__,
            "schema": Message._get_schema(model).remove_metadata().serialize().to_pybytes(),
            "rows": [(now, family.envelope_of(message), json_free(message.data.model_dump())) for now, message in rows],
        }
    with open(path, "wb") as file:
        pickle.dump(plain, file)


def json_free(value: Any) -> Any:
    """Without classes of this SDK: an enumeration member becomes its value."""
    if isinstance(value, dict):
        return {key: json_free(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_free(item) for item in value]
    return value.value if hasattr(value, "value") else value


def checks(run: report.Report, server: Server, dump_file: str | None) -> None:
    topics: dict[str, tuple[type, list[Row]]] = {}
    sequence = server.name("models")
    run.run(
        "models: every field and every null is in the plan",
        lambda: covered(topics) if not topics.update(plan(server)) else None,
    )
    with server.connect() as client:
        if run.run("models: written, all topics open at once", lambda: write(server, client, sequence, topics)):
            run.run("models: read back by topic, typed", lambda: read_by_topic(client, sequence, topics))
            run.run("models: read back by sequence, in time order", lambda: read_by_sequence(client, sequence, topics))
        run.run("models: a user's own model", lambda: own_model(server, client))
        if not family.is_old:
            run.run("models: a generated model", lambda: generated_model(server, client))
    if dump_file is not None:
        dump(dump_file, topics)
