"""The outbox of a producer in the models: what it promises, what it costs, and the mistake that makes it worthless."""

from __future__ import annotations

from typing import Any

from sim_toy import QUORUM

from parity.check import judge
from parity.check.verdict import Judgement, Verdict
from parity.history.events import Fault, Submitted
from parity.model.settings import ModelSettings, ProducerModel
from parity.scenario.scenario import Scenario
from parity.sim.run import simulate
from parity.sim.simulation import Simulation
from parity.sim.tape import Tape

OUTBOX = QUORUM.model_copy(update={"producer": ProducerModel(outbox=True)})


def scenario(*steps: dict[str, Any], jobs: int = 40) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "outbox",
            "about": "By hand.",
            "stacks": [{"stack": "compose/rabbitmq"}],
            "workload": {"jobs": jobs, "rate": 20},
            "steps": list(steps),
        }
    )


def run(made: Scenario, settings: ModelSettings = OUTBOX, tape: Tape | None = None) -> tuple[Simulation, Judgement]:
    simulation = simulate(made, settings, tape or Tape())
    assert not simulation.failed
    return simulation, judge(simulation.events, made.properties)


def test_a_job_counts_as_submitted_while_no_broker_is_there():
    simulation, judgement = run(scenario({"kill": "every node", "at": "0s", "for": "8s"}))
    healed = next(event for event in simulation.events if isinstance(event, Fault) and event.phase == "healing")
    told = [event for event in simulation.events if isinstance(event, Submitted)]
    assert {event.outcome for event in told} == {"ok"}
    assert all(event.t_us < healed.t_us for event in told)
    assert (judgement.verdict, judgement.tally.effects) == (Verdict.HOLDS, 40)


def test_what_stands_in_the_table_is_published_by_the_next_process():
    steps = ({"kill": "every node", "at": "0s", "for": "8s"}, {"kill": "producer", "at": "3s", "for": "1s"})
    simulation, judgement = run(scenario(*steps))
    told = [event.outcome for event in simulation.events if isinstance(event, Submitted)]
    assert judgement.verdict is Verdict.HOLDS
    assert judgement.tally.effects >= told.count("ok") > 0


def test_a_row_whose_confirm_was_missed_is_published_again():
    """At least once: the job is there twice, and its workers do it once."""
    found = []
    for seed in range(30):
        made = scenario({"close_connections": "producer", "at": "submitted 20"})
        simulation, judgement = run(made, tape=Tape(seed=seed))
        assert judgement.verdict is Verdict.HOLDS
        found.append("a row of an outbox was left to be published again" in simulation.probes)
    assert any(found)


def test_where_the_database_is_away_nobody_knows():
    simulation, judgement = run(scenario({"kill": "database", "at": "0s", "for": "2s"}))
    told = [event.outcome for event in simulation.events if isinstance(event, Submitted)]
    assert "info" in told
    assert judgement.verdict is Verdict.HOLDS


def test_a_row_that_is_deleted_once_it_is_written_may_be_lost():
    forgets = OUTBOX.model_copy(update={"producer": ProducerModel(outbox=True, ok_when="written")})
    made = scenario({"kill": "queue leader", "at": "submitted 10", "for": "5s"}, jobs=80)
    broken = [run(made, forgets, Tape(seed=seed))[1].verdict for seed in range(10)]
    assert Verdict.VIOLATED in broken
    assert {run(made, tape=Tape(seed=seed))[1].verdict for seed in range(10)} == {Verdict.HOLDS}


def test_a_producer_that_starts_again_is_not_blocked_by_an_alarm_that_is_over():
    _, judgement = run(scenario({"disk_alarm": "queue leader", "at": "0s", "for": "500ms"}, {"restart": "producer"}))
    assert judgement.verdict is Verdict.HOLDS


def test_a_producer_that_was_frozen_while_it_was_dead_starts_all_the_same():
    steps = ({"kill": "producer", "at": "0s", "for": "1s"}, {"pause": "the same", "for": "500ms"})
    _, judgement = run(scenario(*steps))
    assert judgement.verdict is Verdict.HOLDS


def test_a_producer_hears_nothing_of_what_the_process_before_it_asked_of_the_database():
    for gap_ms in range(0, 60, 2):
        steps = ({"kill": "producer", "at": f"{500 + gap_ms}ms", "for": "0s"},)
        assert run(scenario(*steps))[1].verdict is Verdict.HOLDS
