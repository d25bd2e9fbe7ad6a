"""Refreshes, warm pools, spot notices and lifetimes together with all that is done to a group: it comes to its size."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from test_scaling_counts import ZONES, Rough, check
from test_scaling_counts import step as rough_step

from parity.model.scaling.groups import lifecycle
from parity.model.scaling.replacing import warm
from parity.model.scaling.state import State
from parity.model.scaling.world import Rebalance, SpotNotice, Stopped

CALLS: dict[str, list[dict[str, Any]]] = {
    "StartInstanceRefresh": [
        {},
        {"Preferences": {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 100}},
        {"Preferences": {"MinHealthyPercentage": 50, "InstanceWarmup": 300, "ScaleInProtectedInstances": "Refresh"}},
        {"Preferences": {"CheckpointPercentages": [40, 100], "StandbyInstances": "Terminate"}},
    ],
    "CancelInstanceRefresh": [{}, {"WaitForTransitioningInstances": False}],
    "PutWarmPool": [
        {"MinSize": 2},
        {"PoolState": "Running", "MaxGroupPreparedCapacity": 8},
        {"InstanceReusePolicy": {"ReuseOnScaleIn": True}},
        {"MinSize": 0, "MaxGroupPreparedCapacity": 0},
    ],
    "DeleteWarmPool": [{"ForceDelete": True}, {}],
    "UpdateAutoScalingGroup": [
        {"CapacityRebalance": True},
        {"MaxInstanceLifetime": 86_400},
        {"InstanceMaintenancePolicy": {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 110}},
        {"InstanceMaintenancePolicy": {"MinHealthyPercentage": -1, "MaxHealthyPercentage": -1}},
        {"DefaultInstanceWarmup": 120},
    ],
}

calls = st.sampled_from(sorted(CALLS)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(CALLS[name])))
notices = st.tuples(st.sampled_from(["notice", "risk"]), st.integers(0, 20))
refreshes = st.sampled_from([("StartInstanceRefresh", one) for one in CALLS["StartInstanceRefresh"]])
rough = rough_step.map(lambda done: ("rough", done))
slow = st.sampled_from([("rough", ("lazy", True)), ("rough", ("lazy", False)), ("rough", ("pass", 600))])
steps = st.lists(st.one_of(calls, refreshes, notices, rough, slow), min_size=10, max_size=50)


class Rougher(Rough):
    """Does more to a group."""

    def __init__(self) -> None:
        super().__init__()
        self.call("UpdateAutoScalingGroup", CapacityRebalance=True, DesiredCapacity=5)
        self.world.run()

    def more(self, what: str, value: Any) -> None:
        world = self.world
        if what == "rough":
            self.do(*value)
        elif what in CALLS:
            self.call(what, **value)
        elif ids := world.ids():
            one = ids[value % len(ids)]
            world.run(1, SpotNotice(one) if what == "notice" else Rebalance(one))
        world.run()

    def catch_up(self) -> None:
        super().catch_up()
        for one in list(self.world.region.state.instances.values()):
            if one.state == "stopping":
                self.world.run(0, Stopped(one.instance_id))

    def heal(self) -> None:
        """Nothing is in the way of anything any more."""
        world = self.world
        for name in ("LAUNCHING", "TERMINATING"):
            self.do("unhook", name)
        for zone in ZONES:
            self.do("zone", (zone, True))
        self.do("broken", set())
        self.do("lazy", value=False)
        self.call("ResumeProcesses")
        self.call("CancelInstanceRefresh")
        self.call("UpdateAutoScalingGroup", MaxInstanceLifetime=0)
        for member in world.of().members.values():
            member.protected = False
        world.region.touch(world.of())
        for _ in range(20):
            world.run(900)


def hold(rough: Rougher) -> None:
    """What must hold whatever happened."""
    group = rough.world.of()
    counted = {one for one, member in group.members.items() if member.lifecycle in lifecycle.COUNTED}
    assert set(group.surplus) <= counted
    assert set(group.replacing) <= counted
    assert set(group.at_risk) <= counted
    assert set(group.outdated) <= set(group.members)
    assert group.refresh is not None or not group.outdated
    pool = group.warm_pool.members if group.warm_pool else {}
    assert not set(pool) & set(group.members)
    assert all(member.lifecycle.startswith("Warmed:") for member in pool.values())
    everyone = [*group.members.values(), *pool.values()]
    assert {one.activity_id for one in everyone if one.activity_id} >= set(group.under_way)
    ours = [one for one in rough.world.region.state.instances.values() if one.group == "g"]
    alive = {one.instance_id for one in ours if one.state in {"pending", "running", "stopped"}}
    assert alive <= {one.instance_id for one in everyone}, "nobody's instance"


@settings(max_examples=150, deadline=None)
@given(steps)
def test_whatever_replaces_instances_the_group_comes_to_its_size(done):
    rough = Rougher()
    for what, value in done:
        rough.more(what, value)
        hold(rough)
    text = msgspec.json.encode(rough.world.region.state)
    assert msgspec.json.encode(msgspec.json.decode(text, type=State)) == text

    rough.heal()
    world, group = rough.world, rough.world.of()
    hold(rough)
    check_counts(rough)
    assert group.capacity == group.desired
    assert not group.surplus
    assert group.refresh is None
    assert set(world.states()) <= {"InService", "Standby"}
    assert not group.under_way
    if group.warm_pool:
        assert len(group.warm_pool.members) == warm.wanted(group)
        assert {member.lifecycle for member in group.warm_pool.members.values()} <= set(warm.READY)


def check_counts(rough: Rougher) -> None:
    """The counts are right; the largest size is another test's matter."""
    before = rough.world.of().warm_pool
    rough.world.of().warm_pool = None
    check(rough.world)
    rough.world.of().warm_pool = before
