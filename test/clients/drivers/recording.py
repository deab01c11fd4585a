"""A real drive: the GPS track of a car, from a GPX file, through an SDK to the server and back.

Latitude is `position.x`, longitude `position.y`, altitude `position.z`, as the SDKs define it.
"""

from typing import Any

from mosaicolabs import GPS, Point3d

import family
import report
from family import Server
from track import Point, points_of

def read(client: Any, sequence: str, **window: int) -> list[Point]:
    got = family.read_topic(client, sequence, "/car/gps", **window)
    positions = [message.get_data(GPS).position for message in got]
    return [(message.timestamp_ns, position.x, position.y, position.z) for message, position in zip(got, positions)]


def drive(server: Server, client: Any, file: str) -> dict[str, Any]:
    points = points_of(file)
    report.true(len(points) > 100, f"the recording has {len(points)} points")
    report.equal(points, sorted(points), "order of the recording")
    sequence = server.name("car")
    with client.sequence_create(sequence, {"source": file.rsplit("/", 1)[-1], "vehicle": "car"}) as writer:
        topic_writer = writer.topic_create("/car/gps", {"receiver": "eTrex 20x"}, GPS)
        for time_ns, latitude, longitude, altitude in points:
            topic_writer.push(family.message(time_ns, GPS(position=Point3d(x=latitude, y=longitude, z=altitude))))
    report.equal(read(client, sequence), points, "the whole drive")
    start, end = points[0][0] + 60 * 10**9, points[0][0] + 180 * 10**9
    minutes = read(client, sequence, start_timestamp_ns=start, end_timestamp_ns=end)
    report.equal(minutes, [point for point in points if start <= point[0] < end], "minutes two and three")
    report.true(0 < len(minutes) < len(points), "the window cuts the drive")
    handler = family.fresh_handler(client, sequence)
    report.equal(
        (handler.timestamp_ns_min, handler.timestamp_ns_max), (points[0][0], points[-1][0]), "bounds of the drive"
    )
    return {"points": len(points), "seconds": (points[-1][0] - points[0][0]) / 1e9, "window": len(minutes)}


def checks(run: report.Report, server: Server, file: str | None) -> None:
    if file is None:
        return
    with server.connect() as client:
        run.run("recording: a car's drive", lambda: drive(server, client, file))
