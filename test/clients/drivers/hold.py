"""A client that lives through a restart of the server: it goes on without connecting again, as a notebook would."""

import sys
from typing import Any

from mosaicolabs import Integer64

import family
import report
from family import Server


def write(client: Any, sequence: str, first: int) -> None:
    with client.sequence_create(sequence, {"first": first}) as writer:
        for topic in ("/a", "/b/c"):
            topic_writer = writer.topic_create(topic, {"first": first}, Integer64)
            report.true(topic_writer is not None, f"no writer for {topic}")
            for index in range(50):
                topic_writer.push(family.message(1 + index, Integer64(data=first + index)))


def read(client: Any, sequence: str, first: int) -> None:
    handler = family.fresh_handler(client, sequence)
    report.true(handler is not None, f"no handler for {sequence}")
    report.equal(handler.user_metadata, {"first": first}, "metadata")
    for topic in ("/a", "/b/c"):
        got = family.read_topic(client, sequence, topic)
        report.equal(
            [message.get_data(Integer64).data for message in got],
            [first + index for index in range(50)],
            f"{sequence}{topic}",
        )


def checks(run: report.Report, server: Server) -> None:
    before, after = server.name("before"), server.name("after")
    with server.connect() as client:
        run.run(
            "hold: written and read before the restart",
            lambda: (write(client, before, 100), read(client, before, 100))[0],
        )
        report.say("ready")
        report.true(sys.stdin.readline() != "", "stdin was closed before the restart")
        # No connect: the first call after the restart is a write. The server has to know this client by its key.
        run.run("hold: written after the restart", lambda: write(client, after, 200))
        run.run("hold: read after the restart", lambda: (read(client, before, 100), read(client, after, 200))[0])
        run.run(
            "hold: listed after the restart",
            lambda: report.true({before, after} <= set(client.list_sequences()), "both listed"),
        )


def one(run: report.Report, server: Server, sequence: str, fails: bool) -> None:
    """One sequence. `fails`: on a server that takes 0.5 for 0.4 the write block raises TypeError before any data
    is sent.
    """
    with server.connect() as client:
        if fails:
            run.run(
                "one: fails",
                lambda: report.equal(
                    type(report.raises(lambda: write(client, sequence, 1), "writing")), TypeError, "the error"
                ),
            )
        else:
            run.run("one: written and read", lambda: (write(client, sequence, 1), read(client, sequence, 1))[0])
