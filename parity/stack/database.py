"""PostgreSQL seen from outside: a database a run, copied from a template, and the effects in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from docker.models.containers import Container
from psycopg import sql

from parity.errors import EngineError, SourceError, StackError
from parity.stack.description import DatabaseSection
from parity.stack.engine import published_port

TEMPLATE = "parity_template"
_CONNECT_TIMEOUT_S = 3

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class Database:
    """The stack's PostgreSQL.

    Args:
        section: What the stack says of it.
        container: Its container.
    """

    def __init__(self, section: DatabaseSection, container: Container) -> None:
        self.section = section
        self.container = container
        self._lock = threading.Lock()
        self._connections: dict[str, Connection] = {}

    def close(self) -> None:
        """Close every connection parity holds."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def connect(self, name: str, *, port: int | None = None) -> Connection:
        """A new connection, in autocommit.

        Args:
            name: The database.
            port: The host's port that leads to it; looked up where None.

        Raises:
            StackError: The database does not take it.
        """
        try:
            return psycopg.connect(
                host="127.0.0.1",
                port=published_port(self.container, self.section.port) if port is None else port,
                user=self.section.user,
                password=self.section.password,
                dbname=name,
                connect_timeout=_CONNECT_TIMEOUT_S,
                autocommit=True,
            )
        except (psycopg.Error, EngineError) as error:
            raise StackError(f"the database {self.section.service} takes no connection: {error}") from error

    def query(self, name: str, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement on a kept connection; a broken one is replaced at the next call.

        Raises:
            StackError: It failed.
        """
        try:
            with self._lock:
                connection = self._connections.get(name)
                if connection is None:
                    connection = self._connections[name] = self.connect(name)
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self.forget(name)
            raise StackError(f"the database {name} refused a statement: {error}") from error

    def forget(self, name: str) -> None:
        """Close the kept connection to a database."""
        connection = self._connections.pop(name, None)
        if connection is not None:
            connection.close()

    def is_ready(self) -> bool:
        """Whether it takes connections and answers."""
        try:
            self.query(self.section.name, "SELECT 1")
        except StackError:
            return False
        return True

    def make_template(self, folder: Path) -> None:
        """Make the template that runs are copied from, once a stack.

        Raises:
            SourceError: The schema file is wrong; carries the database's words.
        """
        self._create(TEMPLATE, None)
        file = self.section.schema_file
        if file is None:
            return
        path = folder / file
        try:
            with self.connect(TEMPLATE) as connection:
                connection.execute(path.read_bytes())
        except psycopg.Error as error:
            raise SourceError(f"the database refuses it: {error}", file=str(path)) from error

    def create(self, name: str) -> None:
        """Make a run's database from the template."""
        self._create(name, TEMPLATE)

    def _create(self, name: str, template: str | None) -> None:
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        try:
            with self.connect(self.section.name) as connection:
                connection.execute(statement)
        except psycopg.errors.DuplicateDatabase:
            return
        except psycopg.Error as error:
            raise StackError(f"the database {name} cannot be made: {error}") from error

    def drop(self, name: str) -> None:
        """Remove a run's database, whoever is connected to it."""
        self.forget(name)
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        try:
            with self.connect(self.section.name) as connection:
                connection.execute(statement)
        except psycopg.Error as error:
            raise StackError(f"the database {name} cannot be dropped: {error}") from error

    def effects(self, name: str, statement: str) -> dict[str, int]:
        """Effects by job identity.

        Raises:
            StackError: The statement failed or does not give identity and count.
        """
        rows = self.query(name, statement)
        try:
            return {str(identity): int(count) for identity, count in rows}
        except (TypeError, ValueError) as error:
            shape = rows[0] if rows else ()
            raise StackError(f"effects.sql must give two columns, job identity and count; it gave {shape!r}") from error

    def connections(self, name: str) -> tuple[int, int]:
        """How many connections clients have, to any of its databases, and how many they may have.

        Some are kept for superusers: from clients that are none, and so from all as soon as one of them is none.

        Raises:
            StackError: It does not answer.
        """
        ((used, limit),) = self.query(
            name,
            "SELECT count(*), current_setting('max_connections')::int - CASE WHEN bool_and(rolsuper) THEN 0 "
            "ELSE current_setting('superuser_reserved_connections')::int END "
            "FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid WHERE backend_type = 'client backend'",
        )
        return int(used), int(limit)

    def end_sessions(self, name: str, addresses: set[str] | None, *, spare: Sequence[Connection] = ()) -> int:
        """End other sessions of a database: those from these addresses, or all but parity's own connections.

        Args:
            name: The database.
            addresses: Where their clients are; None: anywhere.
            spare: More connections that are parity's own.

        Returns:
            How many were ended.
        """
        own = {connection.info.backend_pid for connection in (*self._connections.values(), *spare)}
        rows = self.query(
            name, "SELECT pid, host(client_addr) FROM pg_stat_activity WHERE datname = current_database()"
        )
        ended = [pid for pid, host in rows if pid not in own and (host in addresses if addresses is not None else True)]
        for pid in ended:
            self.query(name, f"SELECT pg_terminate_backend({int(pid)})")
        return len(ended)

    def take_connections(self, name: str) -> list[Connection]:
        """Open connections until the database refuses another.

        Returns:
            The connections; closing them frees the database.

        Raises:
            EngineError: Nothing leads to the database now.
        """
        taken: list[Connection] = []
        # Looked up once: on a busy machine that takes longer than to connect.
        port = published_port(self.container, self.section.port)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                taken.append(self.connect(name, port=port))
            except StackError:
                break
        return taken
