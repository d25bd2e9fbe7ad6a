"""A world in virtual time for a region: does what the region asks, after the time that it takes, and tells it.

Nothing is waited for. `World.run_until` goes from one due time to the next, of the world or of the region, and so a
week passes in the time that the region needs for it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from parity.model.scaling.api import Region
from parity.model.scaling.lives import Life, Refusal, Timing
from parity.model.scaling.region import Answer, Request
from parity.model.scaling.state import SECOND_US
from parity.model.scaling.world import (
    Action,
    Checked,
    CreateImage,
    CutOff,
    Deregister,
    Deregistered,
    ImageFailed,
    ImageMade,
    Input,
    Launch,
    LaunchFailed,
    Measured,
    Notify,
    Rebalance,
    Reboot,
    Register,
    Removed,
    RemoveImage,
    Running,
    SpotNotice,
    Start,
    Stop,
    Stopped,
    TargetHealth,
    Terminate,
    ZoneState,
)

#: How long before it takes a spot instance back EC2 says so.
#: Source: EC2 user guide, "Spot Instance interruption notices".
NOTICE_US = 120 * SECOND_US


class World:
    """What a region acts on.

    Args:
        region: The region; only the world steps it from now on.
        timing: How long things take.
        listen: Called with the time and each fact that the region is told, before it is.
    """

    def __init__(
        self, region: Region, *, timing: Timing | None = None, listen: Callable[[int, Input], None] | None = None
    ) -> None:
        self.region = region
        self.timing = timing or Timing()
        self.listen = listen
        #: Instances that are there, by id.
        self.lives: dict[str, Life] = {}
        #: Messages sent to topics and queues, and when.
        self.notified: list[tuple[int, Notify]] = []
        self._zones: dict[str, dict[str, Life]] = {}
        self._lost: set[str] = set()
        self._refusals: list[Refusal] = []
        #: What is due: when, which in turn, whose life in which turn, and the fact or what is called.
        self._due: list[tuple[int, int, Life | None, int, Input | Callable[[], None]]] = []
        self._counted = 0
        self._addresses = 0
        self._does: dict[type, Callable[[Any], None]] = {
            Launch: self._launch,
            Terminate: self._terminate,
            Stop: self._stop,
            Start: self._start,
            Reboot: self._nothing,
            CreateImage: self._create_image,
            RemoveImage: self._nothing,
            Register: self._register,
            Deregister: self._deregister,
            CutOff: self._nothing,
            Notify: self._notify,
        }

    @property
    def now_us(self) -> int:
        """The time."""
        return self.region.now_us

    # Time.

    def due_us(self) -> int | None:
        """When something happens next; None where nothing ever does by itself."""
        asked_us = self.region.due_us()
        if not self._due:
            return asked_us
        return self._due[0][0] if asked_us is None else min(asked_us, self._due[0][0])

    def run_until(self, now_us: int) -> None:
        """Let time pass, and everything happen that is due until then, in its order."""
        while (due_us := self.due_us()) is not None and due_us <= now_us:
            self._happen(due_us)
        self._happen(now_us)

    def run_while(self, condition: Callable[[], bool], limit_us: int) -> bool:
        """Let time pass while a condition holds; it is looked at whenever something happened.

        Args:
            condition: What is looked at.
            limit_us: When to give up.

        Returns:
            Whether it ceased to hold by then. Where it did, the time is that of what ended it.
        """
        while condition():
            due_us = self.due_us()
            if due_us is None or due_us > limit_us:
                self._happen(limit_us)
                return not condition()
            self._happen(due_us)
        return True

    def at(self, due_us: int, call: Callable[[], None]) -> None:
        """Have something called at a time."""
        self._later(due_us, None, call)

    def every(self, period_us: int, call: Callable[[], None]) -> None:
        """Have something called again and again, for the first time after one period."""

        def again() -> None:
            call()
            self.at(self.now_us + period_us, again)

        self.at(self.now_us + period_us, again)

    # The API.

    def call(self, service: str, operation: str, request: Request) -> Answer:
        """Call the region now, and begin what that asks for. Raises what `Region.call` does."""
        try:
            return self.region.call(self.now_us, service, operation, request)
        finally:
            self.tell()

    # What befalls the world.

    def refuse(
        self, message: str, *, code: str = "InsufficientInstanceCapacity", zone: str = "", count: int | None = None
    ) -> None:
        """Have launches fail.

        Args:
            message: Why.
            code: EC2's code for that.
            zone: Only those in this one; empty for all.
            count: How many fail; None for all from now on.
        """
        self._refusals.append(Refusal(message=message, code=code, zone=zone, left=count))

    def permit(self) -> None:
        """Have launches succeed again."""
        self._refusals.clear()

    def lose_zone(self, zone: str) -> None:
        """Cut a zone off: nothing is launched there, and instances there do not answer."""
        self._lost.add(zone)
        for life in self._zones.get(zone, {}).values():
            self._hang(life, hung=True)
        self.tell(ZoneState(zone=zone, available=False))

    def restore_zone(self, zone: str) -> None:
        """Have a lost zone back, with what is left there."""
        self._lost.discard(zone)
        for life in self._zones.get(zone, {}).values():
            self._hang(life, hung=False)
        self.tell(ZoneState(zone=zone, available=True))

    def kill(self, instance_id: str, reason: str = "") -> None:
        """Have an instance gone, nothing left of it."""
        self.tell(self._remove(self.lives[instance_id], reason))

    def stop(self, instance_id: str, reason: str = "") -> None:
        """Have an instance stopped by somebody else than the region; it is kept."""
        life = self.lives[instance_id]
        self._turn(life, "stopped")
        self.tell(Stopped(instance_id=instance_id, reason=reason))

    def hang(self, instance_id: str, *, hung: bool = True) -> None:
        """Have an instance not answer any more, or answer again; status checks and load balancers come to see it."""
        self._hang(self.lives[instance_id], hung=hung)

    def answer_target(self, target_group: str, instance_id: str, *, healthy: bool, reason: str = "") -> None:
        """Have an instance pass a load balancer's health checks, or fail them."""
        self.lives[instance_id].targets[target_group] = healthy
        self.tell(TargetHealth(target_group=target_group, instance_id=instance_id, healthy=healthy, reason=reason))

    def take_back(self, instance_id: str) -> None:
        """Give a spot instance its notice, and take it two minutes later."""
        life = self.lives[instance_id]
        gone_us = self.now_us + NOTICE_US
        self.tell(SpotNotice(instance_id=instance_id))

        def gone() -> None:
            if self.lives.get(instance_id) is life:
                self.kill(instance_id, "Server.SpotInstanceTermination")

        self.at(gone_us, gone)

    def recommend_rebalance(self, instance_id: str) -> None:
        """Say that a spot instance may be taken back soon."""
        self.tell(Rebalance(instance_id=instance_id))

    def tell(self, *facts: Input) -> None:
        """Tell the region facts of the world's; they are so from now on."""
        self._step(self.now_us, list(facts))

    def measure(self, namespace: str, name: str, value: float, **dimensions: str) -> None:
        """Put a datapoint of one sample."""
        self.tell(
            Measured(
                namespace=namespace,
                name=name,
                dimensions=tuple(sorted(dimensions.items())),
                total=value,
                low=value,
                high=value,
            )
        )

    # How it comes about.

    def _happen(self, now_us: int) -> None:
        """Have happen what is due, in its order, and let the region know."""
        facts: list[Input] = []
        while self._due and self._due[0][0] <= now_us:
            due_us, _, life, turn, what = heapq.heappop(self._due)
            if life is not None and life.turn != turn:
                continue
            if callable(what):
                self._step(due_us, facts)
                facts = []
                what()
            else:
                facts.append(what)
        self._step(now_us, facts)

    def _step(self, now_us: int, facts: list[Input]) -> None:
        """Step the region, and begin what it asks for."""
        for told in facts:
            self._note(told)
            if self.listen:
                self.listen(now_us, told)
        for action in self.region.step(now_us, facts):
            self._does[type(action)](action)

    def _note(self, told: Input) -> None:
        """Have the world be as it tells the region that it is."""
        if isinstance(told, Running):
            life = self.lives[told.instance_id]
            life.state, life.ran = "running", True
            for target_group in life.targets:
                self._check_target(life, target_group)
        elif isinstance(told, Stopped):
            self.lives[told.instance_id].state = "stopped"
        elif isinstance(told, LaunchFailed | Removed) and told.instance_id in self.lives:
            life = self.lives[told.instance_id]
            if isinstance(told, LaunchFailed) and life.ran:
                life.state = "stopped"
            else:
                self._remove(life)

    def _later(self, due_us: int, life: Life | None, what: Input | Callable[[], None]) -> None:
        self._counted += 1
        heapq.heappush(self._due, (due_us, self._counted, life, life.turn if life else 0, what))

    def _after(self, duration_us: int, life: Life | None, what: Input) -> None:
        self._later(self.now_us + duration_us, life, what)

    def _turn(self, life: Life, state: str) -> None:
        """Have something else become of an instance than was to."""
        life.state = state
        life.turn += 1

    def _remove(self, life: Life, reason: str = "") -> Removed:
        life.turn += 1
        del self.lives[life.instance_id]
        del self._zones[life.zone][life.instance_id]
        return Removed(instance_id=life.instance_id, reason=reason)

    def _hang(self, life: Life, *, hung: bool) -> None:
        if life.hung == hung:
            return
        life.hung = hung
        if life.state == "running":
            self._after(self.timing.check_us, life, Checked(instance_id=life.instance_id, healthy=not hung))
        for target_group in life.targets:
            self._check_target(life, target_group)

    def _check_target(self, life: Life, target_group: str) -> None:
        life.targets[target_group] = not life.hung
        told = TargetHealth(target_group=target_group, instance_id=life.instance_id, healthy=not life.hung)
        self._after(self.timing.target_us, life, told)

    def _refused(self, zone: str) -> tuple[str, str] | None:
        """The message and code with which a launch in a zone fails; None where it does not."""
        if zone in self._lost:
            return f"The zone {zone} is not available.", "InsufficientInstanceCapacity"
        for refusal in self._refusals:
            if refusal.zone in {"", zone} and refusal.left != 0:
                if refusal.left is not None:
                    refusal.left -= 1
                return refusal.message, refusal.code
        return None

    # What the region asks for.

    def _launch(self, asked: Launch) -> None:
        life = self.lives.get(asked.instance_id)
        if life is None:
            self._addresses += 1
            number = self._addresses
            life = Life(
                instance_id=asked.instance_id,
                zone=asked.zone,
                group=asked.group,
                private_ip=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            )
            self.lives[asked.instance_id] = life
            self._zones.setdefault(asked.zone, {})[asked.instance_id] = life
        self._boot(life)

    def _start(self, asked: Start) -> None:
        life = self.lives.get(asked.instance_id)
        if life is None:
            self._after(0, None, LaunchFailed(instance_id=asked.instance_id, message="There is no such instance."))
        else:
            self._boot(life)

    def _boot(self, life: Life) -> None:
        took_us = 0 if life.state == "running" else self.timing.boot_us
        self._turn(life, "booting")
        told: Input = Running(instance_id=life.instance_id, private_ip=life.private_ip)
        if took_us and (refused := self._refused(life.zone)):
            told = LaunchFailed(instance_id=life.instance_id, message=refused[0], code=refused[1])
        self._after(took_us, life, told)

    def _terminate(self, asked: Terminate) -> None:
        life = self.lives.get(asked.instance_id)
        if life is not None and life.state != "ending":
            self._turn(life, "ending")
        self._after(self.timing.end_us, life, Removed(instance_id=asked.instance_id))

    def _stop(self, asked: Stop) -> None:
        life = self.lives.get(asked.instance_id)
        if life is not None and life.state != "ending":
            self._turn(life, "stopping")
            self._after(self.timing.stop_us, life, Stopped(instance_id=asked.instance_id))

    def _create_image(self, asked: CreateImage) -> None:
        told: Input = ImageMade(image_id=asked.image_id, name=asked.name, tag=f"virtual/{asked.image_id}")
        if asked.instance_id not in self.lives:
            told = ImageFailed(image_id=asked.image_id, message="There is no such instance.")
        self._after(self.timing.image_us, None, told)

    def _register(self, asked: Register) -> None:
        if life := self.lives.get(asked.instance_id):
            self._check_target(life, asked.target_group)

    def _deregister(self, asked: Deregister) -> None:
        if life := self.lives.get(asked.instance_id):
            life.targets.pop(asked.target_group, None)
        told = Deregistered(target_group=asked.target_group, instance_id=asked.instance_id)
        self._after(self.timing.drain_us, None, told)

    def _notify(self, asked: Notify) -> None:
        self.notified.append((self.now_us, asked))

    def _nothing(self, asked: Action) -> None:
        """A restart leaves an instance as it was; an image that is forgotten, or a request, is missed by nobody."""
