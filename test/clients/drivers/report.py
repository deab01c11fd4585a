"""Results of a driver: one JSON line per check on stdout, exit code 1 if any failed.

A check is a function; what it returns is its detail, what it raises is its failure. Nothing else goes to stdout, so
a line that is not JSON is a bug of the driver.
"""

import json
import sys
import time
import traceback
from typing import Any, Callable


class Report:
    def __init__(self) -> None:
        self.failed = 0

    def run(self, name: str, check: Callable[[], Any]) -> bool:
        """Runs one check and prints its line. Goes on after a failure: one broken check must not hide others."""
        start = time.monotonic()
        try:
            detail, ok = check(), True
        except BaseException as error:  # the SDK raises plain Exception, pyarrow its own tree; a typo must show as well
            if isinstance(error, KeyboardInterrupt):
                raise
            detail, ok = {"error": f"{type(error).__name__}: {error}"[:2000], "at": place(error)}, False
            self.failed += 1
        line = {"check": name, "ok": ok, "ms": round((time.monotonic() - start) * 1000), "detail": detail}
        print(json.dumps(line), flush=True)
        return ok

    def exit(self) -> None:
        sys.stdout.flush()
        sys.exit(1 if self.failed else 0)


def say(event: str, **fields: Any) -> None:
    """A line that is no check, for whoever drives us: `{"event": "ready"}`."""
    print(json.dumps({"event": event, **fields}), flush=True)


def place(error: BaseException) -> list[str]:
    """The last frames, innermost last: enough to find the assertion."""
    return [
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-5:]
    ]


def equal(actual: Any, expected: Any, what: str) -> None:
    if actual != expected:
        raise AssertionError(f"{what}: expected {shorten(expected)}, got {shorten(actual)}")


def true(condition: Any, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def raises(action: Callable[[], Any], what: str) -> Exception:
    """The exception that `action` raises; it is a failure if it raises none."""
    try:
        result = action()
    except Exception as error:
        return error
    raise AssertionError(f"{what}: expected an exception, got {shorten(result)}")


def shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:400]} ... {text[-200:]}"
