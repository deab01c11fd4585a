"""Driver of one installed SDK release against a running server. Prints JSON lines (`report.py`).

sdk.py all HOST PORT            every check; --dump FILE keeps what was written, for other releases to compare with;
                                --file GPX names a recording for the drive there and back
sdk.py read-foreign HOST PORT   reads what other releases wrote: --foreign PORT SEQUENCE FILE, repeated
sdk.py keys HOST PORT           API keys; needs --api-key with the right to manage, --read-key, --write-key
sdk.py one HOST PORT            writes and reads the sequence --sequence NAME, or --fails to
sdk.py hold HOST PORT           writes, says "ready", waits for a line on stdin while the server restarts, goes on
"""

import argparse

import report
from family import Server, letter, version


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["all", "read-foreign", "keys", "one", "hold"])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--api-key")
    parser.add_argument("--read-key")
    parser.add_argument("--write-key")
    parser.add_argument("--dump", help="file to write the plain values of all models to")
    parser.add_argument("--foreign", nargs=3, action="append", default=[], metavar=("PORT", "SEQUENCE", "FILE"))
    parser.add_argument("--sequence")
    parser.add_argument("--file", help="GPX recording")
    parser.add_argument("--fails", action="store_true", help="the server takes this release for another one")
    parser.add_argument("--only", help="run only this group of checks")
    options = parser.parse_args()
    server = Server(options.host, options.port, options.api_key, options.seed)
    run = report.Report()
    report.say("start", sdk=version, family=letter, seed=options.seed, command=options.command)
    if options.command == "all":
        import bag
        import catalog
        import compression
        import metadata
        import models
        import parallel
        import recording
        import sessions
        import windows

        groups = {
            "models": lambda: models.checks(run, server, options.dump),
            "windows": lambda: windows.checks(run, server),
            "metadata": lambda: metadata.checks(run, server),
            "sessions": lambda: sessions.checks(run, server),
            "catalog": lambda: catalog.checks(run, server),
            "parallel": lambda: parallel.checks(run, server),
            "compression": lambda: compression.checks(run, server),
            "bag": lambda: bag.checks(run, server),
            "recording": lambda: recording.checks(run, server, options.file),
        }
        for name, group in groups.items():
            if options.only in (None, name):
                run.run(f"{name}: group ran to its end", lambda: group())
    elif options.command == "read-foreign":
        import foreign

        for port, sequence, file in options.foreign:
            foreign.checks(run, Server(options.host, int(port), options.api_key, options.seed), sequence, file)
    elif options.command == "keys":
        import keys

        keys.checks(run, server, options.read_key, options.write_key)
    else:
        import hold

        if options.command == "one":
            hold.one(run, server, options.sequence, options.fails)
        else:
            hold.checks(run, server)
    run.exit()


if __name__ == "__main__":
    main()
