"""S3's buckets and objects on disk: moto keeps them in memory, and what was archived must outlive a process.

After each request that may change something, what it changed is written before it is answered: objects one by one,
with all their versions. The database is moved on by SQLite's transactions, so that it is whole whenever the process
dies. An upload in parts that is not complete is not kept; its client begins anew, as it does where one was aborted.
"""

from __future__ import annotations

import logging
import pickle
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from parity.errors import RecordError

if TYPE_CHECKING:
    from moto.s3.models import FakeBucket, S3Backend

_TABLES = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (bucket TEXT, key TEXT, content BLOB NOT NULL, PRIMARY KEY (bucket, key));
"""
#: What a bucket's row does not have: its objects have rows of their own, and uploads under way are not kept.
_APART = {"keys", "multiparts"}

log = logging.getLogger(__name__)
#: Of an object: its versions, oldest first, as they are told apart.
_Stamp = tuple[tuple[int, object], ...]


class Buckets:
    """The buckets of one account on disk.

    Args:
        path: The database; made where it is not there. Nobody else may write to it: its content is trusted.
        account_id: Whose they are.

    Raises:
        RecordError: It cannot be used.
    """

    def __init__(self, path: Path, account_id: str) -> None:
        self._path = path
        self._account_id = account_id
        self._lock = threading.Lock()
        self._stamps: dict[str, dict[str, _Stamp]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, check_same_thread=False)
            # What is written is the operating system's when a transaction ends: it survives the process, as the
            # journal of the region does.
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.executescript(_TABLES)
        except (OSError, sqlite3.Error) as problem:
            raise RecordError(f"{path} cannot be used: {problem}") from problem

    def load(self) -> None:
        """Have moto know what is on disk.

        Raises:
            RecordError: It is of another version of moto.
        """
        from moto.s3 import models  # noqa: PLC0415 - loading moto takes time

        # moto's own checkers take it for abstract.
        make: Callable[..., FakeBucket] = models.FakeBucket
        backend = self._backend()
        try:
            for name, content in self._database.execute("SELECT name, content FROM buckets"):
                state, tags = pickle.loads(content)  # noqa: S301 - written by this class
                bucket = make(name, self._account_id, state["region_name"])
                bucket.__dict__.update(state)
                backend.buckets[name] = bucket
                backend.tagger.tags.update(tags)
                models.s3_backends.bucket_accounts[name] = (bucket.partition, self._account_id)
                self._stamps[name] = {}
            for name, key, content in self._database.execute("SELECT bucket, key, content FROM objects"):
                versions = pickle.loads(content)  # noqa: S301 - written by this class
                backend.buckets[name].keys.setlist(key, versions)
                self._stamps[name][key] = _stamp(versions)
        except (sqlite3.Error, pickle.PickleError, AttributeError, ImportError, LookupError) as problem:
            raise RecordError(f"{self._path} cannot be read, or is of another version of moto: {problem}") from problem

    def keep(self, path: str, host: str, *, tagged: bool) -> None:
        """Write what a request may have changed.

        Args:
            path: Of its URL, as it came; with the bucket, or without where the host has it.
            host: The header.
            tagged: Whether it may have set an object's tags, which are kept with the bucket.
        """
        with self._lock, self._database:
            backend = self._backend()
            bucket, key = _named(backend, unquote(path), host)
            if bucket is not None and key and not tagged and bucket.name in self._stamps:
                self._keep_object(bucket, key)
            else:
                self._keep_all(backend)

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._database.close()

    def _backend(self) -> S3Backend:
        from moto.s3.models import s3_backends  # noqa: PLC0415 - loading moto takes time

        return s3_backends[self._account_id]["aws"]

    def _keep_all(self, backend: S3Backend) -> None:
        """Write all buckets, and of their objects what is not as it was."""
        for name in self._stamps.keys() - backend.buckets.keys():
            del self._stamps[name]
            self._database.execute("DELETE FROM buckets WHERE name = ?", [name])
            self._database.execute("DELETE FROM objects WHERE bucket = ?", [name])
        for name, bucket in list(backend.buckets.items()):
            known = self._stamps.setdefault(name, {})
            content = _content(bucket, backend.tagger.tags)
            self._database.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?)", [name, content])
            there = {key: _stamp(bucket.keys.getlist(key)) for key in list(bucket.keys)}
            for key in known.keys() | there.keys():
                if known.get(key) != there.get(key):
                    self._keep_object(bucket, key)

    def _keep_object(self, bucket: FakeBucket, key: str) -> None:
        versions = bucket.keys.getlist(key)
        if versions:
            self._stamps[bucket.name][key] = _stamp(versions)
            self._database.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", [bucket.name, key, pickle.dumps(list(versions))]
            )
        elif self._stamps[bucket.name].pop(key, None) is not None:
            self._database.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", [bucket.name, key])


def _named(backend: S3Backend, path: str, host: str) -> tuple[FakeBucket | None, str]:
    """The bucket and the object that a request names."""
    first, _, rest = path.removeprefix("/").partition("/")
    by_host = backend.buckets.get(host.partition(".")[0])
    if by_host is not None:
        return by_host, path.removeprefix("/")
    return backend.buckets.get(first), rest


def _content(bucket: FakeBucket, tags: Mapping[str, Any]) -> bytes:
    state = {name: value for name, value in vars(bucket).items() if name not in _APART}
    arn = f":::{bucket.name}"
    own = {one: put for one, put in tags.items() if one.endswith(arn) or f"{arn}/" in one}
    return pickle.dumps((state, own))


def _stamp(versions: Iterable[Any]) -> _Stamp:
    return tuple((id(version), version.last_modified) for version in versions)
