"""Every model that the installed SDK ships, and messages that fill all of its fields.

Nothing here names a model list: the classes are found by importing every module of the package and asking Python
for the subclasses of `Serializable`. Names appear only where a model has a rule of its own (`rules`) or cannot be a
topic (`not_topics`).
"""

import contextlib
import enum
import importlib
import io
import pkgutil
import random
import types as python_types
import typing
from typing import Any, Iterator

import mosaicolabs
import pyarrow as pa
from mosaicolabs import Serializable

import values

#: Classes that no topic can be made of, each with its reason. A shipped class that is neither here nor covered is
#: a failure.
not_topics = {"Unmodeled": "has no fields: the parent of the classes that 0.6 and 0.7 generate for unknown schemas"}

#: Modules that cannot be imported without packages the SDK does not install.
not_importable = {"mosaicolabs.examples.mujoco_vis": "needs mujoco"}


def shipped() -> list[type]:
    """All model classes of the SDK in order of their names."""
    for module in pkgutil.walk_packages(mosaicolabs.__path__, "mosaicolabs."):
        if module.name in not_importable:
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(module.name)
    found: dict[str, type] = {}
    for model in subclasses(Serializable):
        if model.__module__.startswith("mosaicolabs."):
            found[model.__name__] = model
    return [found[name] for name in sorted(found)]


def topics() -> list[type]:
    return [model for model in shipped() if model.__name__ not in not_topics]


def subclasses(parent: type) -> Iterator[type]:
    for child in parent.__subclasses__():
        yield child
        yield from subclasses(child)


def struct_of(model: type) -> pa.StructType:
    return model.__msco_pyarrow_struct__


class Filler:
    """Makes the members of one message. What is null, empty or extreme is decided by path, so that a plan can
    cover all fields.
    """

    def __init__(self, rng: random.Random, *, null_paths: frozenset[str] = frozenset(), extreme: bool = False) -> None:
        self.rng = rng
        self.null_paths = null_paths
        self.extreme = extreme

    def struct(self, model: type | None, struct: pa.StructType, prefix: str) -> dict[str, Any]:
        members = {}
        for field in struct:
            path = f"{prefix}{field.name}"
            if path in self.null_paths:
                members[field.name] = None
            else:
                members[field.name] = self.member(annotation(model, field.name), field.type, path)
        rule = rules.get(model.__name__) if model is not None else None
        if rule is not None:
            rule(members, self.rng)
        return members

    def member(self, hint: Any, kind: pa.DataType, path: str) -> Any:
        if pa.types.is_struct(kind):
            return self.struct(hint if is_model(hint) else None, kind, f"{path}.")
        if pa.types.is_map(kind):
            return {
                f"key {index}": values.scalar(kind.item_type, self.rng, False)
                for index in range(self.rng.randint(1, 3))
            }
        if values.is_list(kind):
            inner = typing.get_args(hint)[0] if typing.get_args(hint) else None
            length = values.list_length(kind, self.rng, self.extreme)
            return [self.member(unwrap(inner), kind.value_type, path) for _ in range(length)]
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return self.rng.choice(list(hint))
        return values.scalar(kind, self.rng, self.extreme)


def annotation(model: type | None, name: str) -> Any:
    field = getattr(model, "model_fields", {}).get(name) if model is not None else None
    return unwrap(field.annotation) if field is not None else None


def unwrap(hint: Any) -> Any:
    """Takes `Optional[...]` and `Annotated[...]` off a type hint."""
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            hint = typing.get_args(hint)[0]
        elif origin is typing.Union or origin is python_types.UnionType:
            inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
            if len(inner) != 1:
                return None
            hint = inner[0]
        else:
            return hint


def is_model(hint: Any) -> bool:
    return isinstance(hint, type) and hasattr(hint, "__msco_pyarrow_struct__")


def range_rule(members: dict[str, Any], rng: random.Random) -> None:
    """A range lies between its limits."""
    low, value, high = sorted(values.narrow(rng.uniform(0, 100), "float") for _ in range(3))
    members.update(min_range=low, range=value, max_range=high)


def nanosecond_rule(name: str) -> Any:
    def rule(members: dict[str, Any], rng: random.Random) -> None:
        """The nanoseconds of a second are fewer than a milliard."""
        if members.get(name) is not None:
            members[name] = rng.choice([0, 1, 999_999_999, rng.randrange(10**9)])

    return rule


def either_rule(members: dict[str, Any], rng: random.Random) -> None:
    """A velocity or acceleration has a linear or an angular part."""
    if members["linear"] is None and members["angular"] is None:
        members["linear"] = {"x": 1.0, "y": -0.0, "z": 2.5}


rules = {
    "Acceleration": either_rule,
    "Duration": nanosecond_rule("nanoseconds"),
    "Range": range_rule,
    "Time": nanosecond_rule("nanoseconds"),
    "Velocity": either_rule,
}


def nullable_paths(model: type | None, struct: pa.StructType, prefix: str = "") -> Iterator[str]:
    """Every field that may be null, structs and lists before their members.

    Both must allow it: the schema and the model. (The components of a vector are nullable in the schema only, so
    that a
    missing vector can be stored; no message can be built with one component missing.)
    """
    for field in struct:
        path = f"{prefix}{field.name}"
        if field.nullable and takes_none(model, field.name):
            yield path
        inner, hint = field.type, annotation(model, field.name)
        while values.is_list(inner):
            inner, hint = inner.value_type, unwrap(typing.get_args(hint)[0]) if typing.get_args(hint) else None
        if pa.types.is_struct(inner):
            yield from nullable_paths(hint if is_model(hint) else None, inner, f"{path}.")


def takes_none(model: type | None, name: str) -> bool:
    if model is None:
        return True
    hint = model.model_fields[name].annotation
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return type(None) in typing.get_args(hint)


def instances(model: type, rng: random.Random) -> list[Any]:
    """Messages of `model` that together fill every field and leave every nullable field null once.

    First one with all fields, then one with extreme numbers and empty lists and texts, then one with every field null
    that may be (a field stays if nothing else would), then one per nullable field.
    """
    struct = struct_of(model)
    paths = list(nullable_paths(model, struct))
    top = frozenset(path for path in paths if "." not in path)
    if top and len(top) == struct.num_fields:
        top -= {next(field.name for field in struct)}  # the SDKs cannot read a message without any value
    fillers = [Filler(rng), Filler(rng, extreme=True), Filler(rng, null_paths=top)]
    fillers += [Filler(rng, null_paths=frozenset([path])) for path in paths]
    return [model(**filler.struct(model, struct, "")) for filler in fillers]


def seen(struct: pa.StructType, dumps: list[Any]) -> tuple[set[str], set[str]]:
    """Paths of leaves that held a value in some message, and paths of fields that were null in some."""
    filled: set[str] = set()
    empty: set[str] = set()

    def visit(kind: pa.DataType, value: Any, path: str) -> None:
        if value is None:
            empty.add(path)
        elif pa.types.is_struct(kind):
            for field in kind:
                visit(field.type, value.get(field.name), f"{path}.{field.name}" if path else field.name)
        elif values.is_list(kind):
            for item in value:
                visit(kind.value_type, item, path)
            if len(value) > 0:
                filled.add(path)
        else:
            filled.add(path)

    for dump in dumps:
        visit(struct, dump, "")
    return filled, empty
