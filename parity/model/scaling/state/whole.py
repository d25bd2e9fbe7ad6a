"""The region's whole state, and its groups and instances."""

from __future__ import annotations

from typing import Any

import msgspec

from parity.model.scaling.state.balancing import LoadBalancer, TargetGroup
from parity.model.scaling.state.ec2 import KeyPair, SecurityGroup
from parity.model.scaling.state.metrics import Alarm, Series, Tracking

SECOND_US = 1_000_000


class Zone(msgspec.Struct):
    """An availability zone, with the one subnet that is in it."""

    name: str
    zone_id: str
    subnet_id: str
    cidr: str
    available: bool = True


class Image(msgspec.Struct):
    """A machine image: an image of containers, by an id that EC2 would give."""

    image_id: str
    name: str
    tag: str = ""
    digest: str = ""
    state: str = "available"
    created_us: int = 0
    tags: dict[str, str] = {}
    description: str = ""
    #: The instance it was made of; empty where it was found or registered.
    source_instance_id: str = ""
    #: Why there is none, where making it failed.
    reason: str = ""


class LaunchConfiguration(msgspec.Struct):
    """What instances are started from, in the older way; never changes."""

    name: str
    arn: str
    created_us: int
    image_id: str
    instance_type: str
    user_data: str = ""
    extra: dict[str, Any] = {}


class TemplateVersion(msgspec.Struct):
    """A version of a launch template; never changes. `data` is `LaunchTemplateData` as it was given."""

    number: int
    created_us: int
    description: str = ""
    data: dict[str, Any] = {}


class LaunchTemplate(msgspec.Struct):
    """What instances are started from."""

    template_id: str
    name: str
    created_us: int
    default_version: int = 1
    versions: dict[int, TemplateVersion] = {}
    #: Numbers are not given twice, even when versions are deleted.
    latest_version: int = 1
    tags: dict[str, str] = {}


class LaunchSource(msgspec.Struct):
    """Where a group's instances come from, or an instance came from: a launch configuration or a launch template.

    Args:
        configuration: Its name; empty where it is a template.
        template_id: Its id.
        version: Of a group: as stated, `$Latest` and `$Default` kept. Of an instance: the number.
        mixed: Of a group with a mixed instances policy: the policy as stated.
    """

    configuration: str = ""
    template_id: str = ""
    version: str = ""
    mixed: dict[str, Any] | None = None


class Instance(msgspec.Struct):
    """An instance as EC2 sees it. `state` is EC2's: pending, running, shutting-down, terminated, stopping, stopped."""

    instance_id: str
    image_id: str
    instance_type: str
    zone: str
    subnet_id: str
    launched_us: int
    state: str = "pending"
    private_ip: str = ""
    image_digest: str = ""
    user_data: str = ""
    key_name: str = ""
    reason: str = ""
    #: Whether EC2's status checks pass.
    ok: bool = True
    spot: bool = False
    #: When EC2 takes it back, once it said so.
    spot_action_us: int | None = None
    rebalance_us: int | None = None
    ended_us: int | None = None
    #: The Auto Scaling group it belongs to; empty where it is nobody's.
    group: str = ""
    #: Whether it ever ran.
    ran: bool = False
    tags: dict[str, str] = {}
    extra: dict[str, Any] = {}


class HookWait(msgspec.Struct):
    """A hook that an instance waits for."""

    hook: str
    token: str
    began_us: int
    #: When its heartbeat times out.
    heartbeat_us: int
    #: When it ends whatever heartbeats there are.
    limit_us: int


class Member(msgspec.Struct):
    """An instance as its group sees it. `lifecycle` is the API's `LifecycleState`, such as `Pending:Wait`."""

    instance_id: str
    lifecycle: str
    zone: str
    source: LaunchSource
    instance_type: str = ""
    healthy: bool = True
    protected: bool = False
    joined_us: int = 0
    #: When it came into service last; grace and warmup count from there.
    in_service_us: int | None = None
    warm_us: int | None = None
    #: The activity that brings it in or takes it out, while one does.
    activity_id: str = ""
    #: The hooks it still waits for, by name.
    waits: dict[str, HookWait] = {}
    #: The instance that goes when this one is in service, where it was launched first and for that.
    replaces: str = ""
    #: Load balancers' health checks that fail, as target groups.
    failing: list[str] = []
    #: How many units of the desired capacity it is.
    weight: int = 1
    spot: bool = False
    #: Whether it was launched in place of another, and not for a larger size.
    stands_in: bool = False
    #: How long it must have been in service before the one that it replaces goes.
    proves_s: int = 0
    #: The instance refresh whose desired configuration it was launched with.
    refresh_id: str = ""
    #: Whether it came from the warm pool.
    warmed: bool = False
    #: Whether it goes to the warm pool where it would be terminated.
    returns: bool = False


class Activity(msgspec.Struct):
    """A scaling activity, as DescribeScalingActivities shows it."""

    activity_id: str
    description: str
    cause: str
    started_us: int
    status: str = "PreInService"
    ended_us: int | None = None
    message: str = ""
    progress: int = 0
    details: dict[str, Any] = {}
    instance_id: str = ""


class Hook(msgspec.Struct):
    """A lifecycle hook. `transition` is `launching` or `terminating`."""

    name: str
    transition: str
    heartbeat_s: int = 3600
    default_result: str = "ABANDON"
    target_arn: str = ""
    role_arn: str = ""
    metadata: str = ""


class Policy(msgspec.Struct):
    """A scaling policy; `kind` is the API's `PolicyType`. What it does stands in `given`, under the API's names."""

    name: str
    arn: str
    kind: str
    enabled: bool = True
    given: dict[str, Any] = {}
    #: Names of the alarms that a target-tracking policy made.
    alarms: list[str] = []


class Schedule(msgspec.Struct):
    """A scheduled action."""

    name: str
    arn: str
    start_us: int | None = None
    end_us: int | None = None
    recurrence: str = ""
    time_zone: str = ""
    min_size: int | None = None
    max_size: int | None = None
    desired: int | None = None
    #: When it runs next; None when it never does again.
    next_us: int | None = None


class Refresh(msgspec.Struct):
    """An instance refresh; `status` is the API's. What is still to be replaced stands in `Group.outdated`."""

    refresh_id: str
    status: str
    started_us: int
    #: As the call stated them, with what AWS takes where nothing is stated.
    preferences: dict[str, Any] = {}
    #: The desired configuration as stated, and the launch source it is.
    stated: dict[str, Any] | None = None
    target: LaunchSource | None = None
    ended_us: int | None = None
    reason: str = ""
    #: How far it came, in percent, and how many instances were left; only once it ended.
    percent: int = 0
    to_update: int = 0
    #: How many instances it began with.
    total: int = 0
    #: How many of them were done when that was looked at last.
    done: int = 0
    #: Members of the warm pool that were there when it began.
    warm: list[str] = []
    #: How many were left then.
    left: int = 0
    #: The next checkpoint.
    checkpoint: int = 0
    #: Until when it waits at a checkpoint, or bakes.
    waits_until_us: int | None = None
    #: When it came on last; an hour without that, and it fails.
    moved_us: int = 0
    #: `RollbackDetails`, once it is rolled back.
    rollback: dict[str, Any] | None = None


class WarmPool(msgspec.Struct):
    """A group's warm pool."""

    state: str = "Stopped"
    min_size: int = 0
    max_prepared: int | None = None
    reuse_on_scale_in: bool = False
    status: str = ""
    members: dict[str, Member] = {}


class Tag(msgspec.Struct):
    """A tag of a group."""

    value: str
    propagate: bool


class Breach(msgspec.Struct, frozen=True):
    """An alarm calls on a policy.

    Args:
        policy: Its name.
        alarm: The alarm's name.
        state: The state the alarm is in.
        before: The one it was in before.
        points: The datapoints that made it so, the newest last.
        threshold: What they were compared with.
    """

    policy: str
    alarm: str
    state: str
    before: str
    points: tuple[float, ...]
    threshold: float


class Group(msgspec.Struct):
    """An Auto Scaling group."""

    name: str
    arn: str
    created_us: int
    min_size: int
    max_size: int
    desired: int
    source: LaunchSource
    zones: list[str]
    subnets: list[str] = []
    cooldown_s: int = 300
    warmup_s: int | None = None
    #: Comma separated, as stated: `EC2`, `ELB`, ...
    health_check_type: str = "EC2"
    grace_s: int = 0
    termination_policies: list[str] = []
    new_protected: bool = False
    capacity_rebalance: bool = False
    max_lifetime_s: int = 0
    #: Smallest and largest healthy percentage, where there is a maintenance policy.
    maintenance: tuple[int, int] | None = None
    target_groups: list[str] = []
    load_balancers: list[str] = []
    traffic_sources: list[dict[str, Any]] = []
    #: Target groups attached to it when it was there already, as long as no instance passed their health check.
    unproven: list[str] = []
    #: Whether what load balancers find unhealthy counted when the group was last looked at.
    minded: bool = False
    #: Target groups that were detached and still drain, and what attached them: `AttachTrafficSources` or the other.
    detaching: dict[str, str] = {}
    tags: dict[str, Tag] = {}
    suspended: dict[str, str] = {}
    enabled_metrics: list[str] = []
    notifications: dict[str, list[str]] = {}
    members: dict[str, Member] = {}
    #: Those under way, by id.
    under_way: dict[str, Activity] = {}
    #: Those that ended, by their beginning, oldest first.
    activities: list[Activity] = []
    hooks: dict[str, Hook] = {}
    policies: dict[str, Policy] = {}
    schedules: dict[str, Schedule] = {}
    refreshes: list[Refresh] = []
    #: What an instance refresh brings: instances are launched from that while it lasts.
    refreshed_to: LaunchSource | None = None
    #: Members that the instance refresh is still to replace.
    outdated: dict[str, bool] = {}
    warm_pool: WarmPool | None = None
    cooldown_until_us: int = 0
    #: The activity of a simple policy that blocks others until it ends.
    blocking: list[str] = []
    #: Zones where launches fail: how many did one after the other, and when the next is tried.
    avoided: dict[str, tuple[int, int]] = {}
    #: Why the size asked for is what it is: the opening sentences of the causes to come.
    why: list[str] = []
    #: Those of alarms, and what activities show of the alarm.
    invoked_by: dict[str, dict[str, Any]] = {}
    #: Alarms that called on policies at this moment, and are answered together.
    breaches: list[Breach] = []
    deleting: bool = False
    extra: dict[str, Any] = {}
    #: Goes up with whatever a description of the group may show.
    changed: int = 0
    #: Members that are to be replaced for their health, and what they are taken out in response to.
    unhealthy: dict[str, str] = {}
    #: When replacements that have to wait for others are looked at again.
    review_us: int = 0
    #: Answers to calls that must not be carried out twice, by their tokens.
    answered: dict[str, dict[str, Any]] = {}
    #: Members that go when others, launched first, are in service, and what they are taken out in response to.
    replacing: dict[str, str] = {}
    #: What the next launches are in response to, where that is no mere difference of sizes.
    owed: list[str] = []
    #: Members that EC2 said it may take back soon, and that are to be replaced for that.
    at_risk: dict[str, bool] = {}
    #: When the next member comes to the end of its lifetime.
    lifetime_us: int = 0
    #: Members that were launched above the desired capacity and are not in service yet.
    surplus: list[str] = []
    # What follows from the members, kept so that nobody has to look at all of them; `lifecycle` keeps it.
    #: How many members there are in each lifecycle state.
    tally: dict[str, int] = {}
    #: How much there is of what the desired capacity asks for: members that come or are in service, by weight.
    capacity: int = 0
    #: How much of the capacity is in each zone.
    in_zones: dict[str, int] = {}
    #: How much of the capacity is spot instances.
    spot_capacity: int = 0
    #: Members in a state other than `InService`.
    in_transit: dict[str, bool] = {}
    #: When members came into service, in that order.
    entered: dict[str, int] = {}

    @property
    def refresh(self) -> Refresh | None:
        """The instance refresh that it is in, or whose rollback it is in."""
        last = self.refreshes[-1] if self.refreshes else None
        return last if last and last.ended_us is None else None


class State(msgspec.Struct):
    """A region's whole state."""

    seed: int
    account_id: str = "000000000000"
    region: str = "us-east-1"
    zones: list[Zone] = []
    now_us: int = 0
    #: How many choices were drawn: with the seed, what the next one is.
    drawn: int = 0
    #: A heap of when, which in turn, what, and of what: timers that may have become void.
    timers: list[tuple[int, int, str, tuple[str, ...]]] = []
    timers_set: int = 0
    images: dict[str, Image] = {}
    launch_configurations: dict[str, LaunchConfiguration] = {}
    launch_templates: dict[str, LaunchTemplate] = {}
    instances: dict[str, Instance] = {}
    #: M: how many there may be at once. EC2 limits processors by account and kind; no limit at all would hang us.
    instances_max: int = 20_000
    groups: dict[str, Group] = {}
    #: Groups that were deleted, for their activities.
    deleted: list[Group] = []
    alarms: dict[str, Alarm] = {}
    series: dict[str, Series] = {}
    tracking: Tracking = msgspec.field(default_factory=Tracking)
    target_groups: dict[str, TargetGroup] = {}
    load_balancers: dict[str, LoadBalancer] = {}
    security_groups: dict[str, SecurityGroup] = {}
    key_pairs: dict[str, KeyPair] = {}
    #: Tags of EC2's resources that have none of their own, by resource id.
    tags: dict[str, dict[str, str]] = {}
