"""The Auto Scaling group of a run: a region in the run's own time, told of as the history tells things."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from parity.errors import ServiceError
from parity.history import events
from parity.history.events import Called, Capacity, Deployed, Lifecycle
from parity.model.scaling.api import OPERATIONS, READS, Region
from parity.model.scaling.groups.zones import of_region
from parity.model.scaling.region import Answer
from parity.model.scaling.state import SECOND_US, Activity, Group, State
from parity.model.scaling.world import Action, Input, Launch, LaunchFailed, Measured
from parity.scenario.group import GroupSection, split_operation

#: What the group is called, and its launch template.
GROUP = "workers"
#: The namespace of what is measured of the run itself.
NAMESPACE = "Parity"
#: Real: EC2's status checks run each minute, and an instance is impaired after two that failed. Ours: two minutes of
#: the group's clock. Source: EC2 user guide, status checks.
IMPAIRED_S = 120
#: What instances have that no launch template names a revision for, and nobody deployed to.
AS_BUILT = "as-built"
#: A refresh that deploys: half of the instances at a time, and a new one counts as soon as it is in service.
_REFRESH = {"MinHealthyPercentage": 50, "InstanceWarmup": 0}
Record = Callable[..., None]

_LEAVING = ("Terminat", "Detach")


def no_room(asked: Launch) -> LaunchFailed:
    """What EC2 says where a zone has no room. Source: EC2 API reference, error codes."""
    message = (
        f"We currently do not have sufficient t3.small capacity in the Availability Zone you requested ({asked.zone})."
    )
    return LaunchFailed(asked.instance_id, message, code="InsufficientInstanceCapacity")


class Autoscaler:
    """An Auto Scaling group whose instances are a run's workers.

    Args:
        section: What the scenario says of it.
        image: The image that instances are started from.
        record: Told every event, as a class and its fields, without the time.
        boots_with: Which revision instances boot with: `template` or `deployed`.
    """

    def __init__(self, section: GroupSection, *, image: str, record: Record, boots_with: str = "template") -> None:
        self._section = section
        self._image = image
        self._record = record
        self._boots_with = boots_with
        #: The revision that was deployed last.
        self._deployed = AS_BUILT
        #: What the launch template said that each instance was launched from, by the worker's name.
        self._templates: dict[str, str] = {}
        self._epoch_us = _instant_us(section.begins)
        zones = of_region("us-east-1", "abcdef"[: section.zones])
        self.region = Region(State(seed=1, zones=zones, now_us=self._epoch_us))
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._told: dict[str, tuple[str, str, bool]] = {}
        self._numbers: tuple[int | str, ...] = ()
        #: The status of each activity that was told, and those that were under way then.
        self._activities: dict[str, str] = {}
        self._under_way: set[str] = set()

    # Time: the run's in microseconds since it began, the group's in microseconds since 1970.

    def group_time_us(self, run_us: int) -> int:
        """What the group's clock shows."""
        return self._epoch_us + round(run_us * self._section.pace)

    def due_us(self) -> int | None:
        """When of the run it must be stepped at the latest, if nothing else happens."""
        due_us = self.region.due_us()
        if due_us is None:
            return None
        # Rounded up: a step must not come before what it is for.
        return -int(-(due_us - self._epoch_us) // self._section.pace)

    # Calls and facts.

    def begin(self, run_us: int) -> list[Action]:
        """Make the group, carry out the setup, and have the first instances launched.

        Raises:
            ServiceError: The setup is refused.
        """
        section = self._section
        data = {"ImageId": self._image, "InstanceType": "t3.small"}
        self._call(run_us, "ec2", "CreateLaunchTemplate", {"LaunchTemplateName": GROUP, "LaunchTemplateData": data})
        self._call(
            run_us,
            "autoscaling",
            "CreateAutoScalingGroup",
            {
                "AutoScalingGroupName": GROUP,
                "LaunchTemplate": {"LaunchTemplateName": GROUP, "Version": "$Latest"},
                "MinSize": 0,
                "MaxSize": section.max_size,
                "DesiredCapacity": 0,
                "AvailabilityZones": [zone.name for zone in self.region.state.zones],
            },
        )
        for call in section.setup:
            self._call(run_us, *split_operation(call.call), self._complete(split_operation(call.call)[0], call.request))
        sizes = {"MinSize": section.min_size, "DesiredCapacity": section.desired}
        self._call(run_us, "autoscaling", "UpdateAutoScalingGroup", {"AutoScalingGroupName": GROUP, **sizes})
        return self.step(run_us)

    def call(self, run_us: int, operation: str, request: Mapping[str, Any], *, worker: str = "") -> str:
        """Carry out a call of a scenario's step; what it asks of the world comes with the next step.

        Args:
            run_us: The time.
            operation: As the scenario writes it.
            request: Its parameters; the group's name, the instance and the lifecycle action's are filled in.
            worker: Whose instance it is about; empty where it is about none.

        Returns:
            AWS's error; empty where it was not refused.
        """
        service, name = split_operation(operation)
        filled = self._complete(service, request)
        if worker:
            filled |= _about(name, self._ids[worker])
        try:
            self._call(run_us, service, name, filled)
        except ServiceError as error:
            self._record(Called, operation=operation, refused=str(error))
            return str(error)
        self._record(Called, operation=operation)
        return ""

    def answer(self, run_us: int, service: str, name: str, request: Mapping[str, Any]) -> Answer:
        """Carry out a call that came over the wire, as it is; what only reads is not told of.

        Raises:
            ServiceError: It is refused.
        """
        try:
            answer = self._call(run_us, service, name, request)
        except ServiceError as error:
            self._record(Called, operation=name, refused=str(error))
            raise
        if (service, name) not in READS:
            self._record(Called, operation=name)
        return answer

    def step(self, run_us: int, inputs: Iterable[Input] = ()) -> list[Action]:
        """Let time pass, and take facts in.

        Returns:
            What the world must do.
        """
        actions = self.region.step(self.group_time_us(run_us), inputs)
        for action in actions:
            if isinstance(action, Launch):
                # Not a name that lives again: an instance that is started again is not launched.
                name = f"worker-{len(self._names) + 1}"
                self._names[action.instance_id] = name
                self._ids[name] = action.instance_id
                self._templates[name] = base64.b64decode(action.user_data).decode() or AS_BUILT
        self._tell()
        return actions

    # Deploys.

    def begin_deploy(self, revision: str) -> None:
        """From now on instances should have a revision."""
        self._deployed = revision
        self._record(Deployed, revision=revision)

    def new_template(self, run_us: int, revision: str, *, refresh: bool) -> str:
        """Make a version of the launch template that names a revision, and have the instances refreshed to it or not.

        Returns:
            AWS's error; empty where it was not refused.
        """
        data = {"UserData": base64.b64encode(revision.encode()).decode()}
        version = {"LaunchTemplateName": GROUP, "SourceVersion": "$Latest", "LaunchTemplateData": data}
        refused = self.call(run_us, "ec2.CreateLaunchTemplateVersion", version)
        if refused or not refresh:
            return refused
        return self.call(run_us, "StartInstanceRefresh", {"Preferences": _REFRESH})

    def revision_at_boot(self, worker: str) -> str:
        """The revision that an instance has which boots now."""
        return self._deployed if self._boots_with == "deployed" else self._templates[worker]

    def serving(self) -> list[str]:
        """The workers that are in service."""
        members = self.group.members.items()
        return [self._names[instance_id] for instance_id, member in members if member.lifecycle == "InService"]

    def readings(self, depth: int) -> list[Measured]:
        """The group's own metrics, `QueueDepth` and `BacklogPerInstance`; the latter while any instance is in service.

        Args:
            depth: How many jobs are queued or in anybody's hands.
        """
        in_service = self.in_service()
        values = {"QueueDepth": float(depth)} | ({"BacklogPerInstance": depth / in_service} if in_service else {})
        dimensions = (("AutoScalingGroupName", GROUP),)
        return [
            Measured(namespace=NAMESPACE, name=name, dimensions=dimensions, total=value, low=value, high=value)
            for name, value in values.items()
        ]

    # What it knows.

    @property
    def group(self) -> Group:
        """The group."""
        return self.region.state.groups[GROUP]

    def worker_of(self, instance_id: str) -> str:
        """A worker's name by its instance's id."""
        return self._names[instance_id]

    def id_of(self, worker: str) -> str:
        """An instance's id by its worker's name."""
        return self._ids[worker]

    def zone_of(self, worker: str) -> str:
        """The zone of a worker's instance."""
        return self.region.state.instances[self._ids[worker]].zone

    def zones(self) -> list[str]:
        """The zones by name."""
        return [zone.name for zone in self.region.state.zones]

    def in_service(self) -> int:
        """How many instances are in service."""
        return sum(member.lifecycle == "InService" for member in self.group.members.values())

    def settled(self) -> bool:
        """Whether as many are in service as should be, and none is on its way in or out, or is to be replaced."""
        if self.group.refresh is not None:
            return False
        # Who is in standby stays there until somebody has it come back.
        states = [member.lifecycle for member in self.group.members.values() if member.lifecycle != "Standby"]
        return states.count("InService") == self.group.desired == len(states)

    # Within.

    def _call(self, run_us: int, service: str, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if (service, name) not in OPERATIONS:
            raise ServiceError("InvalidAction", f"The action {name} is not valid for this web service.")
        return self.region.call(self.group_time_us(run_us), service, name, request)

    def _complete(self, service: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """A request with the group's name, where the operation is on a group; and with ARNs for policies' names."""
        filled = dict(request)
        if service == "autoscaling" and "AutoScalingGroupNames" not in filled:
            filled.setdefault("AutoScalingGroupName", GROUP)
        if service == "cloudwatch" and "AlarmActions" in filled:
            policies = self.group.policies
            filled["AlarmActions"] = [
                policies[action].arn if action in policies else action for action in filled["AlarmActions"]
            ]
        return {key: _instant_us(value) if key in _TIMES else value for key, value in filled.items()}

    def _tell(self) -> None:
        """Say what changed since the last time."""
        group = self.group
        self._tell_members(group)
        for activity in self._news(group):
            self._activities[activity.activity_id] = activity.status
            self._record(
                events.Activity,
                activity=activity.activity_id,
                status=activity.status,
                description=activity.description,
                cause=activity.cause,
                instance=self._names.get(activity.instance_id, ""),
                message=activity.message,
            )
        self._tell_numbers(group)

    def _news(self, group: Group) -> list[Activity]:
        """Activities with another status than was told, those that ended first."""
        # They are kept by their beginnings: one that ended now may stand before others that ended long ago.
        awaited = self._under_way - group.under_way.keys()
        self._under_way = set(group.under_way)
        ended = []
        for activity in reversed(group.activities):
            if self._activities.get(activity.activity_id) != activity.status:
                ended.append(activity)
                awaited.discard(activity.activity_id)
            elif not awaited:
                break
        begun = [one for one in group.under_way.values() if self._activities.get(one.activity_id) != one.status]
        return [*reversed(ended), *begun]

    def _tell_members(self, group: Group) -> None:
        told = {
            instance_id: (member.lifecycle, member.zone, member.healthy)
            for instance_id, member in group.members.items()
        }
        for instance_id, (state, zone, healthy) in told.items():
            if self._told.get(instance_id) != told[instance_id]:
                name = self._names.get(instance_id, instance_id)
                self._record(Lifecycle, instance=name, state=state, zone=zone, healthy=healthy)
        for instance_id in self._told.keys() - told.keys():
            self._record(Lifecycle, instance=self._names.get(instance_id, instance_id), state="")
        self._told = told

    def _tell_numbers(self, group: Group) -> None:
        states = [state for state, _, _ in self._told.values()]
        in_service = states.count("InService")
        leaving = sum(state.startswith(_LEAVING) for state in states)
        pending = sum(state.startswith("Pending") for state in states)
        excused = self._excuse(group)
        numbers = (group.desired, group.min_size, group.max_size, in_service, pending, leaving, excused)
        if self._numbers != numbers:
            self._numbers = numbers
            self._record(
                Capacity,
                desired=group.desired,
                min_size=group.min_size,
                max_size=group.max_size,
                in_service=in_service,
                pending=pending,
                leaving=leaving,
                excused=excused,
            )

    def _excuse(self, group: Group) -> str:
        """Why there may be more instances than the largest size, where AWS documents it."""
        if group.refresh is not None:
            return events.REFRESHING
        zones = {member.zone for member in group.members.values()}
        if len(zones) > 1 and len(group.members) > group.max_size:
            return "rebalancing"
        return "capacity rebalancing" if group.capacity_rebalance else ""


#: Parameters that are times.
_TIMES = frozenset({"StartTime", "EndTime", "Time"})


def _instant_us(text: Any) -> int:
    return round(datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() * SECOND_US)


def _about(name: str, instance_id: str) -> dict[str, Any]:
    """The parameter by which an operation names the instance it is about."""
    listed = name in ("EnterStandby", "ExitStandby", "DetachInstances", "SetInstanceProtection", "TerminateInstances")
    return {"InstanceIds": [instance_id]} if listed else {"InstanceId": instance_id}
