"""Data that another SDK release wrote: typed where tag and schema are known here, untyped or an error otherwise.

    reader \\ writer   0.4, 0.5                       0.6, 0.7
    0.4, 0.5          typed                          error on the first row (unknown tag)
    0.6, 0.7          untyped rows, all values       typed if the schema is the same, else untyped

What is expected of a topic is decided from its tag and its schema, never from version numbers.
"""

import pickle
from typing import Any

import pyarrow as pa
from mosaicolabs import Message, Serializable

import family
import models
import ontology
import report
import values
from family import Server


def known_class(topic: dict[str, Any]) -> tuple[type | None, bool]:
    """The class registered here under the topic's tag, and whether its schema is the written one."""
    model = {found.__ontology_tag__: found for found in ontology.shipped()}.get(topic["tag"])
    if model is None:
        return None, False
    written = pa.ipc.read_schema(pa.py_buffer(topic["schema"]))
    return model, Message._get_schema(model).remove_metadata().equals(written)


def fits(model: type, dump: dict[str, Any]) -> bool:
    """Whether this release can build its model of the values at all. (0.7 has an image format that 0.6 has not.)"""
    try:
        model(**dump)
    except ValueError:
        return False
    return True


def read_topic(client: Any, sequence: str, name: str, topic: dict[str, Any]) -> str:
    model, same_schema = known_class(topic)
    handler = family.fresh_topic(client, sequence, name)
    report.true(handler is not None, f"no handler for {name}")
    report.equal(handler.ontology_tag, topic["tag"], f"tag of {name}")
    report.equal(
        (handler.timestamp_ns_min, handler.timestamp_ns_max),
        (topic["rows"][0][0], topic["rows"][-1][0]),
        f"bounds of {name}",
    )
    if family.is_old and model is None:
        report.raises(
            lambda: next(iter(handler.get_data_streamer())), f"first row of {name}, whose tag is unknown here"
        )
        return "refused"
    typed = model is not None and (same_schema or family.is_old)
    if typed and not all(fits(model, dump) for _, _, dump in topic["rows"]):
        report.raises(
            lambda: list(handler.get_data_streamer()), f"{name}, which holds values that this release does not know"
        )
        return "refused by the model"
    got = list(handler.get_data_streamer())
    handler.close()
    report.equal([message.timestamp_ns for message in got], [now for now, _, _ in topic["rows"]], f"times of {name}")
    for (now, envelope, dump), message in zip(topic["rows"], got):
        if typed:
            report.true(type(message.data) is model, f"{name} at {now} is a {type(message.data).__name__}")
            actual, wanted = models.json_free(message.data.model_dump()), dump
            report.equal(
                values.plain(family.envelope_of(message)), values.plain(envelope), f"envelope of {name} at {now}"
            )
        else:
            report.true(isinstance(message.data, Serializable), f"{name} at {now} is no message")
            report.true(
                model is None or message.get_data(model) is None, f"{name} at {now} passes for a {topic['tag']}"
            )
            actual, wanted = message.data.raw_data, {**envelope, **dump}
            wanted.pop("timestamp_ns")
        report.equal(values.plain(actual), values.plain(wanted), f"{name} at {now}")
    return "typed" if typed else "untyped"


def read_all(client: Any, sequence: str, topics: dict[str, Any]) -> dict[str, Any]:
    outcomes: dict[str, list[str]] = {}
    handler = family.fresh_handler(client, sequence)
    report.true(handler is not None, f"no handler for {sequence}")
    report.equal(sorted(handler.topics), sorted(topics), "topics")
    for name, topic in topics.items():
        outcomes.setdefault(read_topic(client, sequence, name, topic), []).append(topic["tag"])
    return {outcome: (len(tags) if len(tags) > 5 else tags) for outcome, tags in outcomes.items()}


def checks(run: report.Report, server: Server, sequence: str, expect_file: str) -> None:
    with open(expect_file, "rb") as file:
        topics = pickle.load(file)
    with server.connect() as client:
        run.run(f"foreign: {sequence} read by {family.version}", lambda: read_all(client, sequence, topics))
