"""Driver of plain pyarrow.flight against a running server: everything of the protocol that no SDK can do.

    flight.py HOST PORT [--api-key TOKEN] [--seed N] [--only GROUP]

The group `starved` is for a server with the smallest memory budget, and runs only when it is asked for.
"""

import argparse

import pyarrow as pa

import flight_refusals
import flight_rows
import flight_starved
import flight_types
import report
from bench import Bench

groups = {
    "types": flight_types.checks,
    "rows": flight_rows.checks,
    "refusals": flight_refusals.checks,
    "starved": flight_starved.checks,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--api-key")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(groups))
    options = parser.parse_args()
    bench = Bench(options.host, options.port, options.api_key, options.seed)
    run = report.Report()
    report.say("start", pyarrow=pa.__version__, seed=options.seed)
    for name, checks in groups.items():
        if options.only == name or (options.only is None and name != "starved"):
            run.run(f"{name}: group ran to its end", lambda: checks(run, bench))
    run.exit()


if __name__ == "__main__":
    main()
