"""A blueprint's fingerprint: which stacks can be one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parity.stack.description import Description, StackFiles
from parity.stack.stack import Blueprint

DESCRIPTION = Description.model_validate(
    {
        "version": 1,
        "broker": {"kind": "rabbitmq", "services": ["rabbit1"], "user": "u", "password": "p"},
        "database": {"kind": "postgresql", "service": "postgres", "user": "u", "password": "p"},
        "worker": {"service": "worker"},
        "submit": {"body": "{job}"},
        "queues": {"work": ["jobs"]},
        "effects": {"sql": "SELECT 1"},
    }
)


def fingerprint(**services: dict[str, Any]) -> str:
    files = StackFiles(name="s", folder=Path(), compose_files=(), description=DESCRIPTION, services=tuple(services))
    return Blueprint(files=files, services=services).fingerprint()


def test_the_order_of_volumes_and_keys_makes_no_other_stack():
    """docker-compose sorts volumes when it merges two files, and leaves them as they are when it reads one."""
    one = fingerprint(rabbit1={"image": "i", "volumes": ["/b:/b:ro", "/a:/a:ro"], "environment": {"A": "1", "B": "2"}})
    other = fingerprint(
        rabbit1={"environment": {"B": "2", "A": "1"}, "volumes": ["/a:/a:ro", "/b:/b:ro"], "image": "i"}
    )
    assert one == other


def test_another_application_makes_no_other_stack():
    backing = {"image": "i"}
    assert fingerprint(rabbit1=backing, worker={"image": "a"}) == fingerprint(rabbit1=backing, worker={"image": "b"})


def test_another_configuration_of_a_backing_service_makes_another_stack():
    plain = {"image": "i", "volumes": ["/one.conf:/etc/rabbitmq.conf:ro"]}
    assert fingerprint(rabbit1=plain) != fingerprint(rabbit1=plain | {"volumes": ["/other.conf:/etc/rabbitmq.conf:ro"]})
