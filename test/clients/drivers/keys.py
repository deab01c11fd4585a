"""Checks: API keys. Rights of read and write keys in every release; making and revoking keys in 0.4 and 0.5, which
can.
"""

import time
from typing import Any

from mosaicolabs import Integer64, MosaicoClient

import family
import report
from family import Server


def write(client: Any, sequence: str) -> None:
    with client.sequence_create(sequence, {}) as writer:
        topic_writer = writer.topic_create("/t", {}, Integer64)
        report.true(topic_writer is not None, "no writer")
        topic_writer.push(family.message(1, Integer64(data=1)))


def refused_connect(server: Server, api_key: str | None) -> str:
    def connect() -> None:
        MosaicoClient.connect(host=server.host, port=server.port, timeout=1, api_key=api_key).close()

    error = report.raises(connect, "connecting")
    return f"{type(error).__name__}: {error}"[:200]


def rejected(server: Server) -> dict[str, str]:
    """No key, and keys of good form that nobody was given. (0.6 and 0.7 repeat their first call until their
    time-out.)
    """
    assert server.api_key is not None
    head, secret, fingerprint = server.api_key.split("_")
    forged = f"{head}_{secret[::-1]}_{fingerprint}"  # right fingerprint, wrong secret
    unknown = f"{head}_{'a' * 32}_74cf6a3c"
    return {
        name: refused_connect(server, key) for name, key in (("none", None), ("forged", forged), ("unknown", unknown))
    }


def rights(server: Server, read_key: str, write_key: str) -> dict[str, str]:
    sequence, denied = server.name("rights"), server.name("denied")
    with server.connect(api_key=write_key) as writer:
        write(writer, sequence)
        cannot_delete = report.raises(lambda: writer.sequence_delete(sequence), "deleting with a write key")
    with server.connect(api_key=read_key) as reader:
        report.equal(len(family.read_topic(reader, sequence, "/t")), 1, "rows read with a read key")
        report.true(sequence in reader.list_sequences(), "listing with a read key")
        cannot_write = report.raises(lambda: write(reader, denied), "writing with a read key")
    with server.connect() as manager:
        report.true(denied not in manager.list_sequences(), "the refused sequence does not exist")
        manager.sequence_delete(sequence)
    return {"delete": str(cannot_delete)[:200], "write": str(cannot_write)[:200]}


def managed(server: Server) -> dict[str, Any]:
    """Makes a key of every level through the SDK, uses, examines and revokes it."""
    from mosaicolabs.enum.api_key_permission import APIKeyPermissionEnum as Permission

    levels = []
    with server.connect() as manager:
        own = manager.api_key_status()
        report.true(
            own is not None and own.expires_at_ns is None and not own.is_expired, f"status of the own key: {own}"
        )
        for permission in Permission:
            expires = time.time_ns() + 3_600_000_000_000
            token = manager.api_key_create(permission, f"conformance {permission.value}", expires_at_ns=expires)
            fingerprint = token.rsplit("_", 1)[1]
            status = manager.api_key_status(fingerprint)
            report.equal(status.description, f"conformance {permission.value}", "description")
            report.equal(status.expires_at_ns, expires, "expiry")
            report.true(abs(status.created_at_ns - time.time_ns()) < 60_000_000_000, "time of creation")
            sequence = server.name(f"key-{permission.value}")
            with server.connect(api_key=token) as client:
                may_write = permission is not Permission.Read
                if may_write:
                    write(client, sequence)
                else:
                    report.raises(lambda: write(client, sequence), "writing with a read key")
                if permission is not Permission.Manage:
                    report.raises(
                        lambda: client.api_key_create(Permission.Read, "no"), f"making keys with {permission.value}"
                    )
                manager.api_key_revoke(fingerprint)
                report.raises(
                    client.list_sequences, f"listing with a revoked key on an open connection, {permission.value}"
                )
            refused_connect(server, token)
            report.raises(lambda: manager.api_key_status(fingerprint), "status of a revoked key")
            if may_write:
                manager.sequence_delete(sequence)
            levels.append(permission.value)
        soon = manager.api_key_create(Permission.Read, "expires at once", expires_at_ns=time.time_ns() + 3_000_000_000)
        with server.connect(api_key=soon) as client:
            client.list_sequences()
            time.sleep(3.1)
            report.raises(client.list_sequences, "listing with an expired key")
        report.raises(lambda: manager.api_key_revoke("00000000"), "revoking an unknown key")
    return {"levels": levels}


def checks(run: report.Report, server: Server, read_key: str, write_key: str) -> None:
    run.run("keys: rejected", lambda: rejected(server))
    run.run("keys: rights", lambda: rights(server, read_key, write_key))
    if family.has_api_keys:
        run.run("keys: made and revoked through the SDK", lambda: managed(server))
