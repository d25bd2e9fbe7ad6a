"""Each statement can fail: a model with one wrong rule does not meet it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any

import pytest
import test_capacity_statements as capacity_statements
import test_hook_statements as hook_statements
import test_policy_statements as policy_statements
from botocore.exceptions import ClientError
from model_world import ModelWorld

from parity.model.scaling.groups import capacity, causes, health, lifecycle, termination
from parity.model.scaling.policies import adjust, cron, decisions, tracking
from parity.model.scaling.policies import cooldown as cooldowns
from parity.model.scaling.region import OPERATIONS
from parity.model.scaling.replacing import refreshing
from parity.model.scaling.state import SECOND_US

Patch = pytest.MonkeyPatch
Statement = Callable[[Any], None]
WRONG: dict[str, tuple[Callable[[Patch], None], Statement]] = {}


def breaks(statement: Statement) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Register a wrong rule, and the statement that shows it; its docstring says what is wrong."""

    def register(patch: Callable[[Patch], None]) -> Callable[[Patch], None]:
        WRONG[patch.__name__] = (patch, statement)
        return patch

    return register


def answer(patch: Patch, operation: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Have an operation answered otherwise. Returns what answered it."""
    before = OPERATIONS["autoscaling", operation]
    patch.setitem(OPERATIONS, ("autoscaling", operation), function)
    return before


@breaks(capacity_statements.test_01_more_capacity_is_launched)
def one_cause_says_one_instance(patch):
    """A cause tells of one instance more, where several are launched."""
    real = causes.launched
    patch.setattr(causes, "launched", lambda region, before, _after: real(region, before, before + 1))


@breaks(capacity_statements.test_01_more_capacity_is_launched)
def pending_is_skipped(patch):
    """An instance is in service as soon as it was asked for."""
    real = lifecycle.join

    def join(region, group, member):
        real(region, group, member)
        lifecycle.entered(region, group, member)

    patch.setattr(lifecycle, "join", join)


@breaks(capacity_statements.test_02_capacity_outside_the_bounds_is_refused)
def too_much_is_clamped(patch):
    """A desired capacity beyond the maximum is taken for the maximum."""

    def set_desired(region, request):
        group = region.group(request["AutoScalingGroupName"])
        desired = adjust.clamped(request["DesiredCapacity"], group.min_size, group.max_size)
        return real(region, {**request, "DesiredCapacity": desired})

    real = answer(patch, "SetDesiredCapacity", set_desired)


@breaks(capacity_statements.test_03_a_policy_beyond_the_maximum_goes_to_the_maximum)
def a_policy_goes_beyond_the_maximum(patch):
    """What a policy asks for is not clamped."""
    patch.setattr(decisions, "clamped", lambda size, _low, _high: size)


@breaks(capacity_statements.test_04_an_instance_that_dies_is_replaced_even_in_grace)
def grace_spares_the_dead(patch):
    """An instance that does not run is healthy until its grace is over."""
    real = health._why

    def why(region, group, member):
        in_grace = region.now_us < (member.in_service_us or 0) + group.grace_s * SECOND_US
        return "" if in_grace else real(region, group, member)

    patch.setattr(health, "_why", why)


@breaks(capacity_statements.test_05_scale_in_takes_from_the_zone_with_the_most)
def the_emptiest_zone_gives(patch):
    """Scale-in takes from the zone with the least."""

    def by_zones(group, order, count):
        emptiest = sorted(order, key=lambda name: group.in_zones[name])[:1]
        return [member for zone in emptiest for _, member in order[zone][-count:]]

    patch.setattr(termination, "_by_zones", by_zones)


@breaks(capacity_statements.test_06_scale_in_takes_what_a_configuration_launched)
def the_newest_goes(patch):
    """The default policy takes the newest instance."""
    patch.setitem(termination._RULES, "Default", termination._RULES["NewestInstance"])


@breaks(capacity_statements.test_07_a_protected_instance_is_not_chosen)
def protection_is_of_no_account(patch):
    """Scale-in chooses among the protected too."""
    real = capacity._going

    def going(region, group, excess):
        was = {name: member.protected for name, member in group.members.items()}
        for member in group.members.values():
            member.protected = False
        chosen = real(region, group, excess)
        for name, protected in was.items():
            group.members[name].protected = protected
        return chosen

    patch.setattr(capacity, "_going", going)


@breaks(capacity_statements.test_08_where_all_are_protected_none_dies)
def protection_holds_the_desired_capacity(patch):
    """Where all are protected the desired capacity does not fall."""
    real = capacity.resize

    def resize(region, group, desired, why):
        if desired > group.desired or not all(member.protected for member in group.members.values()):
            real(region, group, desired, why)

    patch.setattr(capacity, "resize", resize)


@breaks(hook_statements.test_09_a_hook_that_nobody_completes_has_the_instance_replaced)
def silence_is_consent(patch):
    """A hook that timed out continues."""
    real = lifecycle.complete

    def complete(region, group, member, wait, *, result, why):
        real(region, group, member, wait, result="CONTINUE" if why == "Heartbeat Timeout" else result, why=why)

    patch.setattr(lifecycle, "complete", complete)


@breaks(hook_statements.test_10_grace_begins_when_the_hook_is_completed)
def grace_begins_at_the_launch(patch):
    """Grace counts from the launch, and is over when the hook is."""
    real = lifecycle.entered

    def entered(region, group, member):
        real(region, group, member)
        member.in_service_us = member.joined_us

    patch.setattr(lifecycle, "entered", entered)


@breaks(hook_statements.test_11_a_heartbeat_starts_the_hour_again)
def heartbeats_are_not_heard(patch):
    """A recorded heartbeat changes nothing."""
    answer(patch, "RecordLifecycleActionHeartbeat", lambda _region, _request: {})


@breaks(policy_statements.test_12_a_cooldown_has_the_second_alarm_ignored)
def nothing_cools_down(patch):
    """Simple policies do not wait for a cooldown."""
    patch.setattr(cooldowns, "cooling", lambda _region, _group: False)


@breaks(policy_statements.test_12_a_cooldown_has_the_second_alarm_ignored)
def cooldown_has_no_end(patch):
    """A simple policy is never carried out a second time."""
    patch.setattr(cooldowns, "cooling", lambda _region, group: group.cooldown_until_us > 0)


@breaks(policy_statements.test_13_a_cooldown_holds_for_a_request_only_where_it_says_so)
def a_request_never_waits(patch):
    """HonorCooldown is not looked at."""
    real = OPERATIONS["autoscaling", "SetDesiredCapacity"]
    answer(
        patch,
        "SetDesiredCapacity",
        lambda region, request: real(region, {k: v for k, v in request.items() if k != "HonorCooldown"}),
    )


@breaks(policy_statements.test_13_a_cooldown_holds_for_a_request_only_where_it_says_so)
def a_request_always_waits(patch):
    """A request waits for the cooldown without being asked to."""
    real = OPERATIONS["autoscaling", "SetDesiredCapacity"]
    answer(patch, "SetDesiredCapacity", lambda region, request: real(region, {**request, "HonorCooldown": True}))


@breaks(policy_statements.test_14_the_user_guide_s_steps)
def percentages_are_rounded_up(patch):
    """3.3 more are 4."""

    def percent(capacity, percent, magnitude):
        change = max(math.ceil(abs(capacity * percent) / 100), magnitude)
        return change if percent > 0 else -change

    patch.setattr(adjust, "_percent", percent)


@breaks(policy_statements.test_14_the_user_guide_s_steps)
def lower_bounds_are_outside(patch):
    """A metric exactly on the lower bound of a step is in the step below, above the threshold too."""

    def step_for(steps, difference):
        inside = [s for s in steps if adjust.bounds(s)[0] < difference <= adjust.bounds(s)[1]]
        return inside[0]["ScalingAdjustment"] if inside else None

    patch.setattr(decisions, "step_for", step_for)


@breaks(policy_statements.test_14_the_user_guide_s_steps)
def lower_bounds_are_inside(patch):
    """A metric exactly on the lower bound of a step is in it, below the threshold too."""

    def step_for(steps, difference):
        inside = [s for s in steps if adjust.bounds(s)[0] <= difference < adjust.bounds(s)[1]]
        return inside[0]["ScalingAdjustment"] if inside else None

    patch.setattr(decisions, "step_for", step_for)


@breaks(policy_statements.test_15_a_percentage_is_at_least_its_magnitude)
def magnitude_is_of_no_account(patch):
    """A percentage has no least number of instances."""
    real = adjust.adjusted
    patch.setattr(decisions, "adjusted", lambda size, kind, amount, _magnitude=0: real(size, kind, amount))


@breaks(policy_statements.test_16_what_warms_up_already_answers_the_same_step)
def all_is_warm(patch):
    """An instance in service is measured from its first moment."""
    patch.setattr(capacity, "warming", lambda _region, _group, _warmup_s=None: [])


@breaks(policy_statements.test_17_while_instances_warm_up_there_is_no_scale_in)
def warming_up_blocks_nothing(patch):
    """Scale-in does not wait for what warms up."""
    real = decisions._warmed
    patch.setattr(decisions, "_warmed", lambda region, group, policy: (real(region, group, policy)[0], 0))


@breaks(policy_statements.test_18_a_backlog_of_1500_for_ten_workers_wants_fifteen)
def tracking_goes_one_by_one(patch):
    """Target tracking adds one instance at a time."""
    patch.setattr(tracking, "needed", lambda size, metric, target: size + (1 if metric > target else -1))


@breaks(policy_statements.test_19_fifteen_low_minutes_are_what_scale_in_takes)
def fourteen_minutes_are_enough(patch):
    """The alarm for scale-in needs a minute less."""
    real = tracking.arrange

    def arrange(region, group, policy):
        region.state.tracking.low_periods = 14
        real(region, group, policy)

    patch.setattr(tracking, "arrange", arrange)


@breaks(policy_statements.test_20_of_policies_at_once_the_one_with_the_largest_capacity_counts)
def the_smallest_capacity_counts(patch):
    """Of what policies ask for at once, the least is done."""
    patch.setattr(decisions, "max", min, raising=False)


@breaks(policy_statements.test_21_all_tracking_policies_must_agree_to_scale_in)
def one_policy_is_enough(patch):
    """A target-tracking policy scales in whatever the others see."""

    def ready(region, group):
        pairs = [(policy, tracking.low_alarm(region, policy)) for policy in group.policies.values()]
        return [(policy, alarm) for policy, alarm in pairs if alarm and alarm.state == "ALARM"]

    patch.setattr(tracking, "ready_to_shrink", ready)


@breaks(policy_statements.test_22_a_recurrence_follows_its_time_zone_s_clock)
def clocks_do_not_go_forward(patch):
    """A time zone is what it is in winter."""
    patch.setattr(cron, "zone_named", lambda _name: timezone(timedelta(hours=1)))


@breaks(policy_statements.test_23_what_is_suspended_is_not_made_up_for)
def suspending_is_of_no_account(patch):
    """Policies are carried out for alarms although that is suspended."""
    patch.setattr(decisions, "suspended", lambda _group, _process: False)


@breaks(capacity_statements.test_24_a_group_with_instances_is_only_deleted_by_force)
def force_is_not_needed(patch):
    """A group is deleted with its instances by any request."""
    real = OPERATIONS["autoscaling", "DeleteAutoScalingGroup"]
    answer(patch, "DeleteAutoScalingGroup", lambda region, request: real(region, {**request, "ForceDelete": True}))


@breaks(capacity_statements.test_24_a_group_with_instances_is_only_deleted_by_force)
def force_waits_for_hooks(patch):
    """Deleting by force waits for the hooks of what it terminates."""
    patch.setattr(
        lifecycle,
        "force_out",
        lifecycle.terminate,
    )


@breaks(capacity_statements.test_25_a_refresh_has_at_most_one_in_ten_out)
def a_refresh_takes_two_at_once(patch):
    """A refresh keeps a tenth less in service than it is told to."""
    real = refreshing.bounds_of

    def bounds_of(refresh):
        bounds = real(refresh)
        return bounds._replace(least=bounds.least - 10)

    patch.setattr(refreshing, "bounds_of", bounds_of)


@breaks(capacity_statements.test_25_a_refresh_has_at_most_one_in_ten_out)
def a_refresh_leaves_the_source(patch):
    """What a group is launched from is not changed by the success of a refresh."""
    patch.setattr(
        refreshing,
        "_succeed",
        lambda region, group, refresh: refreshing.end(region, group, refresh, refreshing.SUCCESSFUL),
    )


@pytest.mark.parametrize("name", WRONG)
def test_a_model_with_one_wrong_rule_does_not_meet_its_statement(name, monkeypatch):
    patch, statement = WRONG[name]
    patch(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, ClientError)):
        statement(ModelWorld())


def test_each_statement_has_its_wrong_rule():
    statements = {
        function
        for module in (capacity_statements, hook_statements, policy_statements)
        for name, function in vars(module).items()
        if name.startswith("test_")
    }
    assert len(statements) == 25
    assert {statement for _, statement in WRONG.values()} == statements
