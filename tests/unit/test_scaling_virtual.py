"""The world in virtual time, against a region that only asks and notes what it is told."""

from __future__ import annotations

import pytest

from parity.model.scaling.lives import Timing
from parity.model.scaling.state import SECOND_US
from parity.model.scaling.virtual import World
from parity.model.scaling.world import (
    Checked,
    CreateImage,
    Deregister,
    Deregistered,
    ImageFailed,
    ImageMade,
    Launch,
    LaunchFailed,
    Register,
    Removed,
    Running,
    SpotNotice,
    Start,
    Stop,
    Stopped,
    TargetHealth,
    Terminate,
    ZoneState,
)


class Asking:
    """Stands for a region: asks what it is given to ask, and notes what it is told and when."""

    def __init__(self):
        self.now_us = 0
        self.asks = []
        self.told = []

    def step(self, now_us, inputs=()):
        self.now_us = max(self.now_us, now_us)
        self.told += [(self.now_us / SECOND_US, fact) for fact in inputs]
        asked, self.asks = self.asks, []
        return asked

    def due_us(self):
        return self.now_us if self.asks else None


TIMING = Timing(
    boot_us=5 * SECOND_US,
    end_us=2 * SECOND_US,
    stop_us=3 * SECOND_US,
    check_us=60 * SECOND_US,
    target_us=10 * SECOND_US,
    drain_us=30 * SECOND_US,
    image_us=20 * SECOND_US,
)


@pytest.fixture
def region():
    return Asking()


@pytest.fixture
def world(region):
    return World(region, timing=TIMING)


def ask(world, *actions, until_s):
    """Have the region ask, and time pass. Returns what it was told, and when."""
    world.region.asks += actions
    world.region.told.clear()
    world.run_until(int(until_s * SECOND_US))
    return world.region.told


def running(instance_id, number):
    return Running(instance_id=instance_id, private_ip=f"10.0.0.{number}")


def test_a_life_from_launch_to_end(world):
    assert ask(world, Launch("i-1", "ami-1", zone="a"), until_s=10) == [(5, running("i-1", 1))]
    assert ask(world, Stop("i-1"), until_s=20) == [(13, Stopped("i-1"))]
    assert ask(world, Start("i-1"), until_s=30) == [(25, running("i-1", 1))]
    assert ask(world, Terminate("i-1"), until_s=40) == [(32, Removed("i-1"))]
    assert world.lives == {}


def test_an_instance_that_is_asked_for_again_is_known_again(world):
    ask(world, Launch("i-1", "ami-1", zone="a"), until_s=10)
    assert ask(world, Launch("i-1", "ami-1", zone="a"), until_s=20) == [(10, running("i-1", 1))]


def test_what_is_terminated_while_it_boots_never_runs(world):
    assert ask(world, Launch("i-1", "ami-1", zone="a"), Terminate("i-1"), until_s=20) == [(2, Removed("i-1"))]


def test_what_is_not_there_is_removed_at_once_when_asked(world):
    assert ask(world, Terminate("i-9"), until_s=20) == [(2, Removed("i-9"))]


def test_launches_fail_as_often_and_where_they_are_told_to(world):
    world.refuse("no room", code="InsufficientInstanceCapacity", zone="a", count=1)
    told = ask(
        world, Launch("i-1", "m", zone="b"), Launch("i-2", "m", zone="a"), Launch("i-3", "m", zone="a"), until_s=9
    )
    assert told == [
        (5, running("i-1", 1)),
        (5, LaunchFailed("i-2", message="no room", code="InsufficientInstanceCapacity")),
        (5, running("i-3", 3)),
    ]
    assert set(world.lives) == {"i-1", "i-3"}


def test_what_cannot_be_started_again_stays_stopped(world):
    ask(world, Launch("i-1", "m", zone="a"), until_s=9)
    ask(world, Stop("i-1"), until_s=19)
    world.refuse("no room", count=1)
    assert [fact for _, fact in ask(world, Start("i-1"), until_s=29)] == [
        LaunchFailed("i-1", message="no room", code="InsufficientInstanceCapacity")
    ]
    assert world.lives["i-1"].state == "stopped"
    assert ask(world, Start("i-1"), until_s=39) == [(34, running("i-1", 1))]


def test_a_lost_zone_takes_no_launches_and_its_instances_hang_until_it_is_back(world):
    ask(world, Launch("i-1", "m", zone="a"), Launch("i-2", "m", zone="b"), until_s=10)
    world.lose_zone("a")
    told = ask(world, Launch("i-3", "m", zone="a"), until_s=100)
    assert [fact for _, fact in told] == [
        LaunchFailed("i-3", message="The zone a is not available.", code="InsufficientInstanceCapacity"),
        Checked("i-1", healthy=False),
    ]
    world.region.told.clear()
    world.restore_zone("a")
    assert world.region.told == [(100, ZoneState("a", available=True))]
    assert ask(world, Launch("i-4", "m", zone="a"), until_s=200) == [
        (105, running("i-4", 4)),
        (160, Checked("i-1", healthy=True)),
    ]


def test_what_dies_is_told_at_once_and_nothing_comes_of_it_later(world):
    ask(world, Launch("i-1", "m", zone="a"), until_s=10)
    world.hang("i-1")
    world.kill("i-1", "gone")
    assert world.region.told[1:] == [(10, Removed("i-1", reason="gone"))]
    assert ask(world, until_s=200) == []


def test_a_load_balancer_comes_to_see_whether_an_instance_answers(world):
    ask(world, Launch("i-1", "m", zone="a"), until_s=10)
    assert ask(world, Register("t", "i-1", 80), until_s=30) == [(20, TargetHealth("t", "i-1", healthy=True))]
    world.hang("i-1")
    assert ask(world, until_s=50) == [(40, TargetHealth("t", "i-1", healthy=False))]
    world.answer_target("t", "i-1", healthy=True, reason="again")
    assert world.region.told[-1] == (50, TargetHealth("t", "i-1", healthy=True, reason="again"))
    told = ask(world, Deregister("t", "i-1"), until_s=200)
    assert (80, Deregistered("t", "i-1")) in told


def test_images_are_made_of_what_is_there(world):
    ask(world, Launch("i-1", "m", zone="a"), until_s=10)
    told = ask(world, CreateImage("ami-2", "i-1", "two"), CreateImage("ami-3", "i-9", "three"), until_s=40)
    assert [fact for _, fact in told] == [
        ImageMade("ami-2", name="two", tag="virtual/ami-2"),
        ImageFailed("ami-3", message="There is no such instance."),
    ]


def test_a_spot_instance_is_taken_two_minutes_after_its_notice(world):
    ask(world, Launch("i-1", "m", zone="a"), until_s=10)
    world.take_back("i-1")
    assert world.region.told[-1] == (10, SpotNotice("i-1"))
    assert ask(world, until_s=200) == [(130, Removed("i-1", reason="Server.SpotInstanceTermination"))]


def test_what_was_terminated_before_its_notice_ended_is_not_taken_twice(world):
    ask(world, Launch("i-1", "m", zone="a"), until_s=10)
    world.take_back("i-1")
    assert ask(world, Terminate("i-1"), until_s=200) == [(12, Removed("i-1"))]


def test_what_is_called_again_and_again_is_called_in_its_order_among_facts(world):
    seen = []
    world.every(4 * SECOND_US, lambda: seen.append((world.now_us // SECOND_US, len(world.region.told))))
    ask(world, Launch("i-1", "m", zone="a"), until_s=9)
    assert seen == [(4, 0), (8, 1)]


def test_time_stops_at_what_was_waited_for(world):
    world.region.asks.append(Launch("i-1", "m", zone="a"))
    assert world.run_while(lambda: not world.region.told, 60 * SECOND_US)
    assert world.now_us == 5 * SECOND_US
    assert not world.run_while(lambda: len(world.region.told) == 1, 60 * SECOND_US)
    assert world.now_us == 60 * SECOND_US


def test_a_listener_hears_each_fact_first(region):
    heard = []
    world = World(region, timing=TIMING, listen=lambda now_us, fact: heard.append((now_us, fact, len(region.told))))
    ask(world, Launch("i-1", "m", zone="a"), until_s=10)
    assert heard == [(5 * SECOND_US, running("i-1", 1), 0)]
