"""The timeline's curves: queue depths, the group's capacity, and what happened how often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from parity.report.canvas import LEFT, RIGHT, Canvas
from parity.report.data import Counts, Depth, Scaling

_PLOT = 54


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Two numbers from a moment on: one is drawn as an area, one as a line."""

    t_us: int
    area: int
    line: int
    title: str


def draw_depth(canvas: Canvas, depth: Depth) -> None:
    """Draw a queue's depth: ready as an area, unacknowledged as a line."""
    heading = f"Depth of the queue {depth.queue}"
    pairs = [
        _Pair(t_us=t_us, area=ready, line=held, title=f"{ready} ready, {held} unacknowledged")
        for t_us, ready, held in depth.points
    ]
    if not any(pair.area or pair.line for pair in pairs):
        canvas.heading(heading)
        _nothing(canvas, "never a message, as far as the broker's statistics tell")
        return
    _draw_pairs(canvas, heading, "messages", pairs, css=("ready", "unacknowledged"))


def draw_scaling(canvas: Canvas, scaling: Scaling) -> None:
    """Draw the group's instances in service as an area and those it should have as a line; likewise connections."""
    sizes = [
        _Pair(
            t_us=size.t_us,
            area=size.in_service,
            line=size.desired,
            title=f"{size.in_service} in service of {size.desired} desired, "
            f"{size.pending} pending, {size.leaving} leaving",
        )
        for size in scaling.sizes
    ]
    if sizes:
        _draw_pairs(canvas, "Capacity of the group", "instances", sizes, css=("in-service", "desired"))
    connections = [
        _Pair(t_us=t_us, area=used, line=limit, title=f"{used} of {limit} connections")
        for t_us, used, limit in scaling.connections
    ]
    if connections:
        _draw_pairs(canvas, "Connections of the database", "connections", connections, css=("used", "limit"))


def _draw_pairs(canvas: Canvas, heading: str, unit: str, pairs: Sequence[_Pair], *, css: tuple[str, str]) -> None:
    top = max(max(pair.area, pair.line) for pair in pairs)
    canvas.heading(heading)
    _scale(canvas, top, unit)
    bottom = canvas.y + _PLOT
    first = canvas.x(pairs[0].t_us)
    area = _steps(canvas, [(pair.t_us, pair.area) for pair in pairs], top)
    canvas.line(css[0], f"{area}V{bottom}H{first}Z")
    canvas.line(css[1], _steps(canvas, [(pair.t_us, pair.line) for pair in pairs], top))
    _hits(canvas, [(pair.t_us, pair.title) for pair in pairs])
    canvas.y += _PLOT + 4


def draw_counts(canvas: Canvas, counts: Counts) -> None:
    """Draw submits by outcome, deliveries, and effects."""
    per = f"in {counts.width_us / 1e6:g} s"
    outcomes = [("ok", counts.ok), ("unknown", counts.unknown), ("refused", counts.refused)]
    bins = _Bins(canvas, counts.width_us)
    bins.draw(f"Submits {per}, by outcome", outcomes, line=counts.submits)
    bins.draw(f"Deliveries {per}", [("deliveries", counts.deliveries)])
    bins.draw(f"Effects seen {per}", [("effects", counts.effects)])


def _steps(canvas: Canvas, points: Sequence[tuple[int, int]], top: int) -> str:
    (first_us, first), *rest = points
    start = f"M{canvas.x(first_us)} {_height(canvas, first, top)}"
    parts = [f"H{canvas.x(t_us)}V{_height(canvas, value, top)}" for t_us, value in rest]
    return f"{start}{''.join(parts)}H{RIGHT}"


def _height(canvas: Canvas, value: int, top: int) -> float:
    return round(canvas.y + _PLOT - value / max(1, top) * _PLOT, 1)


def _nothing(canvas: Canvas, why: str) -> None:
    canvas.text(LEFT, canvas.y + 4, why, "note")
    canvas.y += 10


def _scale(canvas: Canvas, top: int, unit: str) -> None:
    canvas.text(LEFT - 10, canvas.y + 9, f"{top} {unit if top != 1 else unit[:-1]}", "scale", anchor="end")
    canvas.text(LEFT - 10, canvas.y + _PLOT, "0", "scale", anchor="end")
    rules = f"M{LEFT} {canvas.y}H{RIGHT}M{LEFT} {canvas.y + _PLOT}H{RIGHT}"
    canvas.line("rule", rules, behind=True)


def _hits(canvas: Canvas, moments: list[tuple[int, str]]) -> None:
    """Invisible boxes that say what is drawn behind them; a moment lasts until the next one."""
    ends = [t_us for t_us, _ in moments[1:]] + [canvas.end_us]
    for (start_us, text), end_us in zip(moments, ends, strict=True):
        if text and end_us > start_us:
            title = f"{start_us / 1e6:.2f} to {end_us / 1e6:.2f} s: {text}"
            hit = canvas.column("hit", start_us, end_us, canvas.y, canvas.y + _PLOT)
            canvas.front.append(replace(hit, title=title))


class _Bins:
    """Draws counts in bins as columns, one series on top of the other."""

    def __init__(self, canvas: Canvas, width_us: int) -> None:
        self._canvas = canvas
        self._width_us = width_us

    def draw(self, heading: str, series: Sequence[tuple[str, Sequence[int]]], *, line: Sequence[int] = ()) -> None:
        """Draw one plot; `line` is drawn around the columns."""
        canvas = self._canvas
        totals = [sum(values) for values in zip(*(values for _, values in series), strict=True)]
        top = max([*totals, *line], default=0)
        canvas.heading(heading)
        if not top:
            _nothing(canvas, "none")
            return
        _scale(canvas, top, "jobs")
        below = [0] * len(totals)
        for name, values in series:
            canvas.line(f"bins bins-{name}", self._columns(below, values, top))
            below = [low + value for low, value in zip(below, values, strict=True)]
        if line:
            canvas.line("handed", self._outline(line, top))
        _hits(canvas, list(self._titles(series, line)))
        canvas.y += _PLOT + 4

    def _right(self, number: int) -> float:
        return min(RIGHT, self._canvas.x((number + 1) * self._width_us))

    def _columns(self, below: Sequence[int], values: Sequence[int], top: int) -> str:
        parts = []
        for number, (low, value) in enumerate(zip(below, values, strict=True)):
            if value:
                left, right = self._canvas.x(number * self._width_us), self._right(number)
                gap = 0.6 if right - left > 2 else 0
                foot = _height(self._canvas, low, top)
                parts.append(f"M{left} {foot}V{_height(self._canvas, low + value, top)}H{right - gap:.1f}V{foot}Z")
        return "".join(parts)

    def _outline(self, values: Sequence[int], top: int) -> str:
        """Around the bins from the first that counts to the last."""
        used = [number for number, value in enumerate(values) if value]
        if not used:
            return ""
        base = _height(self._canvas, 0, top)
        parts = [
            f"V{_height(self._canvas, values[number], top)}H{self._right(number)}"
            for number in range(used[0], used[-1] + 1)
        ]
        return f"M{self._canvas.x(used[0] * self._width_us)} {base}{''.join(parts)}V{base}"

    def _titles(self, series: Sequence[tuple[str, Sequence[int]]], line: Sequence[int]) -> Iterable[tuple[int, str]]:
        for number in range(len(series[0][1])):
            told = [f"{values[number]} {name}" for name, values in series if values[number]]
            if line and line[number]:
                told.insert(0, f"{line[number]} handed over")
            yield number * self._width_us, ", ".join(told)
