"""The timeline of a run, gathered in one pass over its history and never larger than a drawing can show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity.history.events import (
    Census,
    Delivery,
    Effect,
    Event,
    Fault,
    Health,
    Instance,
    Lifecycle,
    Node,
    Phase,
    Queue,
    Remark,
    Submit,
    Submitted,
)
from parity.report.data import Band, Counts, Depth, FaultSpan, Lane, LaneKind, Span, Timeline
from parity.report.scaling import ScalingBuilder
from parity.report.thinning import thinned
from parity.scenario.steps import KINDS

_BIN_US = 100_000
#: Even, because bins are merged in pairs.
_BINS_MAX = 240
_REMARKS_MAX = 50
#: Noted of instances that parity ended itself, so that the queues can be read out.
CENSUS_EXIT = "ended for the census"
_OUTCOMES = {"ok": "ok", "fail": "refused", "info": "unknown"}


class _Bins:
    """Counts in bins that double their width whenever a run outgrows them."""

    def __init__(self) -> None:
        self.width_us = _BIN_US
        self._series: dict[str, list[int]] = {}

    def add(self, name: str, t_us: int) -> None:
        while t_us // self.width_us >= _BINS_MAX:
            self._double()
        bins = self._series.setdefault(name, [0] * _BINS_MAX)
        bins[max(0, t_us) // self.width_us] += 1

    def _double(self) -> None:
        self.width_us *= 2
        for name, bins in self._series.items():
            merged = [first + second for first, second in zip(bins[::2], bins[1::2], strict=True)]
            self._series[name] = merged + [0] * (_BINS_MAX - len(merged))

    def counts(self, end_us: int) -> Counts:
        while end_us // self.width_us >= _BINS_MAX:
            self._double()
        used = end_us // self.width_us + 1
        empty = [0] * used
        names = ("submits", "ok", "unknown", "refused", "deliveries", "effects")
        series = {name: tuple(self._series.get(name, empty)[:used]) for name in names}
        return Counts(width_us=self.width_us, **series)


class TimelineBuilder:
    """Sees every event of a history once, in its order."""

    def __init__(self) -> None:
        self._end_us = 0
        self._bins = _Bins()
        self._phases: list[Phase] = []
        self._states: dict[tuple[LaneKind, str], list[Span]] = {}
        self._faults: list[dict[str, Any]] = []
        self._depths: dict[str, list[tuple[int, int, int]]] = {}
        self._remarks: list[tuple[int, str]] = []
        self._scaling = ScalingBuilder()
        self.census: Census | None = None
        self._see: dict[type, Callable[[Any], None]] = {
            Submit: lambda event: self._bins.add("submits", event.t_us),
            Submitted: lambda event: self._bins.add(_OUTCOMES[event.outcome], event.t_us),
            Delivery: lambda event: self._bins.add("deliveries", event.t_us),
            Effect: lambda event: self._bins.add("effects", event.t_us),
            Phase: self._phases.append,
            Node: self._node,
            Instance: self._instance,
            Lifecycle: self._lifecycle,
            Queue: self._queue,
            Fault: self._fault,
            Health: self._health,
            Census: self._take_census,
            Remark: lambda event: self._remark(event.t_us, event.text),
            **self._scaling.see,
        }

    def see(self, event: Event) -> None:
        """Take one event in."""
        self._end_us = max(self._end_us, event.t_us)
        see = self._see.get(type(event))
        if see is not None:
            see(event)

    def build(self) -> Timeline:
        """The timeline of everything seen so far; what was open ends with the last event."""
        used = {queue for queue, points in self._depths.items() if any(ready + held for _, ready, held in points)}
        shown = used or set(list(self._depths)[:1])
        return Timeline(
            end_us=self._end_us,
            phases=self._bands(),
            faults=tuple(self._fault_span(fault) for fault in self._faults),
            lanes=tuple(
                Lane(name=name, kind=kind, spans=self._closed(spans))
                for (kind, name), spans in self._states.items()
                if kind != "leader" or name in shown
            ),
            depths=tuple(Depth(queue=queue, points=thinned(self._depths[queue], _deep)) for queue in sorted(shown)),
            counts=self._bins.counts(self._end_us),
            remarks=tuple(self._remarks),
            scaling=self._scaling.build(),
        )

    def _bands(self) -> tuple[Band, ...]:
        ends = [*(phase.t_us for phase in self._phases), self._end_us][1:]
        return tuple(
            Band(name=phase.phase, start_us=phase.t_us, end_us=end_us, deadline_us=phase.deadline_us)
            for phase, end_us in zip(self._phases, ends, strict=True)
            if phase.phase != "end"
        )

    def _enter(self, kind: LaneKind, name: str, span: Span) -> None:
        spans = self._states.setdefault((kind, name), [])
        if not spans or (spans[-1].state, spans[-1].exit_code) != (span.state, span.exit_code):
            spans.append(span)

    def _closed(self, spans: list[Span]) -> tuple[Span, ...]:
        ends = [span.start_us for span in spans[1:]] + [self._end_us]
        return tuple(
            Span(state=span.state, start_us=span.start_us, end_us=end_us, note=span.note, exit_code=span.exit_code)
            for span, end_us in zip(spans, ends, strict=True)
        )

    def _node(self, event: Node) -> None:
        self._enter("node", event.node, Span(state=event.state, start_us=event.t_us, end_us=0, note=event.detail))

    def _instance(self, event: Instance) -> None:
        for_census = any(phase.phase == "census" for phase in self._phases)
        note = event.reason
        if event.state == "exited" and for_census:
            note = f"{note}; {CENSUS_EXIT}".removeprefix("; ")
        span = Span(state=event.state, start_us=event.t_us, end_us=0, note=note, exit_code=event.exit_code)
        self._enter("instance", event.instance, span)

    def _lifecycle(self, event: Lifecycle) -> None:
        note = ", ".join(part for part in (event.zone, "" if event.healthy else "unhealthy") if part)
        span = Span(state=event.state or "removed", start_us=event.t_us, end_us=0, note=note)
        self._enter("lifecycle", event.instance, span)

    def _queue(self, event: Queue) -> None:
        self._depths.setdefault(event.queue, []).append((event.t_us, event.ready, event.unacknowledged))
        self._enter("leader", event.queue, Span(state=event.leader or "none", start_us=event.t_us, end_us=0))

    def _fault(self, event: Fault) -> None:
        mine = [fault for fault in self._faults if fault["fault"] == event.fault]
        if not mine or (event.phase == "applying" and "applying" in mine[-1]):
            mine = [{"fault": event.fault, "kind": event.kind, "target": event.target, "start_us": event.t_us}]
            self._faults += mine
        mine[-1][event.phase] = event
        mine[-1]["on"] = event.on or mine[-1].get("on", ())

    def _fault_span(self, fault: dict[str, Any]) -> FaultSpan:
        over = fault.get("healed") or fault.get("failed")
        kind = KINDS.get(fault["kind"])
        return FaultSpan(
            fault=fault["fault"],
            kind=fault["kind"],
            target=fault["target"],
            breaks=kind is None or kind.fault,
            on=fault["on"],
            start_us=fault["start_us"],
            applied_us=fault["applied"].t_us if "applied" in fault else None,
            end_us=over.t_us if over else self._end_us,
            healed="healed" in fault,
            proof=fault["proved"].detail if "proved" in fault else "",
            failed=(fault["failed"].detail or "no reason given") if "failed" in fault else "",
        )

    def _health(self, event: Health) -> None:
        text = "the stack is healed" if event.healed else f"the stack did not heal: {event.detail}"
        self._remark(event.t_us, text)

    def _take_census(self, event: Census) -> None:
        self.census = event
        left = f"{event.queued} messages queued, {event.dead_lettered} dead-lettered"
        told = f"the census is complete: {left}" if event.complete else f"the census is not complete: {event.reason}"
        self._remark(event.t_us, told)

    def _remark(self, t_us: int, text: str) -> None:
        if len(self._remarks) < _REMARKS_MAX:
            self._remarks.append((t_us, text))


def _deep(point: tuple[int, int, int]) -> int:
    return point[1] + point[2]
