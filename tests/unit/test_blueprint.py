"""Blueprints: which stacks can be shared."""

import copy
from pathlib import Path

import pytest

from parity.stack.description import load_stack
from parity.stack.stack import Blueprint

ROOT = Path(__file__).parents[2]
SERVICES = {
    "rabbit1": {"image": "rabbitmq", "hostname": "rabbit1", "volumes": ["/b:/b:ro", "/a:/a:ro"]},
    "postgres": {"image": "postgres"},
    "producer": {"image": "app"},
    "worker": {"image": "app", "environment": {"ACKNOWLEDGE": "after-commit"}},
}


def fingerprint(services: dict) -> str:
    return Blueprint(files=load_stack("compose/rabbitmq", root=ROOT), services=services).fingerprint()


def test_another_application_runs_on_the_same_stack():
    other = copy.deepcopy(SERVICES)
    other["worker"]["environment"]["ACKNOWLEDGE"] = "automatic"

    assert fingerprint(other) == fingerprint(SERVICES)


def test_the_order_of_keys_services_and_volumes_makes_no_difference():
    # The compose tool keeps the order of a single file's volumes and sorts those that it merges.
    other = {name: dict(reversed(SERVICES[name].items())) for name in reversed(SERVICES)}
    other["rabbit1"]["volumes"] = ["/a:/a:ro", "/b:/b:ro"]

    assert fingerprint(other) == fingerprint(SERVICES)


@pytest.mark.parametrize(
    ("service", "key", "value"), [("rabbit1", "volumes", ["/a:/a:ro"]), ("postgres", "image", "postgres:17")]
)
def test_another_broker_or_database_is_another_stack(service, key, value):
    other = copy.deepcopy(SERVICES)
    other[service][key] = value

    assert fingerprint(other) != fingerprint(SERVICES)
