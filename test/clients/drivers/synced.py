"""What was synced is equal at both ends, value by value, whatever the types that a central daemon gives back.

synced.py HERE_PORT THERE_HOST THERE_PORT SEQUENCE...    --api-key for there; --probe A for a daemon of 0.4
"""

import argparse
import json
import math
from typing import Any

import report
from wire import Wire


def plain(value: Any) -> Any:
    """Equal for NaN too, and for values that JSON tells apart from their neighbours only by type."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def rows_of(wire: Wire, locator: str) -> list[dict[str, Any]]:
    _, batches = wire.get(locator)
    return [plain(row) for batch in batches for row in batch.to_pylist()]


def topics_of(wire: Wire, sequence: str) -> dict[str, Any]:
    sessions = json.loads(wire.info(sequence).app_metadata)["sessions"]
    report.true(all(session["locked"] for session in sessions if session["topics"]), "all sessions are finalized")
    return {locator.lstrip("/"): None for session in sessions for locator in session["topics"]}


def compare(here: Wire, there: Wire, sequence: str) -> dict[str, int]:
    locators = sorted(topics_of(here, sequence))
    report.equal(sorted(topics_of(there, sequence)), locators, "topics")
    rows = 0
    for locator in locators:
        expected, found = rows_of(here, locator), rows_of(there, locator)
        report.equal(len(found), len(expected), f"rows of {locator}")
        for number, (one, other) in enumerate(zip(expected, found)):
            report.equal(other, one, f"row {number} of {locator}")
        rows += len(expected)
    return {"topics": len(locators), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("here", type=int)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("sequences", nargs="+")
    parser.add_argument("--api-key")
    parser.add_argument("--probe", default="C")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run = report.Report()
    here = Wire("127.0.0.1", options.here)
    there = Wire(options.host, options.port, api_key=options.api_key, probe=options.probe)
    for sequence in options.sequences:
        run.run(f"synced: {sequence}", lambda: compare(here, there, sequence))
    run.exit()


if __name__ == "__main__":
    main()
