"""What PostgreSQL says of its connections, by its own image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from parity.stack.database import Database
from parity.stack.description import DatabaseSection
from parity.stack.engine import engine, published_port, wait_for
from parity.stack.images import ensure_images

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.docker


@pytest.fixture
def database() -> Iterator[Database]:
    """A PostgreSQL that takes ten connections, three of them for superusers."""
    image = ensure_images(["parity/postgres"], folder=ROOT / "compose/images", progress=print)["parity/postgres"]
    container = engine().containers.run(
        image,
        "postgres -c max_connections=10 -c superuser_reserved_connections=3",
        environment={"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": "shop"},
        ports={"5432/tcp": ("127.0.0.1", None)},
        detach=True,
    )
    section = DatabaseSection(kind="postgresql", service="database", user="shop", password="shop", name="postgres")
    database = Database(section, container)
    try:
        wait_for("the database", lambda: (database.is_ready() or None, "not ready"), within_s=60)
        yield database
    finally:
        database.close()
        container.remove(force=True, v=True)


def test_what_is_kept_for_superusers_is_kept_from_those_who_are_none(database: Database) -> None:
    """The limit is where PostgreSQL refuses the next client, whoever the clients are."""
    assert database.connections("postgres") == (1, 10)
    database.query("postgres", "CREATE ROLE clerk LOGIN PASSWORD 'clerk'")
    port = published_port(database.container, 5432)
    address = f"postgresql://clerk:clerk@127.0.0.1:{port}/postgres"
    clerks = [psycopg.connect(address) for _ in range(6)]
    try:
        assert database.connections("postgres") == (7, 7)
        with pytest.raises(psycopg.OperationalError, match="reserved"):
            psycopg.connect(address)
    finally:
        for clerk in clerks:
            clerk.close()
