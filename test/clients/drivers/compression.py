"""Checks: uploads over gRPC channels that compress (0.5 and newer): large messages are, small ones are not."""

from typing import Any

import family
import models
import report
from family import Server


def upload(server: Server, algorithm: str) -> dict[str, Any]:
    from mosaicolabs import GRPCCompressionAlgorithm

    topics = models.plan(server)
    sequence = server.name(f"compressed{algorithm.replace('_', '-')}")
    with server.connect(compression=GRPCCompressionAlgorithm[algorithm]) as client:
        models.write(server, client, sequence, topics)
        models.read_by_topic(client, sequence, topics)
    with server.connect() as client:
        return models.read_by_sequence(client, sequence, topics)


def checks(run: report.Report, server: Server) -> None:
    if not family.has_compression:
        return
    for algorithm in ("Gzip", "StreamGzip", "_Deflate"):
        run.run(f"compression: {algorithm}", lambda: upload(server, algorithm))
