"""Checks: queries on names, times, tags and user metadata through the SDK's query builders."""

import time
from typing import Any

from mosaicolabs import (
    Boolean,
    Floating64,
    Integer64,
    Query,
    QueryOntologyCatalog,
    QuerySequence,
    QueryTopic,
    RobotJoint,
    String,
)

import family
import report
from family import Server

Found = dict[str, set[str]]
#: Suffix of the sequence -> its metadata and its topics with model and metadata.
drives: dict[str, tuple[dict[str, Any], dict[str, tuple[type, dict[str, Any]]]]] = {
    "drive-1": (
        {"driver": {"id": "drv_17", "age": 31}, "km": 12.5, "rain": True, "tags": ["night", "city"]},
        {"/front/imu": (Integer64, {"rate": 200, "vendor": "ACME"}), "/gps": (Floating64, {"rate": 10})},
    ),
    "drive-2": (
        {"driver": {"id": "drv_18", "age": 54}, "km": 100, "rain": False, "tags": []},
        {"/front/imu": (Integer64, {"rate": 100, "vendor": "Other"}), "/notes": (String, {})},
    ),
    "drive-10": (
        {"driver": {"id": "drv_19"}, "km": "unknown", "note": "ACME"},
        {"/rear/imu": (Integer64, {"rate": 400.5, "vendor": "ACME"}), "/gps": (Floating64, {"rate": 5})},
    ),
    "walk-1": (
        {"driver": {"id": "drv_17", "age": 31}},
        {
            "/gps": (Floating64, {"rate": 1, "vendor": "ACME"}),
            "/flag": (Boolean, {}),
            "/joints": (RobotJoint, {}),
        },
    ),
}


def write(server: Server, client: Any) -> dict[str, int]:
    """Writes the drives with a pause between; returns a time before each of them, and one after all."""
    times = {}
    for suffix, (metadata, topics) in drives.items():
        time.sleep(0.02)
        times[suffix] = time.time_ns()
        time.sleep(0.02)
        with client.sequence_create(server.name(suffix), metadata) as writer:
            for topic, (model, topic_metadata) in topics.items():
                topic_writer = writer.topic_create(topic, topic_metadata, model)
                topic_writer.push(family.message(1, value_of(model)))
    time.sleep(0.02)
    times["end"] = time.time_ns()
    return times


def value_of(model: type) -> Any:
    if model is RobotJoint:
        return RobotJoint(names=["hip", "knee"], positions=[0.5, 0.5], velocities=[1, 1], efforts=[0, 0])
    return model(data={String: "text", Boolean: True}.get(model, 1))


class Asker:
    def __init__(self, server: Server, client: Any, times: dict[str, int]) -> None:
        self.server, self.client, self.times = server, client, times

    def name(self, suffix: str) -> str:
        return self.server.name(suffix)

    def found(self, *queries: Any) -> Found:
        """What a query finds, as suffixes and topic names; sequences of other checks and other drivers are left
        out.
        """
        if len(queries) == 1 and isinstance(queries[0], Query):
            response = self.client.query(query=queries[0])
        else:
            response = self.client.query(*queries)
        report.true(response is not None, "no response")
        suffixes = {self.name(suffix): suffix for suffix in drives}
        result = {}
        for item in response:
            if item.sequence.name in suffixes:
                topics = [topic.name for topic in item.topics]
                report.equal(len(topics), len(set(topics)), "a topic is listed twice")
                result[suffixes[item.sequence.name]] = set(topics)
                if not family.is_old:
                    for topic in item.topics:
                        model, _ = drives[suffixes[item.sequence.name]][1][topic.name]
                        report.equal(topic.ontology_tag, model.__ontology_tag__, f"tag of {topic.locator}")
        return result

    def expect(self, wanted: Found, *queries: Any) -> None:
        report.equal(self.found(*queries), wanted, " and ".join(str(query.to_dict()) for query in queries))


def whole(*suffixes: str) -> Found:
    return {suffix: set(drives[suffix][1]) for suffix in suffixes}


def by_name(ask: Asker) -> None:
    ask.expect(whole("drive-1"), QuerySequence().with_name(ask.name("drive-1")))
    ask.expect({}, QuerySequence().with_name(ask.name("drive-3")))
    ask.expect({}, QuerySequence().with_name(ask.name("drive-1").upper()))
    gps = {"drive-1": {"/gps"}, "drive-10": {"/gps"}, "walk-1": {"/gps"}}
    ask.expect(gps, QueryTopic().with_name("/gps"))
    ask.expect({"drive-1": {"/gps"}}, QueryTopic().with_name("/gps"), QuerySequence().with_name(ask.name("drive-1")))


def by_match(ask: Asker) -> dict[str, str]:
    """0.4 and 0.5: the name contains the text, case-sensitive. Since 0.6: the whole name fits the pattern."""
    prefix = family.prefix
    if family.is_old:
        ask.expect(whole("drive-1", "drive-10"), QuerySequence().with_name_match(f"{prefix}-drive-1"))
        ask.expect(whole("drive-1", "walk-1"), QuerySequence().with_name_match(f"-1-{ask.server.seed}"))
        ask.expect({}, QuerySequence().with_name_match(f"{prefix}-Drive"))
        ask.expect({}, QuerySequence().with_name_match(f"{prefix}-drive-*"))
        ask.expect(
            {"drive-1": {"/front/imu"}, "drive-2": {"/front/imu"}, "drive-10": {"/rear/imu"}},
            QueryTopic().with_name_match("/imu"),
        )
        return {"kind": "contains"}
    ask.expect(
        whole("drive-1", "drive-2", "drive-10"), QuerySequence().with_name_match(f"{prefix}-drive-*-{ask.server.seed}")
    )
    ask.expect(whole("drive-1", "drive-2"), QuerySequence().with_name_match(f"{prefix}-drive-?-{ask.server.seed}"))
    ask.expect(whole("drive-2"), QuerySequence().with_name_match(f"{prefix}-drive-[2-9]-{ask.server.seed}"))
    ask.expect(whole("drive-10"), QuerySequence().with_name_match(f"{prefix}-drive-##-{ask.server.seed}"))
    ask.expect({}, QuerySequence().with_name_match(f"{prefix}-drive"))
    ask.expect(
        {"drive-1": {"/front/imu"}, "drive-2": {"/front/imu"}, "drive-10": {"/rear/imu"}},
        QueryTopic().with_name_match("*/imu"),
    )
    ask.expect(whole(*drives), QueryTopic().with_name_match("*"))
    return {"kind": "glob"}


def by_time(ask: Asker) -> None:
    after = whole("drive-10", "walk-1")
    ours = QueryTopic().with_name_match("/" if family.is_old else "*")
    ask.expect(after, QuerySequence().with_created_timestamp(time_start=builder_time(ask.times["drive-10"])), ours)
    ask.expect(
        whole("drive-1", "drive-2"),
        QuerySequence().with_created_timestamp(time_end=builder_time(ask.times["drive-10"])),
        ours,
    )
    between = QuerySequence().with_created_timestamp(
        time_start=builder_time(ask.times["drive-2"]), time_end=builder_time(ask.times["walk-1"])
    )
    ask.expect(whole("drive-2", "drive-10"), between)
    ask.expect(after, QueryTopic().with_created_timestamp(time_start=builder_time(ask.times["drive-10"])))
    ask.expect({}, QuerySequence().with_created_timestamp(time_start=builder_time(ask.times["end"])))
    handler = ask.client.sequence_handler(ask.name("drive-2"))
    exactly = builder_time(handler.created_timestamp)
    ask.expect(whole("drive-2"), QuerySequence().with_created_timestamp(time_start=exactly, time_end=exactly))


def builder_time(time_ns: int) -> Any:
    """What `with_created_timestamp` takes: a `Time` in 0.4 and 0.5, nanoseconds since."""
    from mosaicolabs import Time

    return Time.from_nanoseconds(time_ns) if family.is_old else time_ns


def by_tag(ask: Asker) -> None:
    ask.expect(
        {"drive-1": {"/gps"}, "drive-10": {"/gps"}, "walk-1": {"/gps"}},
        QueryTopic().with_ontology_tag(Floating64.ontology_tag()),
    )
    ask.expect({"drive-2": {"/notes"}}, QueryTopic().with_ontology_tag(String.ontology_tag()))
    ask.expect({}, QueryTopic().with_ontology_tag("no_such_tag"))


def by_metadata(ask: Asker) -> None:
    sequence, topic = QuerySequence, QueryTopic
    ask.expect(whole("drive-1", "walk-1"), sequence().with_user_metadata("driver.id", eq="drv_17"))
    ask.expect(whole("drive-2"), sequence().with_user_metadata("driver.age", gt=31))
    ask.expect(whole("drive-1", "drive-2", "walk-1"), sequence().with_user_metadata("driver.age", geq=31))
    ask.expect(whole("drive-1"), sequence().with_user_metadata("km", lt=100))
    ask.expect(whole("drive-1", "drive-2"), sequence().with_user_metadata("km", leq=100.0))
    ask.expect(whole("drive-2"), sequence().with_user_metadata("km", eq=100))
    ask.expect(whole("drive-10"), sequence().with_user_metadata("km", eq="unknown"))
    ask.expect(whole("drive-1"), sequence().with_user_metadata("km", between=[12, 13]))
    ask.expect(whole("drive-2"), sequence().with_user_metadata("rain", eq=False))
    ask.expect(whole("drive-1"), sequence().with_user_metadata("tags.0", eq="night"))
    ask.expect({}, sequence().with_user_metadata("missing.key", eq=1))
    ask.expect(
        {"drive-1": {"/front/imu"}, "drive-10": {"/rear/imu"}, "walk-1": {"/gps"}},
        topic().with_user_metadata("vendor", eq="ACME"),
    )
    ask.expect(
        {"drive-10": {"/rear/imu"}}, topic().with_user_metadata("vendor", eq="ACME").with_user_metadata("rate", gt=200)
    )
    both = sequence().with_user_metadata("driver.id", eq="drv_17").with_user_metadata("rain", eq=True)
    ask.expect({"drive-1": {"/front/imu"}}, both, topic().with_ontology_tag(Integer64.ontology_tag()))
    ask.expect({"drive-1": {"/front/imu"}}, Query(both, topic().with_user_metadata("rate", eq=200)))


def by_newer_operators(ask: Asker) -> dict[str, list[str]]:
    """Operators that came with 0.5 (neq, ex, nex) and 0.6 (in, match, outside)."""
    ours = QueryTopic().with_name_match("/" if family.is_old else "*")
    ask.expect(whole("drive-2", "drive-10"), QuerySequence().with_user_metadata("driver.id", neq="drv_17"), ours)
    ask.expect(whole("drive-10"), QuerySequence().with_user_metadata("note", ex=True), ours)
    ask.expect(whole("drive-1", "drive-2", "walk-1"), QuerySequence().with_user_metadata("note", ex=False), ours)
    if family.is_old:
        return {"operators": ["neq", "ex", "nex"]}
    ask.expect(
        whole("drive-2", "drive-10"), QuerySequence().with_user_metadata("driver.id", in_=["drv_18", "drv_19"]), ours
    )
    ask.expect(whole(*drives), QuerySequence().with_user_metadata("driver.id", match="drv_1*"), ours)
    ask.expect(whole("drive-2"), QuerySequence().with_user_metadata("driver.age", outside=[0, 50]), ours)
    ask.expect(whole("drive-2"), QuerySequence().with_user_metadata("driver.*", eq="drv_18"), ours)
    ask.expect(whole("drive-1", "walk-1"), QuerySequence().with_user_metadata("**.id", eq="drv_17"), ours)
    ask.expect(whole("drive-1"), QuerySequence().with_user_metadata("tags[*]", eq="city"), ours)
    return {"operators": ["neq", "ex", "nex", "in", "match", "outside", "*", "**", "[*]"]}


def chained(ask: Asker) -> None:
    """A response turned into the next query: the restriction of the first holds in the second."""
    first = ask.client.query(
        QuerySequence().with_user_metadata("driver.id", eq="drv_17"), QueryTopic().with_name("/gps")
    )
    ask.expect(
        {"drive-1": {"/front/imu"}}, first.to_query_sequence(), QueryTopic().with_ontology_tag(Integer64.ontology_tag())
    )
    imus = ask.client.query(QueryTopic().with_name("/front/imu"))
    ask.expect({"drive-1": {"/front/imu"}, "drive-2": {"/front/imu"}}, imus.to_query_topic())


def by_value(ask: Asker) -> None:
    """Conditions on recorded values, alone, with conditions on the catalog, and on two models at once."""
    number, real, text = Integer64.Q.data, Floating64.Q.data, String.Q.data
    imus = {"drive-1": {"/front/imu"}, "drive-2": {"/front/imu"}, "drive-10": {"/rear/imu"}}
    gps = {"drive-1": {"/gps"}, "drive-10": {"/gps"}, "walk-1": {"/gps"}}
    for condition in (number.gt(0), number.eq(1), number.leq(1), number.between([1, 2]), number.neq(2), number.in_([1, 7])):
        ask.expect(imus, QueryOntologyCatalog(condition))
    for condition in (number.gt(1), number.lt(1), number.eq(2), number.neq(1)):
        ask.expect({}, QueryOntologyCatalog(condition))
    ask.expect(gps, QueryOntologyCatalog(real.between([0.5, 1.5])))
    ask.expect({"drive-2": {"/notes"}}, QueryOntologyCatalog(text.eq("text")))
    ask.expect({"drive-2": {"/front/imu"}}, QueryOntologyCatalog(number.gt(0)), QuerySequence().with_name(ask.name("drive-2")))
    ask.expect(whole("drive-1", "drive-10"), QueryOntologyCatalog(number.gt(0), real.gt(0)))


#: Operators and operands of which the first matches what was written and the second does not.
operators = {
    "eq": lambda value, other: (value, other),
    "neq": lambda value, other: (other, value),
    "lt": lambda value, other: (other, value),
    "leq": lambda value, other: (value, None),
    "gt": lambda value, other: (None, value),
    "geq": lambda value, other: (value, other),
    "in_": lambda value, other: ([other, value], [other]),
    "between": lambda value, other: ([value, other], [other, other]),
    "outside": lambda value, other: ([other, other], [value, other]),
    "ex": lambda *_: ((), None),
    "nex": lambda *_: (None, ()),
}


def by_operator(ask: Asker) -> dict[str, list[str]]:
    """Every operator that the builder has for a kind of field, each with an operand that matches and one that does not."""
    imus = {"drive-1": {"/front/imu"}, "drive-2": {"/front/imu"}, "drive-10": {"/rear/imu"}}
    gps = {"drive-1": {"/gps"}, "drive-10": {"/gps"}, "walk-1": {"/gps"}}
    kinds: dict[str, tuple[Any, Found, Any, Any]] = {
        "integer": (Integer64.Q.data, imus, 1, 2),
        "float": (Floating64.Q.data, gps, 1.0, 1.5),
        "text": (String.Q.data, {"drive-2": {"/notes"}}, "text", "texts"),
        "boolean": (Boolean.Q.data, {"walk-1": {"/flag"}}, True, False),
    }
    if not family.is_old:
        joints = {"walk-1": {"/joints"}}
        kinds["any item"] = (RobotJoint.Q.positions.any(), joints, 0.5, 7.0)
        kinds["all items"] = (RobotJoint.Q.velocities.all(), joints, 1.0, 2.0)
        kinds["item"] = (RobotJoint.Q.names[1], joints, "knee", "knees")
    asked: dict[str, list[str]] = {}
    for kind, (field, found, value, other) in kinds.items():
        asked[kind] = [name for name in operators if hasattr(field, name)]
        for name in asked[kind]:
            matching, failing = operators[name](value, other)
            for operand, expected in ((matching, found), (failing, {})):
                if operand is None:
                    continue
                operand = operand if name not in ("ex", "nex") else ()
                condition = getattr(field, name)(*([operand] if operand != () else []))
                ask.expect(expected, QueryOntologyCatalog(condition))
    matches = {"ex": True, "?ex*": False, "t_xt": True, "TEXT": False} if family.is_old else {"ex": False, "?ex*": True}
    for pattern, is_found in matches.items():
        ask.expect({"drive-2": {"/notes"}} if is_found else {}, QueryOntologyCatalog(String.Q.data.match(pattern)))
    report.true(all(len(names) > 0 for names in asked.values()), f"every kind has operators, found {asked}")
    return asked


def checks(run: report.Report, server: Server) -> None:
    with server.connect() as client:
        times: dict[str, int] = {}
        if not run.run("catalog: written", lambda: times.update(write(server, client))):
            return
        ask = Asker(server, client, times)
        run.run("catalog: by name", lambda: by_name(ask))
        run.run("catalog: by name match", lambda: by_match(ask))
        run.run("catalog: by time", lambda: by_time(ask))
        run.run("catalog: by ontology tag", lambda: by_tag(ask))
        run.run("catalog: by metadata", lambda: by_metadata(ask))
        if family.letter != "A":
            run.run("catalog: by metadata, newer operators", lambda: by_newer_operators(ask))
        run.run("catalog: chained queries", lambda: chained(ask))
        run.run("catalog: by value", lambda: by_value(ask))
        run.run("catalog: by operator", lambda: by_operator(ask))
