"""Runs functions at the same time, each in a thread of its own."""

import threading
from typing import Any, Callable

import report

wait_seconds = 60


def together(*works: Callable[[], Any]) -> list[Any]:
    """Runs the works at once, each in its own thread; returns their results; raises the first failure."""
    results: list[Any] = [None] * len(works)
    failures: list[BaseException] = []

    def run(index: int, work: Callable[[], Any]) -> None:
        try:
            results[index] = work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index, work), daemon=True) for index, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(wait_seconds)
    if failures:
        raise failures[0]
    report.true(not any(thread.is_alive() for thread in threads), f"a client hangs for {wait_seconds} s")
    return results
