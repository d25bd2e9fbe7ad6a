"""What holds whatever is asked of a group and whatever befalls its instances, in virtual time."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import msgspec
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from model_world import IMAGE_ID, ZONES, ModelWorld

from parity.model.scaling.api import Region
from parity.model.scaling.state import State
from parity.model.scaling.world import LaunchFailed, Removed, Running

GROUPS = ["one", "two"]
HOUR_S = 3600
PROCESSES = [
    *("Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck"),
    *("InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"),
]
names = st.sampled_from(GROUPS)
sizes = st.integers(0, 6)
members = st.integers(0, 5)
flags = st.booleans()


def packed(world: ModelWorld) -> bytes:
    return msgspec.json.encode(world.virtual.region.state)


def is_active(lifecycle: str) -> bool:
    """Whether it counts as capacity."""
    return lifecycle == "InService" or lifecycle.startswith("Pending")


def differences(one: object, other: object, path: str = "state") -> list[str]:
    """Where two states differ, as paths and what stands there."""
    if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        return [text for key in one for text in differences(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            text
            for number, (mine, theirs) in enumerate(zip(one, other, strict=True))
            for text in differences(mine, theirs, f"{path}[{number}]")
        ]
    return [] if one == other and not isinstance(one, dict) else [f"{path}: {one!r} and {other!r}"]


class Lives:
    """What really happened to instances, by what the world told."""

    def __init__(self, world: ModelWorld) -> None:
        self.world = world
        self.groups: dict[str, str] = {}
        self.ran: set[str] = set()
        self.gone: set[str] = set()
        self.failed: set[str] = set()
        self.known: dict[str, set[str]] = {}
        world.virtual.listen = self.hear

    def hear(self, _now_us: int, told: object) -> None:
        if isinstance(told, Running):
            self.ran.add(told.instance_id)
            self.groups[told.instance_id] = self.world.virtual.lives[told.instance_id].group
        elif isinstance(told, LaunchFailed):
            self.failed.add(told.instance_id)
        elif isinstance(told, Removed):
            self.gone.add(told.instance_id)
        self.look()

    def look(self) -> None:
        """Whether any group launched beyond what it may: its maximum, and while it rebalances zones a tenth or one."""
        for group in self.world.virtual.region.state.groups.values():
            active = {i for i, member in group.members.items() if is_active(member.lifecycle)}
            if active - self.known.get(group.name, set()):
                moves = len(group.zones) > 1 or any(group.members[i].zone not in group.zones for i in active)
                allowed = group.max_size + (max(group.max_size // 10, 1) if moves else 0)
                if group.refreshes or group.maintenance:
                    # Both may launch first, up to twice the desired capacity here, and one at least.
                    allowed = max(allowed, 2 * group.desired, group.desired + 1)
                launching = {i for i in active if group.members[i].lifecycle.startswith("Pending")}
                assert len(active) <= allowed or not launching - self.known.get(group.name, set()), (
                    f"{group.name} launched to {len(active)}, of {group.max_size}"
                )
            self.known[group.name] = active


class Groups(RuleBasedStateMachine):
    """Two groups, and the same again in a world whose region is read from disk before each call."""

    def __init__(self) -> None:
        super().__init__()
        self.world = ModelWorld()
        self.twin = ModelWorld()
        self.lives = Lives(self.world)
        self.detached: set[str] = set()
        #: Groups that ever had instances go back to a warm pool.
        self.reusing: set[str] = set()

    # What is done is done in both worlds.

    def reread(self) -> None:
        state = msgspec.json.decode(packed(self.twin), type=State)
        self.twin.virtual.region = Region(state)

    def call(self, operation: str, **request: object) -> dict | None:
        """Call both. Returns the answer; None where it was refused."""
        before = packed(self.world)
        answers = []
        self.reread()
        for world in (self.world, self.twin):
            try:
                answers.append(getattr(world.autoscaling, operation)(**request))
            except ClientError as refused:
                answers.append(refused.response["Error"])
        assert answers[0] == answers[1]
        if "Code" in answers[0]:
            assert packed(self.world) == before, f"{operation} was refused and changed something"
            return None
        if operation.startswith("describe_"):
            assert packed(self.world) == before, f"{operation} changed something"
        return answers[0]

    def advance(self, seconds: float) -> None:
        self.reread()
        for world in (self.world, self.twin):
            world.advance(seconds)

    def befall(self, event: str, *given: object, **how: object) -> None:
        self.reread()
        for world in (self.world, self.twin):
            getattr(world.virtual, event)(*given, **how)

    def instance(self, name: str, number: int, *, lifecycle: str = "") -> str:
        """An instance of a group, in a state where one is; an id that there is none of where it has none."""
        group = self.world.virtual.region.state.groups.get(name)
        ids = [i for i, m in group.members.items() if m.lifecycle.startswith(lifecycle)] if group else []
        return ids[number % len(ids)] if ids else "i-00000000000000000"

    @initialize()
    def begin(self) -> None:
        for world in (self.world, self.twin):
            world.autoscaling.create_launch_configuration(
                LaunchConfigurationName="source", ImageId=IMAGE_ID, InstanceType="t3.micro"
            )
        self.create("one", (1, 4, 2), 2, new_protected=False)

    # The API.

    @rule(
        name=names,
        bounds=st.tuples(sizes, sizes, sizes),
        in_zones=st.integers(1, 3),
        new_protected=flags,
    )
    def create(self, name: str, bounds: tuple[int, int, int], in_zones: int, *, new_protected: bool) -> None:
        self.call(
            "create_auto_scaling_group",
            AutoScalingGroupName=name,
            MinSize=bounds[0],
            MaxSize=bounds[1],
            DesiredCapacity=bounds[2],
            AvailabilityZones=[zone.name for zone in ZONES[:in_zones]],
            LaunchConfigurationName="source",
            HealthCheckGracePeriod=60,
            DefaultCooldown=120,
            NewInstancesProtectedFromScaleIn=new_protected,
        )

    @rule(name=names, desired=sizes, honor=flags)
    def set_desired(self, name: str, desired: int, *, honor: bool) -> None:
        self.call("set_desired_capacity", AutoScalingGroupName=name, DesiredCapacity=desired, HonorCooldown=honor)

    @rule(name=names, given=st.dictionaries(st.sampled_from(["MinSize", "MaxSize", "DesiredCapacity"]), sizes))
    def update(self, name: str, given: dict[str, int]) -> None:
        self.call("update_auto_scaling_group", AutoScalingGroupName=name, **given)

    @rule(name=names, in_zones=st.integers(1, 3))
    def move(self, name: str, in_zones: int) -> None:
        zones = [zone.name for zone in ZONES[-in_zones:]]
        self.call("update_auto_scaling_group", AutoScalingGroupName=name, AvailabilityZones=zones)

    @rule(name=names, adjustment=st.integers(-3, 3), simple=flags)
    def adjust(self, name: str, adjustment: int, *, simple: bool) -> None:
        self.call(
            "put_scaling_policy",
            AutoScalingGroupName=name,
            PolicyName="policy",
            PolicyType="SimpleScaling",
            AdjustmentType="ChangeInCapacity",
            ScalingAdjustment=adjustment,
        )
        self.call("execute_policy", AutoScalingGroupName=name, PolicyName="policy", HonorCooldown=simple)

    def track(self, name: str, *, scales_in: bool) -> None:
        metric = {"Namespace": "Test", "MetricName": "Load", "Statistic": "Average"}
        metric["Dimensions"] = [{"Name": "AutoScalingGroupName", "Value": name}]
        self.call(
            "put_scaling_policy",
            AutoScalingGroupName=name,
            PolicyName="tracking",
            PolicyType="TargetTrackingScaling",
            EstimatedInstanceWarmup=30,
            TargetTrackingConfiguration={
                "CustomizedMetricSpecification": metric,
                "TargetValue": 50.0,
                "DisableScaleIn": not scales_in,
            },
        )

    @rule(name=names, value=st.sampled_from([0, 20, 50, 80, 200]), minutes=st.integers(1, 16), scales_in=flags)
    def load(self, name: str, value: int, minutes: int, *, scales_in: bool) -> None:
        """Minutes of a metric that a target-tracking policy holds, one after the other."""
        self.track(name, scales_in=scales_in)
        for _ in range(minutes):
            self.reread()
            for world in (self.world, self.twin):
                datum = {"MetricName": "Load", "Value": float(value), "Timestamp": world.now()}
                datum["Dimensions"] = [{"Name": "AutoScalingGroupName", "Value": name}]
                world.cloudwatch.put_metric_data(Namespace="Test", MetricData=[datum])
                world.advance(60)

    @precondition(lambda self: self.detached)
    @rule(name=names, number=members)
    def attach(self, name: str, number: int) -> None:
        ids = sorted(self.detached)
        self.call("attach_instances", AutoScalingGroupName=name, InstanceIds=[ids[number % len(ids)]])

    @rule(name=names, launching=flags, result=st.sampled_from(["ABANDON", "CONTINUE"]))
    def hook(self, name: str, result: str, *, launching: bool) -> None:
        self.call(
            "put_lifecycle_hook",
            AutoScalingGroupName=name,
            LifecycleHookName=f"hook-{launching}",
            LifecycleTransition=f"autoscaling:EC2_INSTANCE_{'LAUNCHING' if launching else 'TERMINATING'}",
            HeartbeatTimeout=300,
            DefaultResult=result,
        )

    @rule(name=names, number=members, launching=flags, result=st.sampled_from(["ABANDON", "CONTINUE"]))
    def complete(self, name: str, number: int, result: str, *, launching: bool) -> None:
        waiting = self.instance(name, number, lifecycle="Pending:W" if launching else "Terminating:W")
        self.call(
            "complete_lifecycle_action",
            AutoScalingGroupName=name,
            LifecycleHookName=f"hook-{launching}",
            InstanceId=waiting,
            LifecycleActionResult=result,
        )

    @rule(name=names, number=members, decrement=flags)
    def terminate(self, name: str, number: int, *, decrement: bool) -> None:
        self.call(
            "terminate_instance_in_auto_scaling_group",
            InstanceId=self.instance(name, number),
            ShouldDecrementDesiredCapacity=decrement,
        )

    @rule(name=names, number=members, decrement=flags)
    def enter_standby(self, name: str, number: int, *, decrement: bool) -> None:
        self.call(
            "enter_standby",
            AutoScalingGroupName=name,
            InstanceIds=[self.instance(name, number, lifecycle="InService")],
            ShouldDecrementDesiredCapacity=decrement,
        )

    @rule(name=names, number=members)
    def exit_standby(self, name: str, number: int) -> None:
        self.call(
            "exit_standby", AutoScalingGroupName=name, InstanceIds=[self.instance(name, number, lifecycle="Standby")]
        )

    @rule(name=names, number=members, decrement=flags)
    def detach(self, name: str, number: int, *, decrement: bool) -> None:
        instance_id = self.instance(name, number, lifecycle="InService")
        answer = self.call(
            "detach_instances",
            AutoScalingGroupName=name,
            InstanceIds=[instance_id],
            ShouldDecrementDesiredCapacity=decrement,
        )
        if answer is not None:
            self.detached.add(instance_id)

    @rule(name=names, number=members, healthy=flags, respect=flags)
    def report_health(self, name: str, number: int, *, healthy: bool, respect: bool) -> None:
        self.call(
            "set_instance_health",
            InstanceId=self.instance(name, number),
            HealthStatus="Healthy" if healthy else "Unhealthy",
            ShouldRespectGracePeriod=respect,
        )

    @rule(name=names, number=members, protected=flags)
    def protect(self, name: str, number: int, *, protected: bool) -> None:
        self.call(
            "set_instance_protection",
            AutoScalingGroupName=name,
            InstanceIds=[self.instance(name, number, lifecycle="InService")],
            ProtectedFromScaleIn=protected,
        )

    @rule(name=names, processes=st.lists(st.sampled_from(PROCESSES), min_size=1, unique=True), on=flags)
    def suspend(self, name: str, processes: list[str], *, on: bool) -> None:
        operation = "suspend_processes" if on else "resume_processes"
        self.call(operation, AutoScalingGroupName=name, ScalingProcesses=processes)

    @rule(name=names, in_s=st.integers(1, 600), desired=sizes)
    def schedule(self, name: str, in_s: int, desired: int) -> None:
        self.call(
            "put_scheduled_update_group_action",
            AutoScalingGroupName=name,
            ScheduledActionName="schedule",
            StartTime=self.world.now() + timedelta(seconds=in_s),
            DesiredCapacity=desired,
        )

    @rule(name=names, least=st.sampled_from([0, 50, 90, 100]), most=st.sampled_from([100, 150]))
    def refresh(self, name: str, least: int, most: int) -> None:
        preferences = {"MinHealthyPercentage": least, "MaxHealthyPercentage": most, "InstanceWarmup": 20}
        self.call("start_instance_refresh", AutoScalingGroupName=name, Preferences=preferences)

    @rule(name=names)
    def cancel_refresh(self, name: str) -> None:
        self.call("cancel_instance_refresh", AutoScalingGroupName=name)

    @rule(name=names, bounds=st.sampled_from([(90, 110), (100, 200), (0, 100), (-1, -1)]))
    def maintain(self, name: str, bounds: tuple[int, int]) -> None:
        policy = {"MinHealthyPercentage": bounds[0], "MaxHealthyPercentage": bounds[1]}
        self.call("update_auto_scaling_group", AutoScalingGroupName=name, InstanceMaintenancePolicy=policy)

    @rule(name=names, state=st.sampled_from(["Stopped", "Running"]), least=st.integers(0, 2), reuse=flags)
    def warm(self, name: str, state: str, least: int, *, reuse: bool) -> None:
        if reuse:
            self.reusing.add(name)
        self.call(
            "put_warm_pool",
            AutoScalingGroupName=name,
            PoolState=state,
            MinSize=least,
            InstanceReusePolicy={"ReuseOnScaleIn": reuse},
        )

    @rule(name=names, force=flags)
    def cool(self, name: str, *, force: bool) -> None:
        self.call("delete_warm_pool", AutoScalingGroupName=name, ForceDelete=force)

    @rule(name=names, lifetime_s=st.sampled_from([0, 86_400]))
    def live(self, name: str, lifetime_s: int) -> None:
        self.call("update_auto_scaling_group", AutoScalingGroupName=name, MaxInstanceLifetime=lifetime_s)

    @rule(name=names, force=flags)
    def delete(self, name: str, *, force: bool) -> None:
        self.call("delete_auto_scaling_group", AutoScalingGroupName=name, ForceDelete=force)

    @rule(name=names)
    def describe(self, name: str) -> None:
        self.call("describe_auto_scaling_groups")
        self.call("describe_auto_scaling_instances")
        self.call("describe_scaling_activities", AutoScalingGroupName=name)
        self.call("describe_lifecycle_hooks", AutoScalingGroupName=name)

    # The world.

    @rule(seconds=st.sampled_from([1, 5, 30, 60, 300, HOUR_S, 30 * HOUR_S]))
    def wait(self, seconds: int) -> None:
        self.advance(seconds)

    def any_life(self, number: int) -> str:
        ids = list(self.world.virtual.lives)
        return ids[number % len(ids)]

    @precondition(lambda self: self.world.virtual.lives)
    @rule(number=members)
    def kill(self, number: int) -> None:
        self.befall("kill", self.any_life(number))

    @precondition(lambda self: self.world.virtual.lives)
    @rule(number=members, hung=flags)
    def hang(self, number: int, *, hung: bool) -> None:
        self.befall("hang", self.any_life(number), hung=hung)

    @rule(count=st.integers(1, 3))
    def refuse(self, count: int) -> None:
        self.befall("refuse", "We currently do not have sufficient capacity.", count=count)

    @rule(zone=st.sampled_from(ZONES), lost=flags)
    def cut(self, zone: object, *, lost: bool) -> None:
        self.befall("lose_zone" if lost else "restore_zone", zone.name)

    # What must hold.

    @invariant()
    def reading_the_state_again_changes_nothing_that_follows(self) -> None:
        if packed(self.world) != packed(self.twin):
            one, other = (msgspec.to_builtins(world.virtual.region.state) for world in (self.world, self.twin))
            pytest.fail("; ".join(differences(one, other)))

    @invariant()
    def desired_is_within_bounds(self) -> None:
        for group in self.world.virtual.region.state.groups.values():
            assert group.min_size <= group.desired <= group.max_size or group.deleting, group.name

    @invariant()
    def nothing_is_launched_beyond_the_maximum(self) -> None:
        self.lives.look()

    def teardown(self) -> None:
        """In a world that is kind, each group comes to be what it is to be; and activities tell what was."""
        for event, given in [("permit", ()), *(("restore_zone", (zone.name,)) for zone in ZONES)]:
            self.befall(event, *given)
        for instance_id in list(self.world.virtual.lives):
            self.befall("hang", instance_id, hung=False)
        for name in list(self.world.virtual.region.state.groups):
            self.free(name)
        self.advance(6 * HOUR_S)
        for group in self.world.virtual.region.state.groups.values():
            states = [m.lifecycle for m in group.members.values() if m.lifecycle != "Standby"]
            assert states == ["InService"] * group.desired, f"{group.name} is {states}, not {group.desired}"
            assert all(m.healthy for m in group.members.values() if m.lifecycle == "InService")
            self.activities_tell_what_was(group.name)
        self.nothing_is_left_of_nobody()

    def free(self, name: str) -> None:
        """Have nothing stand in a group's way: no hook, protection or suspended process."""
        with suppress(ClientError):
            self.call("resume_processes", AutoScalingGroupName=name)
            for launching in (True, False):
                hook = f"hook-{launching}"
                self.call("delete_lifecycle_hook", AutoScalingGroupName=name, LifecycleHookName=hook)
            self.call("update_auto_scaling_group", AutoScalingGroupName=name, NewInstancesProtectedFromScaleIn=False)
        for instance_id, member in list(self.world.virtual.region.state.groups[name].members.items()):
            if member.protected:
                self.call(
                    "set_instance_protection",
                    AutoScalingGroupName=name,
                    InstanceIds=[instance_id],
                    ProtectedFromScaleIn=False,
                )

    def activities_tell_what_was(self, name: str) -> None:
        group = self.world.virtual.region.state.groups[name]
        launching: dict[str, list[str]] = {}
        terminating: dict[str, list[str]] = {}
        for activity in group.activities:
            assert activity.status in {"Successful", "Failed", "Cancelled"}, activity
            assert activity.ended_us is not None
            assert len(activity.cause) <= 1023
            kind = {"Launching": launching, "Terminating": terminating}.get(activity.description.split()[0])
            if kind is not None and activity.instance_id:
                kind.setdefault(activity.instance_id, []).append(activity.status)
        lived = {i for i in self.lives.ran if self.lives.groups[i] == name and i in launching}
        assert {i for i, statuses in launching.items() if statuses == ["Successful"]} <= lived
        assert {i for i in group.members if i in self.lives.ran} <= set(launching)
        for instance_id, statuses in terminating.items():
            assert set(statuses) == {"Successful"}, (instance_id, statuses)
            # What goes back to a warm pool goes more than once, and is not gone then.
            assert name in self.reusing or (len(statuses) == 1 and instance_id in self.lives.gone)
        # Whatever lived in it and is gone was taken out by an activity, unless it had been detached; its launch was
        # cancelled; it could not be started again, which the failed launch tells; or nobody looks at it: on standby.
        cancelled = {i for i, statuses in launching.items() if statuses[-1] == "Cancelled"}
        ended = lived & self.lives.gone
        untold = ended - self.detached - set(terminating) - cancelled - self.lives.failed - set(group.members)
        assert not untold, {i: launching[i] for i in untold}

    def nothing_is_left_of_nobody(self) -> None:
        state = self.world.virtual.region.state
        owned = {i for group in state.groups.values() for i in group.members}
        owned |= {i for group in state.groups.values() if group.warm_pool for i in group.warm_pool.members}
        assert set(self.world.virtual.lives) <= owned | self.detached


TestGroups = Groups.TestCase
TestGroups.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
