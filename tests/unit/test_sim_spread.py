"""A search on a cluster: the same failures as anywhere, each shrunk once."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from sim_toy import QUORUM, SPACE, Toy

from parity.cluster import RayCluster
from parity.errors import DeterminismError, ParityError, SimulationError
from parity.model.settings import WorkerModel
from parity.sim import spread
from parity.sim.run import simulate
from parity.sim.search import Hunt, explore
from parity.sim.shrink import Shrunk
from parity.sim.space import make_space
from parity.sim.spread import explore_spread

HUNT = Hunt(space=SPACE, simulate=Toy("either"), seed=1)


class LocalCluster:
    """A cluster that is this process, and hands results back in the wrong order."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def workers(self):
        return 2

    def submit(self, work, *arguments):
        self.calls[work.__name__] += 1
        return (work, arguments)

    def first(self, pending):
        work, arguments = pending[-1]
        return pending[-1], work(*arguments)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(spread, "STRETCH", 50)


def test_the_failure_is_the_one_of_any_search(short):
    """The lowest number wins, whatever came back first; it is shrunk once, and told as soon as it is."""
    cluster = LocalCluster()
    told: list[str] = []
    kept: list[Shrunk] = []
    found = explore_spread(HUNT, cluster, keep=kept.append, runs=230, progress=told.append)
    assert list(found.failures) == ["no_job_lost"]
    assert kept == list(found.failures.values())
    assert cluster.calls == {"search_stretch": 5, "shrink_one": 1}
    alone = explore(SPACE, Toy("either"), seed=1, runs=230, processes=1).failure
    assert alone
    assert kept[0].index >= alone.index
    assert kept[0].scenario.steps
    assert told[-2:] == ["230 runs; violated: no_job_lost", "230 runs; shrinking 1 failure"]


def test_what_was_done_is_summed_up(short):
    """A cluster's runs are those of any search: counted once, some of them done twice, with what they reached."""
    hunt = replace(HUNT, simulate=Toy("none"))
    found = explore_spread(hunt, LocalCluster(), runs=230)
    alone = explore(SPACE, Toy("none"), seed=1, runs=230, processes=1)
    assert found.runs == alone.runs == 230
    assert (found.twice, found.silent) == (alone.twice, alone.silent)
    assert (found.probes, found.unmodelled) == (alone.probes, alone.unmodelled)


def test_every_property_has_its_failure(short):
    """A search for one property passes over the others, here as anywhere."""
    found = explore_spread(replace(HUNT, property="conservation"), LocalCluster(), runs=100)
    assert list(found.failures) == ["conservation"]


def test_where_the_time_is_over_at_once_something_was_done(short):
    found = explore_spread(replace(HUNT, simulate=Toy("none")), LocalCluster(), for_s=0.0)
    assert found.failures == {}
    assert found.runs >= 50


def test_a_machine_where_it_comes_out_differently_is_told():
    with pytest.raises(DeterminismError, match="run 1/0 came out differently on another machine"):
        spread.shrink_one(replace(HUNT, simulate=Toy("none")), 0, 1, "no_job_lost", 1.0)


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ParityError, match=r"pip install 'parity\[ray\]'"):
        RayCluster()


@pytest.mark.usefixtures("ray_home")
def test_on_a_ray_cluster(short):
    """Two workers on this machine find what one process finds, and what breaks there is told here."""
    bad = QUORUM.model_copy(update={"worker": WorkerModel(acknowledge="automatic")})
    hunt = Hunt(space=make_space("compose/rabbitmq", bad), simulate=simulate, seed=1, property="no_job_lost")
    with RayCluster(workers=2) as cluster:
        assert cluster.workers() == 2
        there = explore_spread(hunt, cluster, runs=120).failures["no_job_lost"]
        with pytest.raises(SimulationError, match=r"run 1/0 on compose/rabbitmq broke off: TypeError"):
            explore_spread(replace(hunt, simulate=partial(simulate, steps_max="many")), cluster, runs=10)
    here = explore_spread(hunt, LocalCluster(), runs=120).failures["no_job_lost"]
    assert (there.index, there.choices, there.digest) == (here.index, here.choices, here.digest)
