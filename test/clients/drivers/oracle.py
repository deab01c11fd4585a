"""Random queries on contents against an oracle that reads everything back and compares value by value.

    oracle.py HOST PORT QUERIES [--seed N]

Every query is asked twice, with and without the skip index. Prints how often each operator met each kind of field, how many
answers were neither empty nor full, and what the index skipped. Fails with the first differences, or when a cell is empty.
"""

import argparse
import collections
import json
import random
import time
from typing import Any, Callable

import report
from oracle_data import Maker, first_ns, upload
from oracle_rules import Condition, Rows, Table, field_rows, norm_rows, norms_of, order_of, ranges_of, within_rows
from wire import Wire

scalar_fields = ["i8", "i64", "u64", "f32", "f64", "flag", "text", "large", "word", "at", "sub.n", "sub.x", "sub.t"]
list_fields = ["ints", "reals", "words"]
item_fields = ["parts[?].n", "parts[!].x", "parts[1].n"]
text_fields = {"text", "large", "word", "sub.t", "words[?]", "words[!]", "words[1]"}
operators = ["$eq", "$neq", "$lt", "$leq", "$gt", "$geq", "$between", "$outside", "$in", "$ex", "$nex"]
fields = [*scalar_fields, *(f"{name}[{choice}]" for name in list_fields for choice in "?!1"), *item_fields]
cells = [
    *((operator, path) for path in fields for operator in operators),
    *(("$match", path) for path in sorted(text_fields)),
    *((operator, name) for name in list_fields for operator in ("$eq", "$neq")),
]
share_wanted = 0.3


class Asked:
    """A part of a query for one tag, as JSON and as what it means."""

    def __init__(self, entries: dict[str, Any], rows: Callable[[Table], Rows]) -> None:
        self.entries, self.rows = entries, rows


class Oracle:
    def __init__(self, tables: list[Table], rng: random.Random) -> None:
        self.tables, self.rng = tables, rng
        self.by_tag: dict[str, list[Table]] = {}
        for table in tables:
            self.by_tag.setdefault(table.tag, []).append(table)
        self.hits: collections.Counter[str] = collections.Counter()
        self.skips: collections.Counter[str] = collections.Counter()
        self.partial = 0

    def values_of(self, tag: str, path: str) -> list[Any]:
        """Values of that field in one of the topics; of lists their items."""
        table = self.rng.choice(self.by_tag[tag])
        field, _, rest = path.partition("[")
        column = table.column(field)
        values = [] if column is None else column[1]
        if values and any(isinstance(value, list) for value in values):
            values = [item for items in values if isinstance(items, list) for item in items]
            _, _, item_field = rest.partition(".")
            values = [item[item_field] if isinstance(item, dict) and item_field else item for item in values]
        return [value for value in values if is_plain(value)]

    def operand(self, tag: str, path: str) -> Any:
        rng = self.rng
        values = self.values_of(tag, path)
        value = rng.choice(values) if values else rng.choice([1, 0.5, "on", True])
        # Where ranges end, and so where an index goes wrong.
        if rng.random() < 0.3 and len({kind_of(one) for one in values}) == 1:
            value = rng.choice([min, max])(values)
        if rng.random() < 0.03:
            return rng.choice([7, -1.5, "off", False, 2**53 + 1, 2.0**53, 2**70])
        if isinstance(value, bool) or isinstance(value, str):
            return value
        if path == "at" and isinstance(value, int) and rng.random() < 0.3:
            return f"2023-11-14T22:13:20.{abs(value - first_ns) % 10**9:09d}Z"
        twist = rng.random()
        if isinstance(value, int):
            return float(value) if twist < 0.2 else value + rng.choice([0, 0, 1, -1])
        return int(value) if twist < 0.2 else value + rng.choice([0, 0, 0.25]) if abs(value) < 2**50 else value

    def condition(self, operator: str, tag: str, path: str, style: str) -> Condition:
        rng = self.rng
        if operator in ("$ex", "$nex"):
            return operator, None
        if operator == "$in":
            return operator, [self.operand(tag, path) for _ in range(rng.randint(1, 4))]
        if operator == "$match":
            return operator, self.pattern(str(self.operand(tag, path)), style)
        if path in list_fields:
            return operator, self.whole_list(tag, path)
        if operator not in ("$between", "$outside"):
            return operator, self.operand(tag, path)
        while True:
            pair = [self.operand(tag, path), self.operand(tag, path)]
            if kind_of(pair[0]) == kind_of(pair[1]):
                return operator, sorted(pair)

    def whole_list(self, tag: str, path: str) -> list[Any]:
        column = self.rng.choice(self.by_tag[tag]).column(path)
        lists = [one for one in (column[1] if column else []) if isinstance(one, list) and all(is_plain(item) for item in one)]
        return self.rng.choice(lists) if lists and self.rng.random() < 0.8 else [self.operand(tag, path)]

    def pattern(self, text: str, style: str) -> str:
        rng = self.rng
        text = "".join(one for one in text if one not in "%_\\*?[]#")
        cut = rng.randint(0, len(text))
        if style == "like":
            return text[:cut] + rng.choice(["%", "_", ""]) + text[cut + 1 :][: rng.randint(0, 6)]
        return text[:cut] + rng.choice(["*", "?", "[!a]", "[a-z0-9]*", "*"]) + rng.choice([text[cut + 1 :], "*"])

    def field(self, tag: str, cell: tuple[str, str], style: str) -> Asked:
        operator, path = cell
        condition = self.condition(operator, tag, path, style)
        self.hits[f"{operator} {path}"] += 1
        body = {operator: None} if operator in ("$ex", "$nex") else {operator: condition[1]}
        return Asked({f"{tag}.{path}": body}, lambda table: field_rows(table, path, condition, style))

    def any_field(self, tag: str, style: str) -> Asked:
        return self.field(tag, self.rng.choice(cells), style)

    def area(self) -> Asked:
        rng = self.rng
        area: dict[str, list[float]]
        if rng.random() < 0.5:
            south, north = sorted([rng.uniform(-90, 90), rng.uniform(-90, 90)])
            area = {"box": [south, rng.uniform(-180, 180), north, rng.uniform(-180, 180)]}
        else:
            area = {"circle": [rng.uniform(-90, 90), rng.uniform(-180, 180), rng.choice([1e5, 2e6, 8e6, 1.5e7])]}
        self.hits[f"$within {'box' if 'box' in area else 'circle'}"] += 1
        return Asked({"gps": {"$within": area}}, lambda table: within_rows(table, area))

    def norm(self) -> Asked:
        rng = self.rng
        known = [one for one in norms_of(rng.choice(self.by_tag["gps"])) if one is not None and is_plain(one)]
        operand = lambda: rng.choice(known) if known and rng.random() < 0.7 else rng.choice([0, 90.5, 180, 1e300])
        operator = rng.choice(operators)
        operands = {"$ex": None, "$nex": None, "$in": [operand(), operand()]}
        if operator in ("$between", "$outside"):
            operands[operator] = sorted([operand(), operand()])
        condition = operator, operands[operator] if operator in operands else operand()
        self.hits[f"$norm {operator}"] += 1
        return Asked({"gps.position": {"$norm": {operator: condition[1]}}}, lambda table: norm_rows(table, condition))

    def group(self, tag: str, style: str) -> Asked:
        parts = [self.any_field(tag, style) for _ in range(self.rng.randint(1, 3))]
        if self.rng.random() < 0.5:
            self.hits["$or"] += 1
            return Asked({"$or": [part.entries for part in parts]}, lambda table: fold(any, parts, table))
        self.hits["$not"] += 1
        return Asked({"$not": parts[0].entries}, lambda table: [not one for one in parts[0].rows(table)])

    def parts(self, tag: str, first: tuple[str, str], style: str) -> list[Asked]:
        rng = self.rng
        found = [self.field(tag, first, style)]
        if rng.random() < 0.2:
            found.append(self.group(tag, style))
        if rng.random() < 0.1:
            found.append(self.any_field(tag, style))
        if tag == "gps" and rng.random() < 0.5:
            found.append(rng.choice([self.area, self.norm])())
        return found

    def names(self) -> tuple[dict[str, Any], str, Callable[[Table], bool]]:
        """What is said of sequences and topics, which tells the dialect too, and so what $match means."""
        dice = self.rng.random()
        if dice < 0.15:
            self.hits["dialect old"] += 1
            return {"sequence": {"locator": {"$match": "driv_"}}}, "like", lambda table: table.locator.startswith("drive-")
        if dice < 0.3:
            self.hits["dialect old"] += 1
            return {"topic": {"locator": {"$match": "%"}}}, "like", lambda _: True
        if dice < 0.5:
            self.hits["dialect new"] += 1
            return {"sequence": {"name": {"$match": "lab-*"}}}, "glob", lambda table: table.locator.startswith("lab-")
        self.hits["dialect any"] += 1
        return {}, "glob", lambda _: True

    def check(self, wires: dict[str, Wire], number: int) -> None:
        rng = self.rng
        body, style, named = self.names()
        options: dict[str, Any] = {"explain": True}
        gap: int | None = None
        with_range = rng.random() < 0.1 and style == "like"
        if with_range:
            options["include_timestamp_range"] = True
            self.hits["timestamp_range"] += 1
        elif rng.random() < 0.15 and style == "glob":
            gap = rng.choice([1, 10, 50, 10**6])
            options["include_time_ranges"] = {"gap_ns": gap, "limit": 1000}
            self.hits["time_ranges"] += 1
        asked: dict[str, list[Asked]] = {}
        for tag in rng.sample(sorted(self.by_tag), 2 if rng.random() < 0.15 else 1):
            first = cells[number % len(cells)] if not asked else rng.choice(cells)
            asked[tag] = self.parts(tag, first, style)
        conditions: dict[str, Any] = {}
        for tag, parts in asked.items():
            kept = []
            for part in parts:
                # The same key twice is no JSON.
                if not part.entries.keys() & conditions.keys():
                    conditions.update(part.entries)
                    kept.append(part)
            asked[tag] = kept
        expected, possible = self.expected(asked, named, with_range, gap)
        if 0 < len(expected) < possible:
            self.partial += 1
        for use in (True, False):
            sent = {**body, "ontology": {**conditions, **options, "use_skip_index": use}}
            answer = wires[style].action("query", sent)
            found = {topic["locator"]: told(topic) for item in answer["items"] for topic in item["topics"]}
            if found != expected:
                raise AssertionError(difference(number, sent, expected, found))
            if use:
                for level in ("topics", "chunks", "zones"):
                    for verdict, count in answer["explain"][level].items():
                        self.skips[f"{level} {verdict}"] += count
            for name in ("rows_tested", "bytes_read", "bytes_stored"):
                self.skips[f"{name} {'with' if use else 'without'} index"] += answer["explain"][name]

    def expected(
        self, asked: dict[str, list[Asked]], named: Callable[[Table], bool], with_range: bool, gap: int | None
    ) -> tuple[dict[str, Any], int]:
        """What is to be told of each topic that matches, and how many topics could."""
        matched: dict[str, dict[str, Any]] = {}
        sequences: set[str] | None = None
        possible = 0
        for tag, parts in asked.items():
            own = set()
            for table in self.by_tag[tag]:
                if not named(table):
                    continue
                possible += 1
                rows = fold(all, parts, table)
                if not any(rows):
                    continue
                times = [at for at, one in zip(table.times, rows) if one]
                range_ = [min(times), max(times)] if with_range else None
                sequence = table.locator.split("/")[0]
                own.add(sequence)
                matched.setdefault(sequence, {})[table.locator] = (range_, None if gap is None else ranges_of(times, gap))
            sequences = own if sequences is None else sequences & own
        return {
            locator: told for name, own in matched.items() if name in (sequences or set()) for locator, told in own.items()
        }, possible


def fold(how: Callable[[list[bool]], bool], parts: list[Asked], table: Table) -> Rows:
    return [how(list(row)) for row in zip(*(part.rows(table) for part in parts))]


def told(topic: dict[str, Any]) -> tuple[Any, Any]:
    return topic.get("timestamp_range"), topic.get("time_ranges")


def is_plain(value: Any) -> bool:
    """Whether JSON has it."""
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return isinstance(value, (bool, int, str))


def kind_of(value: Any) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def difference(number: int, sent: Any, expected: dict[str, Any], found: dict[str, Any]) -> str:
    missed = {one: expected[one] for one in expected if found.get(one) != expected[one]}
    wrong = {one: found[one] for one in found if expected.get(one) != found[one]}
    return f"query {number}, {json.dumps(sent)}: missed {report.shorten(missed)}, wrong {report.shorten(wrong)}"


def read_back(wire: Wire, sources: list[Any]) -> list[Table]:
    tables = []
    for source in sources:
        deadline = time.monotonic() + 30
        while True:
            schema, batches = wire.get(source.locator)
            # Of what is still in flight the rest comes within the commit interval.
            if sum(batch.num_rows for batch in batches) == source.rows:
                break
            report.true(time.monotonic() < deadline, f"{source.locator} has {source.rows} rows within 30 s")
            time.sleep(0.05)
        tables.append(Table(source.locator, source.tag, batches, schema))
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("queries", type=int)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    wire = Wire(options.host, options.port, deadline_seconds=3_600)
    sources = Maker(rng).sources()
    writers = upload(wire, sources)
    # What a pattern means says the connection.
    wires = {"glob": wire, "like": Wire(options.host, options.port, probe="A", deadline_seconds=3_600)}
    oracle = Oracle(read_back(wire, sources), rng)
    run = report.Report()

    def queries() -> dict[str, Any]:
        for number in range(options.queries):
            oracle.check(wires, number)
        return {"queries": options.queries, "partial": oracle.partial, "skips": dict(sorted(oracle.skips.items()))}

    def coverage() -> dict[str, int]:
        wanted = [f"{operator} {path}" for operator, path in cells]
        wanted += [f"$norm {operator}" for operator in operators]
        wanted += ["$within box", "$within circle", "$or", "$not", "timestamp_range", "time_ranges"]
        wanted += [f"dialect {one}" for one in ("old", "new", "any")]
        report.equal([one for one in wanted if oracle.hits[one] == 0], [], "cells without a hit")
        skipped = [f"{level} {verdict}" for level in ("topics", "chunks", "zones") for verdict in ("no", "maybe", "all")]
        report.equal([one for one in skipped if oracle.skips[one] == 0], [], "verdicts that were never given")
        tested = [oracle.skips[f"rows_tested {how} index"] for how in ("with", "without")]
        report.true(0 < tested[0] < tested[1], f"fewer rows tested with the index than without, found {tested}")
        share = oracle.partial / options.queries
        report.true(share >= share_wanted, f"{share_wanted} of the answers neither empty nor full, found {share}")
        return dict(sorted(oracle.hits.items()))

    run.run("oracle: no difference", queries)
    run.run("oracle: coverage", coverage)
    for writer in writers:
        writer.close()
    run.exit()


if __name__ == "__main__":
    main()
