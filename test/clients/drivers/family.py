"""What differs between the SDK releases, asked of the installed package instead of written down per version.

`letter` is the family name of the protocol notes: A = 0.4, A' = 0.5, B = 0.6, C = 0.7.
"""

import importlib.metadata
import inspect
import logging
import random
from typing import Any, Iterator

import mosaicolabs
from mosaicolabs import Message, MosaicoClient

version = importlib.metadata.version("mosaicolabs")
letter = {"0.4": "A", "0.5": "A'", "0.6": "B", "0.7": "C"}[version[:3]]
#: Prefix of every resource this driver makes: releases run side by side on one server.
prefix = f"sdk{version.replace('.', '')}"

is_old = letter in ("A", "A'")
has_envelope = "frame_id" in Message.model_fields
has_compression = hasattr(mosaicolabs, "GRPCCompressionAlgorithm")
has_api_keys = hasattr(MosaicoClient, "api_key_create")
has_exists = hasattr(MosaicoClient, "sequence_exists")
has_clusters = not is_old

logging.getLogger("mosaicolabs").setLevel(logging.CRITICAL)  # checks that provoke errors would fill stderr


class Server:
    """Where to connect, and the seed all random values of this run derive from."""

    def __init__(self, host: str, port: int, api_key: str | None, seed: int) -> None:
        self.host, self.port, self.api_key, self.seed = host, port, api_key, seed

    def connect(self, **options: Any) -> MosaicoClient:
        api_key = options.pop("api_key", self.api_key)
        return MosaicoClient.connect(host=self.host, port=self.port, timeout=10, api_key=api_key, **options)

    def random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    def name(self, suffix: str) -> str:
        return f"{prefix}-{suffix}-{self.seed}"


def message(timestamp_ns: int, data: Any, rng: random.Random | None = None) -> Message:
    """A message; with `rng` the envelope columns of 0.4 and 0.5 are filled, each of them null now and then."""
    envelope: dict[str, Any] = {}
    if has_envelope and rng is not None:
        envelope = {
            "recording_timestamp_ns": rng.choice([None, timestamp_ns + rng.randrange(10**9)]),
            "frame_id": rng.choice([None, "base_link", "карта", ""]),
            "sequence_id": rng.choice([None, 0, 2**32 - 1, rng.randrange(2**32)]),
        }
    return Message(timestamp_ns=timestamp_ns, data=data, **envelope)


def envelope_of(message: Message) -> dict[str, Any]:
    return message.model_dump(exclude={"data"})


def session_id(writer: Any) -> str:
    """What `session_delete` wants: the UUID in 0.4, the locator since."""
    return writer.session_uuid if letter == "A" else writer.session_locator


def updater(client: MosaicoClient, sequence: str, **options: Any) -> Any:
    """A writer for one more session: since 0.6 without reading the sequence first."""
    if hasattr(client, "sequence_update"):
        return client.sequence_update(sequence, **options)
    handler = client.sequence_handler(sequence)
    if handler is None:
        raise AssertionError(f"no handler for {sequence}")
    return handler.update(**options)


def small_batches(client: MosaicoClient, size: int) -> dict[str, int]:
    """Options of `sequence_create` that make several batches of little data, where the release has them (not in
    0.7).
    """
    accepted = inspect.signature(client.sequence_create).parameters
    return {"max_batch_size_bytes": size} if "max_batch_size_bytes" in accepted else {}


def fresh_handler(client: MosaicoClient, sequence: str) -> Any:
    """A sequence handler that is not from the client's cache."""
    client.clear_sequence_handlers_cache()
    return client.sequence_handler(sequence)


def fresh_topic(client: MosaicoClient, sequence: str, topic: str) -> Any:
    client.clear_topic_handlers_cache()
    return client.topic_handler(sequence, topic)


def read_topic(client: MosaicoClient, sequence: str, topic: str, **window: int) -> list[Message]:
    handler = fresh_topic(client, sequence, topic)
    if handler is None:
        raise AssertionError(f"no handler for {sequence}{topic}")
    try:
        return list(handler.get_data_streamer(**window))
    finally:
        handler.close()


def read_sequence(
    client: MosaicoClient, sequence: str, topics: list[str] | None = None, **window: int
) -> Iterator[tuple[str, Message]]:
    handler = fresh_handler(client, sequence)
    if handler is None:
        raise AssertionError(f"no handler for {sequence}")
    try:
        yield from handler.get_data_streamer(topics=topics or [], **window)
    finally:
        handler.close()
