"""Scenarios of the search with an Auto Scaling group: drawn, fair, claimed, told, shrunk to none where it can be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_toy import QUORUM, SEARCHABLE, Toy

from parity.check import judge
from parity.history.events import Delivery
from parity.model.settings import DatabaseModel, ModelSettings, WorkerModel
from parity.scenario.group import GroupSection
from parity.scenario.properties import GROUP_PROPERTIES, Properties
from parity.scenario.ranges import IntRange
from parity.scenario.scenario import Scenario, Workload, read_scenario
from parity.scenario.source import Source
from parity.scenario.steps import KINDS, Step
from parity.sim.failure import readable_yaml
from parity.sim.generate import STEPS_MAX, generate, generate_unmasked, is_fair
from parity.sim.grouped import PACES, claimed
from parity.sim.handover import HypothesisDraws
from parity.sim.run import simulate
from parity.sim.search import explore
from parity.sim.shrink import shrink
from parity.sim.simpler import simpler
from parity.sim.space import OF_A_GROUP, SIMPLEST_FIRST, GroupSpace, make_space
from parity.sim.tape import Tape
from parity.sim.words import describe

ROOT = Path(__file__).parents[2]
GROUPS = GroupSpace(deploys=("discover", "refresh"), archives=True)
SPACE = make_space("compose/rabbitmq", QUORUM, searchable=SEARCHABLE, group=GROUPS)
WITHOUT = make_space("compose/rabbitmq", QUORUM, searchable=SEARCHABLE)
RUNS = 1200


@pytest.fixture(scope="module")
def grouped() -> list[Scenario]:
    """Those of many scenarios that have a group."""
    scenarios = (generate(Tape(seed=seed), SPACE) for seed in range(RUNS))
    return [scenario for scenario in scenarios if scenario.group]


def by_hand(*steps: dict[str, object], **group: object) -> Scenario:
    return Scenario.model_validate({"name": "x", "about": "By hand.", "group": group, "steps": list(steps)})


FEW = QUORUM.model_copy(update={"database": DatabaseModel(max_connections=12, reserved_connections=0)})
HOOK = {
    "LifecycleHookName": "drain",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "HeartbeatTimeout": 90,
}
LAUNCH = {**HOOK, "LifecycleHookName": "warm-up", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
DRAINS = QUORUM.model_copy(update={"worker": WorkerModel(on_terminate="drain", job_duration=(4, 4), stop_grace=1)})


def drawn(settings: ModelSettings, group: GroupSpace) -> list[Scenario]:
    space = make_space("x", settings, group=group)
    return [generate(Tape(seed=seed), space) for seed in range(RUNS)]


def test_one_run_in_four_has_a_group():
    count = sum(scenario.group is not None for scenario in drawn(QUORUM, GroupSpace(deploys=("refresh",))))
    assert RUNS / 5 < count < RUNS / 3


@pytest.mark.parametrize(
    ("settings", "group"),
    [
        (QUORUM, GroupSpace(deploys=("discover",))),
        (QUORUM, GroupSpace(archives=True)),
        (DRAINS, GroupSpace()),
        (FEW, GroupSpace()),
    ],
    ids=["deploys", "archives", "drains", "few connections"],
)
def test_every_other_run_has_one_where_only_a_group_can_bring_something_to_light(settings, group):
    count = sum(scenario.group is not None for scenario in drawn(settings, group))
    assert RUNS * 0.45 < count < RUNS * 0.55


def test_sizes_beyond_the_database_s_room_come_up_more_often():
    assert make_space("x", FEW).room == 10

    def share(settings: ModelSettings) -> float:
        scenarios = drawn(settings, GroupSpace())
        calls = [
            step.request or {} for one in scenarios for step in one.steps if step.operation == "SetDesiredCapacity"
        ]
        return sum(request["DesiredCapacity"] == 10 for request in calls) / len(calls)

    assert share(QUORUM) < 0.15
    assert share(FEW) > 0.3


def test_where_workers_finish_in_the_hook_some_runs_let_them():
    """A swarm of its own: no faults. Their hooks are as long as is claimed."""
    scenarios = [scenario for scenario in drawn(DRAINS, GroupSpace()) if scenario.properties.drained_before_termination]
    assert len(scenarios) > RUNS / 25
    for scenario in scenarios:
        assert not any(KINDS[step.kind].fault for step in scenario.steps)
    assert not any(one.properties.drained_before_termination for one in drawn(QUORUM, GroupSpace()))


def test_a_space_without_groups_draws_what_it_always_did():
    """Nothing is drawn for a group that cannot be: the tapes of the zoo's other bugs mean what they meant."""
    for seed in range(100):
        scenario, choices = generate_unmasked(Tape(seed=seed), WITHOUT)
        assert scenario.group is None
        with_one = generate(Tape(choices=[choices[0], 0, *choices[1:]]), SPACE)
        assert with_one == scenario


def test_a_scenario_is_valid_and_fair(grouped: list[Scenario]):
    for scenario in grouped[:50]:
        assert read_scenario(Source(readable_yaml(scenario), file="x"), name="x") == scenario
    for scenario in grouped:
        assert is_fair(scenario, SPACE)
        # One more resumes what is suspended.
        assert len(scenario.steps) <= STEPS_MAX + 1
        assert scenario.draw(Tape(seed=1)) == scenario


def test_benign_choices_make_no_group():
    assert generate(Tape(), SPACE) == generate(Tape(), WITHOUT)


def test_without_the_mask_it_is_the_same_scenario():
    for seed in range(300):
        scenario, choices = generate_unmasked(Tape(seed=seed), SPACE)
        assert generate(Tape(choices=choices), SPACE) == scenario


@given(st.data())
def test_hypothesis_draws_them_too(data: st.DataObject):
    draws = HypothesisDraws(data.draw)
    scenario = generate(draws, SPACE)
    assert is_fair(scenario, SPACE)
    assert generate(Tape(choices=draws.choices), SPACE) == scenario


def test_everything_possible_comes_up(grouped: list[Scenario]):
    kinds = Counter(step.operation or step.kind for scenario in grouped for step in scenario.steps)
    assert set(OF_A_GROUP) <= kinds.keys()
    assert {"kill", "submit", "isolate"} <= kinds.keys()
    sections = [scenario.group for scenario in grouped if scenario.group]
    assert {section.pace for section in sections} == set(PACES)
    setup = Counter(name for section in sections for call in section.setup for name in call.request)
    assert setup["LifecycleHookName"] > setup["PolicyName"] > 0


def test_few_calls_are_refused(grouped: list[Scenario]):
    """A step that fails makes a run that says nothing."""
    silent = sum(bool(simulate(scenario, QUORUM, Tape()).failed) for scenario in grouped)
    assert silent < len(grouped) / 4


class TestFair:
    @pytest.mark.parametrize(
        "steps",
        [
            [{"call": "SuspendProcesses", "request": {"ScalingProcesses": ["Launch"]}}],
            [
                {"call": "SuspendProcesses", "request": {"ScalingProcesses": ["Launch"]}},
                {"kill": "any worker", "pick": 0, "at": "delivery 1"},
                {"call": "ResumeProcesses"},
            ],
            [{"lose_zone": "every zone", "for": "20s"}, {"fail_launches": "every zone", "for": "20s"}],
            [{"deploy": "discover", "revision": "two"}, {"deploy": "discover", "revision": "three"}],
            [{"call": "SetDesiredCapacity", "request": {"DesiredCapacity": 11}}],
            [{"scale": 11}],
            [{"call": "ExitStandby", "whose": "the same"}],
            [
                {"call": "EnterStandby", "whose": "any worker", "request": {"ShouldDecrementDesiredCapacity": True}},
                {"call": "SetDesiredCapacity", "request": {"DesiredCapacity": 1}, "at": "1s"},
            ],
            [
                {"deploy": "refresh", "revision": "two"},
                {"call": "EnterStandby", "whose": "any worker", "request": {"ShouldDecrementDesiredCapacity": False}},
            ],
            [{"submit": 1, "of_kind": "crash"}],
        ],
        ids=["suspended", "overtaken", "failing", "deploys", "max", "scale", "exit", "min", "refresh", "crash"],
    )
    def test_what_is_not(self, steps: list[dict[str, object]]):
        assert not is_fair(by_hand(*steps), SPACE)

    def test_what_is(self):
        assert is_fair(by_hand({"call": "SetDesiredCapacity", "request": {"DesiredCapacity": 1}}), SPACE)
        assert not is_fair(by_hand(), WITHOUT)


class TestClaims:
    def of(self, *steps: dict[str, object], **group: object) -> Properties:
        return claimed(by_hand(*steps, **group), SPACE).properties

    def test_what_makes_sense(self):
        plain = self.of()
        assert plain.capacity_in_bounds
        assert plain.activities_match
        assert plain.connections_under_limit
        assert plain.capacity_converges_within == 30
        # Nothing was deployed, and nobody can have ended.
        assert not plain.on_revision
        assert plain.logs_archived is None

    def test_steps_decide(self):
        assert self.of({"deploy": "discover", "revision": "two"}).on_revision
        assert not self.of({"exhaust_connections": "database", "for": "1s"}).connections_under_limit
        suspended = {"call": "SuspendProcesses", "request": {"ScalingProcesses": ["Launch"]}}
        assert self.of(suspended, {"call": "ResumeProcesses"}).capacity_converges_within is None
        # What stands still for so long has its lines that late, and is that late itself.
        paused = self.of({"pause": "any worker", "for": "8s"})
        assert (paused.logs_archived, paused.capacity_converges_within) == (13, 46)

    @pytest.mark.parametrize(
        ("settings", "pace", "setup", "steps", "expected"),
        [
            (DRAINS, 10, [HOOK], [], True),
            (DRAINS, 10, [HOOK], [{"scale": 1}, {"deploy": "refresh", "revision": "two"}], True),
            (QUORUM, 10, [HOOK], [], False),
            (DRAINS, 10, [], [], False),
            # A job takes 4 s, and who is to know of the hook 5.
            (DRAINS, 20, [HOOK], [], False),
            (DRAINS, 10, [HOOK, LAUNCH], [], False),
            (DRAINS, 10, [HOOK], [{"scale": 1}, {"pause": "database", "for": "1s", "after": "1s"}], False),
        ],
        ids=["drains", "calls", "knows of no hook", "no hook", "brief hook", "launch hook", "fault"],
    )
    def test_jobs_are_finished_where_nothing_is_in_the_way(self, settings, pace, setup, steps, expected):
        space = make_space("compose/rabbitmq", settings, group=GROUPS)
        calls = [{"call": "PutLifecycleHook", "request": request} for request in setup]
        scenario = claimed(by_hand(*steps, pace=pace, setup=calls), space)
        assert scenario.properties.drained_before_termination is expected

    def test_a_user_s_own_claims_are_left_alone(self):
        space = make_space("x", QUORUM, group=GROUPS, properties=Properties(activities_match=True))
        assert claimed(by_hand(), space).properties == Properties(activities_match=True)
        alone = by_hand().model_copy(update={"group": None})
        assert claimed(alone, space).properties == Properties()


class TestSimpler:
    def test_every_candidate_is_valid(self, grouped: list[Scenario]):
        for scenario in grouped[:4]:
            for candidate in simpler(scenario):
                told = candidate.model_copy(update={"name": "x"}).to_yaml()
                assert read_scenario(Source(told, file="x"), name="x").steps == candidate.steps

    def test_the_group_goes_with_all_that_needs_one(self):
        scenario = by_hand({"spot_notice": "any worker"}, {"kill": "queue leader", "after": "1s"}, desired=2)
        alone = next(one for one in simpler(claimed(scenario, SPACE)) if one.group is None)
        assert [step.kind for step in alone.steps] == ["kill"]
        assert alone.workers
        assert alone.workers.value == 2
        assert not any(getattr(alone.properties, name) for name in GROUP_PROPERTIES)

    def test_a_bug_that_needs_no_group_is_shrunk_to_none(self):
        """The toy fails at any step; where the search met it in a group first, what is left has none."""
        toy = Toy("step")
        failures = [explore(SPACE, toy, seed=seed, runs=50, processes=1).failure for seed in range(40)]
        failure = next(one for one in failures if one and one.scenario.group)
        shrunk = shrink(failure, SPACE, toy)
        assert shrunk.scenario.group is None
        assert len(shrunk.scenario.steps) == 1

    def test_a_bug_of_a_group_is_shrunk_to_its_call(self):
        """Jobs in hand are lost at a scale-in: one call does it, and the group is the default one."""
        automatic = QUORUM.model_copy(update={"worker": WorkerModel(acknowledge="automatic")})
        others = [kind for kind in (*SIMPLEST_FIRST, *OF_A_GROUP) if kind != "SetDesiredCapacity"]
        space = make_space("x", automatic, group=GroupSpace(), without=others)
        failure = explore(space, simulate, seed=1, runs=2000, property="no_job_lost", processes=1).failure
        assert failure
        shrunk = shrink(failure, space, simulate)
        [step] = shrunk.scenario.steps
        assert step.operation == "SetDesiredCapacity"
        assert shrunk.robust
        assert shrunk.scenario.group == GroupSection()


def test_a_group_is_told_in_words():
    scenario = by_hand(
        {"call": "EnterStandby", "whose": "any worker", "request": {"ShouldDecrementDesiredCapacity": False}},
        {"call": "ExitStandby", "whose": "the same", "after": "1s"},
        {"call": "SetDesiredCapacity", "request": {"DesiredCapacity": 1}, "at": "delivery 5"},
        setup=[{"call": "PutLifecycleHook", "request": {"LifecycleHookName": "drain"}}],
    )
    assert describe(scenario) == (
        "in a group of 3 with hook drain: call EnterStandby on a worker, not should decrement desired capacity; "
        "1s later call ExitStandby on the same; at delivery 5 call SetDesiredCapacity, desired capacity 1"
    )
    assert describe(by_hand(desired=2)) == "a group of 2"


def test_who_was_put_aside_comes_back():
    """`the same` is whose instance the call before was about."""
    aside = {"call": "EnterStandby", "whose": "any worker", "pick": 1, "at": "1s"}
    scenario = by_hand(
        {**aside, "request": {"ShouldDecrementDesiredCapacity": True}},
        {"call": "ExitStandby", "whose": "the same", "after": "1s"},
    )
    simulation = simulate(scenario, QUORUM, Tape())
    assert not simulation.failed
    states = [
        event.state
        for event in simulation.events
        if getattr(event, "instance", "") == "worker-2" and hasattr(event, "zone")
    ]
    assert states[-3:] == ["Standby", "Pending", "InService"] or states[-2:] == ["Standby", "InService"]


def of_step(scenario: Scenario) -> list[tuple[int, str]]:
    """What a simulated run tells of its steps: when, in microseconds, and which phase."""
    events = simulate(scenario, QUORUM, Tape()).events
    return [(event.t_us, event.phase) for event in events if hasattr(event, "fault")]


def test_a_call_waits_for_whom_it_is_about():
    """Nobody holds a job when the workload begins: the call is made when the first does, as a fault would be."""
    noticed = {"call": "SetInstanceHealth", "request": {"HealthStatus": "Unhealthy"}, "whose": "worker holding a job"}
    scenario = by_hand(noticed)
    simulation = simulate(scenario, QUORUM, Tape())
    assert not simulation.failed
    begun, answered = of_step(scenario)[:2]
    holds_us = next(event.t_us for event in simulation.events if isinstance(event, Delivery))
    assert (begun[1], answered[1]) == ("applying", "applied")
    assert begun[0] < holds_us <= answered[0] < holds_us + 200_000


def test_a_call_waits_for_twenty_seconds():
    noticed = {"call": "SetInstanceHealth", "request": {"HealthStatus": "Unhealthy"}, "whose": "worker holding a job"}
    idle = by_hand(noticed).model_copy(update={"workload": Workload(jobs=IntRange(low=0, high=0))})
    (begun_us, _), (failed_us, phase) = of_step(idle)
    assert phase == "failed"
    assert 20_000_000 <= failed_us - begun_us <= 20_500_000


def test_the_same_of_a_zone_is_its_instances():
    """A zone is no container: what is aimed at the same hits those that live there, or nobody."""
    lost = by_hand(
        {"lose_zone": "any zone", "pick": 0, "at": "1s", "for": "500ms"}, {"kill": "the same", "after": "1s"}
    )
    simulation = simulate(lost, QUORUM, Tape())
    assert not simulation.failed
    killed = [
        event.on for event in simulation.events if getattr(event, "kind", "") == "kill" and event.phase == "applied"
    ]
    assert killed == [("worker-1", "worker-3")]
    failing = by_hand({"fail_launches": "any zone", "at": "1s", "for": "500ms"}, {"stop": "the same", "after": "1s"})
    assert simulate(failing, QUORUM, Tape()).failed == (1,)


def test_a_group_boots_by_fours():
    """As on containers: the last of many instances come when there may be no jobs left."""
    simulation = simulate(by_hand(desired=6), QUORUM, Tape())
    began = [event.t_us for event in simulation.events if getattr(event, "state", "") == "InService"]
    assert began == [1_000_000] * 4 + [2_000_000] * 2


def test_an_activity_is_told_that_ended_before_others_that_began_later():
    """The group keeps activities by their beginnings. Found by the search: a booting instance that a restart ended."""
    scenario = by_hand(
        {"spot_notice": "any worker", "pick": 0, "at": "1s"},
        {"restart": "every worker", "at": "3300ms"},
        desired=4,
        pace=60,
        zones=1,
    ).model_copy(update={"properties": Properties(activities_match=True)})
    simulation = simulate(scenario, QUORUM, Tape())
    told = {event.activity: event.status for event in simulation.events if hasattr(event, "activity")}
    assert "Cancelled" in told.values() or "Failed" in told.values()
    assert all(status not in ("PreInService", "InProgress") for status in told.values())
    [match] = [
        one for one in judge(simulation.events, scenario.properties).findings if one.property == "activities_match"
    ]
    assert match.verdict.value == "holds", match.reason


def test_a_step_without_whose_is_about_nobody():
    with pytest.raises(ValueError, match="expected one of any worker"):
        Step.model_validate({"call": "ExitStandby", "whose": "the sane"})
