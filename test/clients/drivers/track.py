"""GPS tracks of GPX files."""

import datetime
import xml.etree.ElementTree as tree

Point = tuple[int, float, float, float]


def points_of(file: str) -> list[Point]:
    """Time in nanoseconds, latitude, longitude and altitude of every track point."""
    name = "{http://www.topografix.com/GPX/1/1}"
    points = []
    for point in tree.parse(file).getroot().iter(f"{name}trkpt"):
        moment = datetime.datetime.fromisoformat(point.findtext(f"{name}time").replace("Z", "+00:00"))
        elapsed = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        time_ns = (elapsed.days * 86_400 + elapsed.seconds) * 10**9 + elapsed.microseconds * 1000
        points.append((time_ns, float(point.get("lat")), float(point.get("lon")), float(point.findtext(f"{name}ele"))))
    return points
