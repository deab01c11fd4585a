"""Time ranges of a real drive and of a simulated one, by areas and bounds of the position and by how hard the robot brakes.

    drives.py HOST PORT GPX [--queries N] [--seed N]

Uploads the track of a GPX file as `car/gps`, reads that and every topic of the simulated drive back (`simulated/...`, which somebody
else has uploaded) and asks for areas around random places of them. Prints what was asked how often; fails with the first difference.
"""

import argparse
import collections
import json
import random
from typing import Any, Callable

import pyarrow as pa
import report
from bench import batch_of, table_schema
from oracle_rules import Rows, Table, field_rows, ranges_of, test_of, within_rows
from track import points_of
from wire import Wire

kinds = ["box", "circle", "$between latitude", "$between longitude", "box and $between altitude", "$norm"]
rows_per_batch = 8
ranges_most = 10_000


def upload(wire: Wire, file: str) -> None:
    points = points_of(file)
    report.true(len(points) > 100, f"the recording has {len(points)} points")
    position = pa.struct([pa.field(axis, pa.float64(), nullable=False) for axis in "xyz"])
    schema = table_schema(pa.field("position", position))
    session = wire.sequence("car", {"source": file.rsplit("/", 1)[-1]})
    batches = []
    for first in range(0, len(points), rows_per_batch):
        some = points[first : first + rows_per_batch]
        places = [dict(zip("xyz", point[1:])) for point in some]
        batches.append(batch_of(schema, [point[0] for point in some], [pa.array(places, position)]))
    wire.put(wire.topic(session, "car/gps", "gps"), schema, batches)
    wire.action("session_finalize", {"session_uuid": session})


class Drives:
    def __init__(self, wire: Wire, rng: random.Random) -> None:
        self.wire, self.rng = wire, rng
        self.hits: collections.Counter[str] = collections.Counter()
        self.tracks = [self.read("car/gps", "gps"), self.read("simulated/sensors/gps", "gps")]
        self.imu = self.read("simulated/sensors/imu", "imu")

    def read(self, locator: str, tag: str) -> Table:
        schema, batches = self.wire.get(locator)
        return Table(locator, tag, batches, schema)

    def axis(self, table: Table, name: str) -> list[float]:
        column = table.column(name)
        assert column is not None
        return column[1]

    def ask(self, kind: str) -> tuple[str, dict[str, Any], Callable[[Table], Rows]]:
        """Tag, conditions and what they mean."""
        rng = self.rng
        if kind == "$norm":
            bound = rng.choice([9.7, 9.8, 9.82, 11, 12.6, 12.7, 50])
            axes = [self.axis(self.imu, f"acceleration.{axis}") for axis in "xyz"]
            test = test_of("number", ("$gt", bound), "glob")
            rows = [test((x * x + y * y + z * z) ** 0.5) for x, y, z in zip(*axes)]
            return "imu", {"imu.acceleration": {"$norm": {"$gt": bound}}}, lambda _: rows
        track = rng.choice(self.tracks)
        latitudes, longitudes = self.axis(track, "position.x"), self.axis(track, "position.y")
        row = rng.randrange(len(latitudes))
        share = rng.choice([0, 0.01, 0.1, 0.4])
        half = [share * (max(values) - min(values)) for values in (latitudes, longitudes)]
        south, north = latitudes[row] - half[0], latitudes[row] + half[0]
        west, east = longitudes[row] - half[1], longitudes[row] + half[1]
        if kind == "circle":
            area = {"circle": [latitudes[row], longitudes[row], rng.choice([0, 20, 150, 1e5])]}
            return "gps", {"gps": {"$within": area}}, lambda table: within_rows(table, area)
        if kind.startswith("$between"):
            path, bounds = ("x", [south, north]) if kind.endswith("latitude") else ("y", [west, east])
            condition = "$between", bounds
            return (
                "gps",
                {f"gps.position.{path}": {"$between": bounds}},
                lambda table: field_rows(table, f"position.{path}", condition, "glob"),
            )
        box = {"box": [south, west, north, east]}
        conditions: dict[str, Any] = {"gps": {"$within": box}}
        if kind == "box":
            return "gps", conditions, lambda table: within_rows(table, box)
        heights = sorted(rng.sample(self.axis(track, "position.z"), 2))
        conditions["gps.position.z"] = {"$between": heights}
        both = lambda table: zip(
            within_rows(table, box), field_rows(table, "position.z", ("$between", heights), "glob")
        )
        return "gps", conditions, lambda table: [all(pair) for pair in both(table)]

    def check(self, number: int) -> None:
        kind = kinds[number % len(kinds)]
        tag, conditions, rows_of = self.ask(kind)
        tables = self.tracks if tag == "gps" else [self.imu]
        # At 200 rows a second, each of its own, ranges without a gap are as many as rows.
        gap = self.rng.choice([0 if tag == "gps" else 10**7, 10**8, 10**9, 10**10])
        options = {"include_time_ranges": {"gap_ns": gap, "limit": ranges_most}, "explain": True}
        sent = {"ontology": {**conditions, **options}}
        answer = self.wire.action("query", sent)
        found = {topic["locator"]: topic["time_ranges"] for item in answer["items"] for topic in item["topics"]}
        for table in tables:
            rows = rows_of(table)
            times = [at for at, one in zip(table.times, rows) if one]
            expected = ranges_of(times, gap)[:ranges_most]
            report.equal(found.pop(table.locator, []), expected, f"query {number}, {json.dumps(sent)}: {table.locator}")
            share = "none" if not times else "all" if len(times) == len(rows) else "some"
            self.hits[f"{kind}: {share}"] += 1
            self.hits[f"{table.locator}: {share}"] += 1
            if len(expected) > 1:
                self.hits[f"{table.locator}: several ranges"] += 1
            if share == "some" and len(expected) < 100 and self.rng.random() < 0.2:
                self.fetch(table.locator, expected, len(times), gap)
        report.equal(found, {}, f"query {number}: other topics")
        for level in ("topics", "chunks"):
            for verdict, count in answer["explain"][level].items():
                self.hits[f"{level} {verdict}"] += count

    def fetch(self, locator: str, ranges: list[list[int]], matching: int, gap: int) -> None:
        """A client reads the windows: all that matches is in them, and with no gap nothing else."""
        read = sum(batch.num_rows for start, end in ranges for batch in self.wire.get(locator, start, end + 1)[1])
        report.true(read == matching if gap == 0 else read >= matching, f"{locator}: {read} rows in windows, {matching} match")
        self.hits["windows fetched"] += len(ranges)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("gpx")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wire = Wire(options.host, options.port)
    upload(wire, options.gpx)
    drives = Drives(wire, random.Random(options.seed))
    run = report.Report()

    def queries() -> int:
        for number in range(options.queries):
            drives.check(number)
        return options.queries

    def coverage() -> dict[str, int]:
        wanted = [f"{kind}: {share}" for kind in kinds for share in ("none", "some")]
        tracks = [table.locator for table in drives.tracks]
        wanted += [f"{track}: {what}" for track in tracks for what in ("none", "some", "all", "several ranges")]
        wanted += [f"{level} {verdict}" for level in ("topics", "chunks") for verdict in ("no", "maybe", "all")]
        wanted += ["windows fetched"]
        report.equal([one for one in wanted if drives.hits[one] == 0], [], "cells without a hit")
        return dict(sorted(drives.hits.items()))

    run.run("drives: exactly the right time ranges", queries)
    run.run("drives: coverage", coverage)
    run.exit()


if __name__ == "__main__":
    main()
