"""Scenarios as data: every kind of step loads, comes back as it was, and draws within its ranges."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from parity.errors import SourceError
from parity.run.draws import SeededDraws
from parity.run.fits import check_fits
from parity.scenario.duration import parse_duration_s
from parity.scenario.ranges import IntRange, SecondsRange
from parity.scenario.scenario import Scenario, load_scenario
from parity.scenario.steps import CHOSEN, GROUP_KINDS, KINDS, ZONES, EventCount, Step
from parity.stack.description import COMPOSE_NAMES, load_stack

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
STACK_FOLDERS = sorted({path.parent for name in COMPOSE_NAMES for path in (ROOT / "compose").rglob(name)})
STACKS = [str(folder.relative_to(ROOT)) for folder in STACK_FOLDERS] + [
    f"{folder.relative_to(ROOT)}+{overlay.stem}"
    for folder in STACK_FOLDERS
    for overlay in sorted((folder / "overlays").glob("*.yaml"))
]

#: What a kind's parameters may be, written as a file has them.
EXAMPLES = {
    "cut": "clients",
    "direction": "in",
    "shape": "halves",
    "by": "80ms..150ms",
    "percent": "5..20",
    "kbit": "64..128",
    "policy": {"definition": {"ha-mode": "all"}},
    "jobs": "2..4",
    "of_kind": "poison",
    "workers": "0..3",
    "operation": "cloudwatch.SetAlarmState",
    "request": {"AlarmName": "a", "StateValue": "ALARM", "StateReason": "x"},
    "whose": "any worker",
    "how": "discover",
    "revision": "two",
}


def every_step() -> list[dict]:
    """Each kind at each of its targets, with everything it takes."""
    steps = []
    for name, kind in KINDS.items():
        takes = {key: EXAMPLES[key] for key in (*kind.needs, *kind.takes)}
        lasts = {} if kind.lasts == "never" else {"for": "1s..2s"}
        # A target may hang on a moment that a worker makes, so that is the moment here.
        steps += [{name: target, "at": "delivery 5..15", **takes, **lasts} for target in kind.targets]
        if not kind.targets:
            operand = takes.pop(kind.needs[0])
            steps.append({name: operand, "at": "500ms..2s", **takes})
    return steps


def scenario(*steps: dict, **more: object) -> Scenario:
    if any(kind in step for step in steps for kind in GROUP_KINDS):
        more.setdefault("group", {})
    return Scenario.model_validate({"name": "example", "about": "x", "steps": list(steps), **more})


def written_again(given: Scenario, tmp_path: Path) -> Scenario:
    path = tmp_path / "again.yaml"
    path.write_text(given.to_yaml())
    return load_scenario(path)


@pytest.mark.parametrize("step", every_step(), ids=lambda step: "-".join(map(str, next(iter(step.items())))))
class TestEveryStep:
    def test_it_is_the_same_when_it_is_written_and_loaded(self, step, tmp_path):
        given = scenario(step)
        assert written_again(given, tmp_path) == given

    def test_what_was_drawn_is_the_same_when_it_is_written_and_loaded(self, step, tmp_path):
        drawn = scenario(step).draw(SeededDraws(7, "example"))
        assert written_again(drawn, tmp_path) == drawn

    def test_what_was_drawn_draws_itself_again(self, step):
        """A record's scenario replays whatever the seed."""
        drawn = scenario(step).draw(SeededDraws(7, "example"))
        assert drawn.draw(SeededDraws(8, "other")) == drawn


WIDE = {"lose": "any worker", "at": "100ms..900ms", "for": "2s..4s", "percent": "5..20", "times": "2..5"}


class TestDrawing:
    def drawn(self, seed: int, name: str = "example") -> Scenario:
        given = scenario(WIDE, workers="1..9", workload={"jobs": "50..70"})
        return given.draw(SeededDraws(seed, name))

    def test_every_value_is_within_its_range(self):
        for seed in range(200):
            drawn = self.drawn(seed)
            assert 50 <= drawn.workload.jobs.value <= 70
            assert 1 <= drawn.workers.value <= 9
            assert 2 <= len(drawn.steps) <= 5
            for step in drawn.steps:
                assert 0.1 <= step.at.value_s <= 0.9
                assert 2 <= step.lasts.value_s <= 4
                assert 5 <= step.percent.value <= 20

    def test_both_ends_of_a_range_are_drawn(self):
        counts = {len(self.drawn(seed).steps) for seed in range(200)}
        assert counts == {2, 3, 4, 5}

    def test_the_same_seed_and_name_give_the_same_values(self):
        assert self.drawn(42) == self.drawn(42)

    def test_another_seed_or_another_name_gives_others(self):
        assert self.drawn(42) != self.drawn(43)
        assert self.drawn(42) != self.drawn(42, "another")

    def test_a_step_repeated_is_so_many_steps_each_with_a_moment_of_its_own(self):
        steps = scenario(WIDE | {"times": 5}).draw(SeededDraws(1, "example")).steps
        assert len(steps) == 5
        assert len({step.at.value_s for step in steps}) > 1
        assert {step.times for step in steps} == {IntRange(low=1, high=1)}

    @pytest.mark.parametrize("target", CHOSEN)
    def test_a_role_that_leaves_a_choice_gets_one_drawn(self, target):
        kind = {"lose_zone": target, "for": "1s"} if target in ZONES else {"kill": target}
        step = scenario({**kind, "at": "1s"}).draw(SeededDraws(1, "example")).steps[0]
        assert step.pick is not None
        assert 0 <= step.pick.value <= 11

    def test_a_role_that_leaves_none_gets_none(self):
        assert scenario({"kill": "database", "at": "1s"}).draw(SeededDraws(1, "example")).steps[0].pick is None

    def test_a_choice_that_was_made_is_kept(self):
        step = scenario({"kill": "any node", "at": "1s", "pick": 2}).draw(SeededDraws(1, "example")).steps[0]
        assert step.pick.value == 2


class TestMoments:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("2s", SecondsRange(low_ms=2000, high_ms=2000)),
            (2, SecondsRange(low_ms=2000, high_ms=2000)),
            (0.5, SecondsRange(low_ms=500, high_ms=500)),
            ("500ms..1m", SecondsRange(low_ms=500, high_ms=60_000)),
            ("1..2s", SecondsRange(low_ms=1000, high_ms=2000)),
            ("delivery 5", EventCount(event="delivery", count=IntRange(low=5, high=5))),
            ("submitted 800..1600", EventCount(event="submitted", count=IntRange(low=800, high=1600))),
            ("half-done_2 5..15", EventCount(event="half-done_2", count=IntRange(low=5, high=15))),
        ],
    )
    def test_a_moment_is_a_duration_a_range_of_them_or_an_event_and_its_count(self, written, expected):
        assert Step.model_validate({"kill": "database", "at": written}).at == expected


class TestDurations:
    @pytest.mark.parametrize(
        ("written", "seconds"),
        [("250ms", 0.25), ("3s", 3), ("1.5m", 90), ("1h", 3600), (" 2 s ", 2), (4, 4), (0.5, 0.5), (0, 0)],
    )
    def test_what_people_write_is_seconds(self, written, seconds):
        assert parse_duration_s(written) == seconds

    @pytest.mark.parametrize(
        "written", ["", "3", "3 days", "-1s", -1, True, None, [], "1e3s", float("nan"), float("inf")]
    )
    def test_anything_else_is_an_error(self, written):
        with pytest.raises(ValueError, match="expected a duration"):
            parse_duration_s(written)


class TestExpectations:
    def on(self, expect: object, **properties: object) -> Scenario:
        return scenario(stacks=[{"stack": "s", "expect": expect}], properties=properties)

    def test_everything_is_expected_to_hold_unless_the_scenario_says_otherwise(self):
        assert scenario(stacks=[{"stack": "s"}]).stacks[0].expect.violated == ()
        assert self.on("holds").stacks[0].expect.violated == ()

    def test_what_must_be_violated_is_named(self, tmp_path):
        given = self.on({"violated": ["no_job_lost", "effect_exactly_once"]})
        assert given.stacks[0].expect.violated == ("no_job_lost", "effect_exactly_once")
        assert written_again(given, tmp_path) == given

    def test_a_property_that_is_left_out_cannot_be_expected_to_be_violated(self):
        with pytest.raises(ValueError, match="effect_exactly_once cannot be violated"):
            self.on({"violated": ["effect_exactly_once"]}, effect_exactly_once=False)

    def test_a_bound_that_is_not_given_cannot_be_expected_to_be_exceeded(self):
        with pytest.raises(ValueError, match="redelivered_within cannot be violated"):
            self.on({"violated": ["redelivered_within"]})


class TestShipped:
    """What is in `scenarios/` and `compose/` is usable as it is."""

    def test_there_are_some(self):
        assert len(SCENARIOS) >= 12
        assert len(STACKS) >= 8

    @pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
    def test_a_scenario_loads_draws_and_loads_again(self, path, tmp_path):
        given = load_scenario(path)
        drawn = given.draw(SeededDraws(1, given.name))
        assert given.name == path.stem
        assert written_again(given, tmp_path) == given
        assert written_again(drawn, tmp_path) == drawn

    @pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
    def test_a_scenario_fits_every_stack_it_names(self, path):
        given = load_scenario(path)
        for on in given.stacks:
            check_fits(given, load_stack(on.stack, root=ROOT))

    @pytest.mark.parametrize("name", STACKS)
    def test_a_stack_loads(self, name):
        files = load_stack(name, root=ROOT)
        assert files.name == name
        assert files.description.worker.service in files.services

    def test_every_known_bad_expectation_has_a_control(self):
        """A stack that loses jobs proves something only beside one that does not, under the same scenario."""
        for path in SCENARIOS:
            stacks = load_scenario(path).stacks
            if any(on.expect.violated for on in stacks):
                assert any(not on.expect.violated for on in stacks), path.name

    def test_every_key_of_a_scenario_file_is_one_the_loader_reads(self):
        """No shipped file says a thing that is silently passed over."""
        for path in SCENARIOS:
            data = yaml.safe_load(path.read_text())
            with pytest.raises(SourceError, match="unknown key 'nonsense'"):
                load_with(data | {"nonsense": 1})


def load_with(data: dict) -> Scenario:
    from parity.scenario.scenario import read_scenario
    from parity.scenario.source import Source

    return read_scenario(Source(yaml.safe_dump(data), file="s.yaml"), name="s")
