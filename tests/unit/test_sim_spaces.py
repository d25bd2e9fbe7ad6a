"""What stacks' files say a search may do; the strategy for users; and known-bad stacks, which a search must catch."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import parity
from parity.errors import ParityError, SourceError
from parity.model.scaling.api import OPERATIONS
from parity.run.fits import check_fits
from parity.run.spaces import space_for, space_of
from parity.scenario.group import GroupSection
from parity.scenario.properties import Properties
from parity.scenario.scenario import Scenario
from parity.scenario.steps import GROUP_KINDS, KINDS
from parity.sim.generate import generate, is_fair
from parity.sim.run import simulate
from parity.sim.search import explore, violated
from parity.sim.shrink import shrink
from parity.sim.simpler import simpler
from parity.sim.space import OF_A_GROUP, SIMPLEST_FIRST
from parity.sim.tape import Tape
from parity.stack.description import load_stack
from parity.stack.modelled import model_settings

ROOT = Path(__file__).parents[2]
REFERENCE = load_stack("compose/rabbitmq", root=ROOT)
OVERLAYS = sorted(path.stem for path in (ROOT / "compose/rabbitmq/overlays").glob("*.yaml"))


def test_every_kind_of_step_is_tried_somewhere():
    tried = set(KINDS) - set(GROUP_KINDS)
    assert set(SIMPLEST_FIRST) == tried
    spaces = [space_of(f"compose/rabbitmq+{name}", root=ROOT) for name in OVERLAYS]
    assert {kind for space in spaces for kind in space.kinds} == tried
    assert set(GROUP_KINDS) - set(OF_A_GROUP) == {"call"}
    assert {("autoscaling", kind) for kind in OF_A_GROUP if kind not in KINDS} <= OPERATIONS.keys()
    assert {kind for space in spaces if space.group for kind in space.group.kinds} == set(OF_A_GROUP)


def test_what_a_group_is_claimed_to_do_follows_from_the_stack():
    """Only where logs are archived somewhere, and where a deploy that the stack is made for is tried."""
    plain, logs, found = (
        space_of(f"compose/rabbitmq{name}", root=ROOT).group
        for name in ("", "+logs-streamed", "+boots-what-the-template-says")
    )
    assert plain is not None
    assert logs is not None
    assert found is not None
    assert (plain.archives, logs.archives) == (False, True)
    assert (plain.deploys, found.deploys) == (("refresh",), ("discover",))
    assert space_of("compose/rabbitmq", root=ROOT, without=["group"]).group is None


def test_where_an_agent_takes_the_aws_api_every_scenario_has_a_group():
    """Without one the agent ends at once on containers, so a scenario without one is fair to nobody."""
    names = ("logs-at-termination", "logs-streamed", "drains-in-the-hook", "completes-the-hook-at-once")
    for name in names:
        space = space_of(f"compose/rabbitmq+{name}", root=ROOT)
        scenarios = [generate(Tape(seed=seed), space) for seed in range(40)]
        assert all(scenario.group and is_fair(scenario, space) for scenario in scenarios)
        fewer = [one for one in simpler(scenarios[0]) if one.group is None]
        assert fewer
        assert not any(is_fair(one, space) for one in fewer)
        assert generate(Tape(), space).group == GroupSection()
        with pytest.raises(SourceError, match=rf"^compose/rabbitmq\+{name}: .*`group` cannot be left out"):
            space_of(f"compose/rabbitmq+{name}", root=ROOT, without=["group"])
    always = [
        name for name in OVERLAYS if (group := space_of(f"compose/rabbitmq+{name}", root=ROOT).group) and group.always
    ]
    assert sorted(always) == sorted(names)


def test_an_agent_that_a_search_may_turn_on_counts(tmp_path):
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    overlay = tmp_path / "compose/rabbitmq/overlays/drains-in-the-hook.yaml"
    text = overlay.read_text().replace("ON_TERMINATE: drain", "ON_TERMINATE: ignore")
    overlay.write_text(text)
    space = space_of("compose/rabbitmq+drains-in-the-hook", root=tmp_path)
    assert space.group
    assert not space.group.always
    overlay.write_text(text.replace("model: worker.on_terminate", "model: worker.on_terminate\n      search: [drain]"))
    space = space_of("compose/rabbitmq+drains-in-the-hook", root=tmp_path)
    assert space.group
    assert space.group.always


@pytest.mark.parametrize("overlay", ["", *OVERLAYS])
def test_what_is_tried_fits_the_stack(overlay):
    """Whatever is drawn passes the check that scenario files pass, and stands for what a file's would."""
    files = load_stack(f"compose/rabbitmq+{overlay}" if overlay else "compose/rabbitmq", root=ROOT)
    space = space_for(files)
    for seed in range(60):
        scenario = generate(Tape(seed=seed), space)
        check_fits(scenario, files)
        if seed < 10:
            assert space.settings_of(scenario) == model_settings(files, scenario)


def test_a_space_goes_to_other_processes():
    space = space_for(REFERENCE)
    copy = pickle.loads(pickle.dumps(space))
    assert generate(Tape(seed=3), copy) == generate(Tape(seed=3), space)


@given(parity.scenarios(stack="compose/rabbitmq", root=ROOT))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_reference_stack_whatever_happens(scenario: Scenario):
    """As a user would write it: no scenario loses a job."""
    simulation = simulate(scenario, model_settings(REFERENCE, scenario), Tape())
    assert "no_job_lost" not in violated(simulation, scenario)


def test_properties_and_kinds_of_the_strategy():
    strategy = parity.scenarios(root=ROOT, properties=Properties(redelivered_within=5), without=("partition",))

    @given(strategy)
    @settings(max_examples=10, database=None, deadline=None)
    def claims(scenario):
        assert scenario.properties.redelivered_within == 5.0
        assert is_fair(scenario, space_for(REFERENCE))
        assert all(step.kind != "partition" for step in scenario.steps)

    claims()


def test_parity_does_not_import_hypothesis():
    code = "import sys, parity, parity.run.strategies, parity.sim.shrink; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_without_hypothesis_the_strategy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ParityError, match=r"pip install 'parity\[pytest\]'"):
        parity.scenarios(root=ROOT)


@pytest.mark.parametrize(
    ("overlay", "wanted"),
    [
        ("automatic-acknowledgement", "no_job_lost"),
        ("acknowledgement-before-commit", "no_job_lost"),
        ("no-confirms", "no_job_lost"),
        ("transient-messages", "no_job_lost"),
        ("non-idempotent-worker", "effect_exactly_once"),
    ],
)
def test_a_known_bad_stack_is_caught_and_its_control_is_not(overlay, wanted):
    """A search of the known-bad stack ends in a scenario of few steps, which the reference stack passes."""
    space = space_of(f"compose/rabbitmq+{overlay}", root=ROOT)
    failure = explore(space, simulate, seed=1, runs=3000, processes=1, property=wanted).failure
    assert failure
    shrunk = shrink(failure, space, simulate)
    assert len(shrunk.scenario.steps) <= 3
    simulation = simulate(shrunk.scenario, space.settings_of(shrunk.scenario), Tape(choices=shrunk.choices))
    assert wanted in violated(simulation, shrunk.scenario)
    control = model_settings(REFERENCE, shrunk.scenario)
    assert wanted not in violated(simulate(shrunk.scenario, control, Tape()), shrunk.scenario)
