"""Partitions and packet counters: who no longer sees whom, and whether the rules caught anything."""

from __future__ import annotations

import pytest

from parity.stack.faults.link import _unseen
from parity.stack.network import counted

SIZES = range(2, 8)


def seen(shape: str, count: int) -> dict[str, set[str]]:
    """For each node whom it still sees, itself included."""
    names = [f"n{number}" for number in range(count)]
    return {name: set(names) - set(_unseen(shape, name, names)) for name in names}


@pytest.mark.parametrize("shape", ["halves", "majorities-ring"])
@pytest.mark.parametrize("count", SIZES)
class TestEveryPartition:
    def test_who_does_not_see_is_not_seen(self, shape, count):
        sees = seen(shape, count)
        assert all((other in sees[name]) == (name in sees[other]) for name in sees for other in sees)

    def test_every_node_sees_itself(self, shape, count):
        assert all(name in others for name, others in seen(shape, count).items())

    def test_somebody_loses_sight_of_somebody(self, shape, count):
        assert any(len(others) < count for others in seen(shape, count).values())


@pytest.mark.parametrize("count", SIZES)
def test_halves_are_two_sides_that_see_their_own_and_nobody_else(count):
    sides = {frozenset(others) for others in seen("halves", count).values()}
    assert sorted(len(side) for side in sides) == [count // 2, count - count // 2]


@pytest.mark.parametrize("count", [size for size in SIZES if size > 2])
def test_in_a_ring_every_node_sees_a_majority(count):
    assert all(len(others) > count / 2 for others in seen("majorities-ring", count).values())


@pytest.mark.parametrize("count", [size for size in SIZES if size > 3])
def test_in_a_ring_every_node_sees_another_majority(count):
    assert len({frozenset(others) for others in seen("majorities-ring", count).values()}) >= count / 2


def test_three_nodes_in_a_ring_leave_the_middle_one_with_both():
    assert seen("majorities-ring", 3) == {"n0": {"n0", "n1"}, "n1": {"n0", "n1", "n2"}, "n2": {"n1", "n2"}}


@pytest.mark.parametrize("shape", ["halves", "majorities-ring"])
def test_one_node_cannot_be_parted(shape):
    assert _unseen(shape, "a", ["a"]) == []


#: What `nft -j list ruleset` prints for two chains of ours.
RULESET = {
    "nftables": [
        {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
        {"table": {"family": "inet", "name": "parity", "handle": 1}},
        {"chain": {"family": "inet", "table": "parity", "name": "input", "hook": "input", "prio": -10}},
        {
            "rule": {
                "table": "parity",
                "chain": "input",
                "expr": [
                    {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "a"}},
                    {"counter": {"packets": 12, "bytes": 720}},
                    {"drop": None},
                ],
            }
        },
        {"rule": {"table": "parity", "chain": "output", "expr": [{"counter": {"packets": 3, "bytes": 9}}]}},
    ]
}


def test_every_rules_packets_are_counted():
    assert counted(RULESET) == 15


def test_a_ruleset_without_rules_caught_nothing():
    assert counted({"nftables": [{"metainfo": {"version": "1.0.6"}}]}) == 0
