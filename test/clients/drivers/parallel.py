"""Checks: clients side by side: two writers in one sequence, a reader beside a writer, one name asked for twice at
once.
"""

import threading
from typing import Any

from mosaicolabs import Integer64, String

import family
import report
from family import Server
from parallel_work import together, wait_seconds


def two_writers(server: Server) -> dict[str, Any]:
    """Two clients write two sessions of one sequence; both are open all the time, their pushes alternate."""
    sequence = server.name("shared")
    count, topics = 400, 4
    with server.connect() as client:
        with client.sequence_create(sequence, {}) as writer:
            report.true(writer.topic_create("/start", {}, String) is not None, "no writer")
    step = threading.Barrier(2, timeout=wait_seconds)

    def write(who: int) -> None:
        with server.connect() as client:
            with family.updater(client, sequence) as session:
                writers = [session.topic_create(f"/w{who}/{topic}", {"who": who}, Integer64) for topic in range(topics)]
                report.true(all(writer is not None for writer in writers), "no writer")
                step.wait()
                for index in range(count):
                    for topic, writer in enumerate(writers):
                        writer.push(family.message(index * 10 + who, Integer64(data=index * topics + topic)))
                    if index % 100 == 0:
                        step.wait()

    together(lambda: write(1), lambda: write(2))
    with server.connect() as client:
        handler = client.sequence_handler(sequence)
        report.equal(len(handler.sessions), 3, "sessions")
        report.equal([session.locked for session in handler.sessions], [True] * 3, "sessions locked")
        for who in (1, 2):
            for topic in range(topics):
                got = family.read_topic(client, sequence, f"/w{who}/{topic}")
                report.equal(
                    [message.timestamp_ns for message in got], [index * 10 + who for index in range(count)], "times"
                )
                report.equal(
                    [message.data.data for message in got], [index * topics + topic for index in range(count)], "values"
                )
        rows = list(family.read_sequence(client, sequence))
        report.equal(len(rows), 2 * topics * count, "rows of the sequence")
    return {"rows": len(rows)}


def reader_beside_writer(server: Server) -> dict[str, Any]:
    """What is finished is read again and again, equal each time, while another client writes beside it."""
    sequence = server.name("beside")
    with server.connect() as client, client.sequence_create(sequence, {}) as writer:
        topic_writer = writer.topic_create("/done", {}, Integer64)
        for index in range(2000):
            topic_writer.push(family.message(index, Integer64(data=index * index)))
    done = threading.Event()

    def write() -> None:
        try:
            with server.connect() as client:
                for number in range(10):
                    with family.updater(client, sequence) as session:
                        topic_writer = session.topic_create(f"/more/{number}", {}, String)
                        for index in range(200):
                            topic_writer.push(family.message(index, String(data=f"{number} {index}")))
        finally:
            done.set()

    def read() -> int:
        rounds = 0
        with server.connect() as client:
            while not done.is_set() or rounds == 0:
                got = family.read_topic(client, sequence, "/done")
                report.equal([message.data.data for message in got], [index * index for index in range(2000)], "values")
                rounds += 1
        return rounds

    _, rounds = together(write, read)
    with server.connect() as client:
        report.equal(len(client.sequence_handler(sequence).sessions), 11, "sessions")
    return {"rounds": rounds}


def one_name(server: Server) -> dict[str, Any]:
    """Of several clients that create one sequence at once exactly one succeeds, and its data is what is stored."""
    sequence = server.name("race")
    count = 4
    step = threading.Barrier(count, timeout=wait_seconds)

    def create(who: int) -> str:
        with server.connect() as client:
            step.wait()
            try:
                with client.sequence_create(sequence, {"who": who}) as writer:
                    writer.topic_create("/t", {}, Integer64).push(family.message(1, Integer64(data=who)))
            except Exception as error:
                return f"{type(error).__name__}: {error}"[:200]
            return ""

    outcomes = together(*[lambda who=who: create(who) for who in range(count)])
    winners = [who for who, outcome in enumerate(outcomes) if outcome == ""]
    report.equal(len(winners), 1, f"winners, outcomes were {outcomes}")
    with server.connect() as client:
        report.equal(client.sequence_handler(sequence).user_metadata, {"who": winners[0]}, "metadata")
        report.equal([message.data.data for message in family.read_topic(client, sequence, "/t")], winners, "rows")
        report.equal(client.list_sequences().count(sequence), 1, "times listed")
    return {"refusal": next(outcome for outcome in outcomes if outcome)}


def checks(run: report.Report, server: Server) -> None:
    run.run("parallel: two writers in one sequence", lambda: two_writers(server))
    run.run("parallel: a reader beside a writer", lambda: reader_beside_writer(server))
    run.run("parallel: one name for several clients", lambda: one_name(server))
