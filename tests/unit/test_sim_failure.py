"""The artefact of a failure: it reads back, replays, and is a regression as it stands."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from sim_toy import QUORUM, SPACE, Toy

from parity import __version__
from parity.errors import DeterminismError, SourceError
from parity.history.file import read_history
from parity.model.settings import BrokerModel
from parity.report.folder import read_facts
from parity.run.fits import check_fits
from parity.scenario.scenario import Scenario, load_scenario, read_scenario
from parity.scenario.source import Source
from parity.scenario.steps import KINDS
from parity.sim.failure import as_regression, name_of, read_failure, read_tape, readable_yaml, replay, write_failure
from parity.sim.generate import generate
from parity.sim.search import explore
from parity.sim.shrink import Shrunk, shrink
from parity.sim.space import make_space
from parity.sim.tape import Tape
from parity.sim.words import _WORDS, describe
from parity.stack.description import load_stack

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shrunk() -> Shrunk:
    failure = explore(SPACE, Toy("chance"), seed=1, runs=1000, processes=1).failure
    assert failure
    return shrink(failure, SPACE, Toy("chance"))


@pytest.fixture
def folder(shrunk, tmp_path):
    folder = tmp_path / "out" / "found"
    write_failure(folder, shrunk, SPACE, Toy("chance"), seed=1)
    return folder


def test_an_artefact_reads_back_and_replays(folder, shrunk):
    scenario, tape = read_failure(folder)
    assert scenario.steps == shrunk.scenario.steps
    assert (tape.choices, tape.seed, tape.index, tape.robust) == (shrunk.choices, 1, shrunk.index, False)
    assert tape.again == f"parity replay {folder}"
    # The name and the words are no part of a run of the models; the toy's digest has them.
    plain = scenario.model_copy(update={"name": "found", "about": shrunk.scenario.about, "stacks": SPACE_STACKS})
    simulation = replay(plain, tape, Toy("chance"), SPACE)
    assert list(read_history(folder / "history.jsonl")) == simulation.events


SPACE_STACKS = generate(Tape(), SPACE).stacks


def test_an_artefact_is_a_regression_as_it_stands(folder):
    """Copied into `scenarios/`, it is expected to be violated where it was, and to fit there."""
    path = folder / "scenario.yaml"
    scenario = load_scenario(path)
    (on,) = scenario.stacks
    assert (on.stack, on.expect.violated) == ("compose/rabbitmq", ("no_job_lost",))
    assert len(scenario.about.split()) > 8
    check_fits(scenario, load_stack(on.stack, root=ROOT))
    assert scenario.name == "no-job-lost-by-kill"


def test_verdict_and_facts_are_those_of_a_record(folder):
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["verdict"] == "violated"
    assert verdict["tally"]["lost"] == 1
    gaps: list[str] = []
    facts = read_facts(folder, gaps)
    assert (facts.runtime, facts.stack, gaps) == ("sim", "compose/rabbitmq", [])


def test_written_again_it_is_the_same(folder, shrunk):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_failure(folder, shrunk, SPACE, Toy("chance"), seed=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": 1, "parity": "9.0"}, r"a tape of format 1, made by parity 9\.0; .* Run its scenario.yaml without"),
        ({"parity": "0.0.1"}, rf"a tape of parity 0\.0\.1, and this is {re.escape(__version__)}: .* or replay it with"),
        ({"choices": ["x"]}, r"tape\.json: not a tape: Expected `int`, got `str`"),
        ({"digest": "no"}, r"tape\.json: not a tape"),
        ({"more": 1}, r"not a tape: Object contains unknown field `more`"),
    ],
    ids=["format", "version", "choices", "digest", "unknown"],
)
def test_a_tape_that_cannot_be_replayed_says_what_to_do(folder, changed, message):
    path = folder / "tape.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(SourceError, match=message):
        read_tape(path)


@pytest.mark.parametrize(("text", "message"), [("{", "not a tape"), ("[]", "not a tape"), (None, "cannot be read")])
def test_what_is_no_tape(tmp_path, text, message):
    path = tmp_path / "tape.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SourceError, match=message):
        read_tape(path)


def test_a_run_that_is_another_is_told(folder, shrunk):
    scenario, tape = read_failure(folder)
    with pytest.raises(DeterminismError, match=r"the run is not what it was \(digest"):
        replay(scenario, tape, Toy("none"), SPACE)
    with pytest.raises(DeterminismError, match="the run is not what it was"):
        write_failure(folder, replace(shrunk, digest=1), SPACE, Toy("chance"), seed=1)


CLASSIC = make_space("compose/rabbitmq", QUORUM.model_copy(update={"broker": BrokerModel(queue_type="classic")}))


@pytest.mark.parametrize("space", [SPACE, CLASSIC], ids=["quorum", "classic"])
def test_readable_files_load_to_the_same(space):
    for seed in range(150):
        scenario = generate(Tape(seed=seed), space)
        text = readable_yaml(scenario)
        assert read_scenario(Source(text, file="x"), name="x") == scenario
        assert max(map(len, text.splitlines())) <= 160
        assert describe(scenario).count(";") == max(0, len(scenario.steps) - 1)


def test_every_kind_has_its_words():
    assert _WORDS.keys() == KINDS.keys()


def test_a_scenario_in_words():
    steps = [
        {"kill": "queue leader", "at": "1s", "for": "2s"},
        {"restart": "the same", "after": "500ms"},
        {"isolate": "any node", "direction": "in", "for": "12s"},
        {"pause": "that worker", "at": "delivery 3", "for": "20s"},
    ]
    scenario = Scenario(name="x", about="x", steps=steps)
    assert describe(scenario) == (
        "1s after the start kill the queue's leader for 2s; 500ms later restart the same; "
        "then cut a node off from the other nodes (what it should hear) for 12s; "
        "at delivery 3 freeze the worker that did so for 20s"
    )
    found = Shrunk(
        scenario=scenario, index=7, choices=(), digest=0, property="no_job_lost", robust=True, runs=1, seconds=1.0
    )
    assert name_of(found) == "no-job-lost-by-kill-restart-isolate-pause"
    text = readable_yaml(as_regression(found, "compose/rabbitmq", seed=3))
    assert "  - {kill: queue leader, at: 1s, for: 2s}\n  - {restart: the same, after: 500ms}\n" in text
    assert "  - {stack: compose/rabbitmq, expect: {violated: [no_job_lost]}}\n" in text
    about = yaml.safe_load(text)["about"]
    assert about.startswith("no_job_lost was violated on compose/rabbitmq in the simulator, whatever the small timings")
    assert "run 3/7" in about
