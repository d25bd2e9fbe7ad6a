"""The timeline's drawing, from the timeline's data. No colours: those are the style's."""

from __future__ import annotations

from dataclasses import dataclass

from parity.report.canvas import BAR, CHAR, LEFT, RIGHT, ROW, WIDTH, Canvas, Shape
from parity.report.data import FaultSpan, Lane, Span, Timeline
from parity.report.plots import draw_counts, draw_depth, draw_scaling
from parity.report.stories import fault_name
from parity.report.timeline import CENSUS_EXIT

_GROUPS = (
    ("Nodes and database", "node"),
    ("Queue's leader", "leader"),
    ("Instances", "instance"),
    ("Lifecycle states in the group", "lifecycle"),
)
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawing of known size."""

    width: int
    height: int
    shapes: tuple[Shape, ...]


def draw(timeline: Timeline) -> Chart:
    """Draw a timeline; one without any time is a drawing without shapes."""
    if timeline.end_us <= 0:
        return Chart(width=WIDTH, height=0, shapes=())
    canvas = Canvas(end_us=timeline.end_us)
    top = _draw_phase_names(canvas, timeline)
    canvas.y = top + 6
    _draw_faults(canvas, timeline)
    for heading, kind in _GROUPS:
        _draw_lanes(canvas, heading, [lane for lane in timeline.lanes if lane.kind == kind])
    draw_scaling(canvas, timeline.scaling)
    for depth in timeline.depths:
        draw_depth(canvas, depth)
    draw_counts(canvas, timeline.counts)
    _draw_axis(canvas, top)
    shapes = (*_background(canvas, timeline, top), *canvas.behind, *canvas.front)
    return Chart(width=WIDTH, height=round(canvas.y + 36), shapes=shapes)


def _draw_phase_names(canvas: Canvas, timeline: Timeline) -> float:
    """The names of the phases, each on the first row where it fits; the y below them."""
    rows: list[list[tuple[float, float]]] = []
    ticks: list[tuple[float, int]] = []
    for band in timeline.phases:
        x = canvas.x(band.start_us)
        name_width = len(band.name) * CHAR + 12
        at_edge = x + name_width > RIGHT + 10
        left = x - name_width if at_edge else x
        row = next((row for row, taken in enumerate(rows) if _is_free(taken, left, name_width)), len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append((left, left + name_width))
        y = 14 + 15 * row
        deadline = f", to be over by {band.deadline_us / 1e6:.1f} s" if band.deadline_us else ""
        title = f"phase {band.name}: {band.start_us / 1e6:.1f} to {band.end_us / 1e6:.1f} s{deadline}"
        canvas.text(
            x - 4 if at_edge else x + 4, y, band.name, "phase", anchor="end" if at_edge else "start", title=title
        )
        ticks.append((x, y - 11))
    bottom = 8 + 15 * max(1, len(rows))
    for x, tick_y in ticks:
        canvas.line("phase-tick", f"M{x} {tick_y}V{bottom}", behind=True)
    return bottom


def _is_free(taken: list[tuple[float, float]], left: float, width: float) -> bool:
    return all(end <= left or begin >= left + width for begin, end in taken)


def _background(canvas: Canvas, timeline: Timeline, top: float) -> list[Shape]:
    bands = [
        canvas.column(f"band band-{number % 2}", band.start_us, band.end_us, top, canvas.y)
        for number, band in enumerate(timeline.phases)
    ]
    harm = [
        canvas.column("harm", fault.start_us, fault.end_us, top, canvas.y)
        for fault in timeline.faults
        if fault.breaks and fault.applied_us is not None
    ]
    return [*bands, *harm]


def _draw_axis(canvas: Canvas, top: float) -> None:
    end_s = canvas.end_us / 1e6
    step_s = next((step for step in _TICKS_S if end_s / step <= 14), end_s)
    for number in range(int(end_s / step_s) + 1):
        x = canvas.x(number * step_s * 1e6)
        canvas.line("tick", f"M{x} {top}V{canvas.y + 4:.1f}", behind=True)
        canvas.text(x, canvas.y + 17, f"{number * step_s:g}", "axis", anchor="middle")
    canvas.text((LEFT + RIGHT) / 2, canvas.y + 32, "seconds since the run began", "axis", anchor="middle")


def _draw_faults(canvas: Canvas, timeline: Timeline) -> None:
    rows: dict[str, list[FaultSpan]] = {}
    for fault in timeline.faults:
        rows.setdefault(fault_name(fault), []).append(fault)
    if rows:
        canvas.heading("Faults and steps")
    for name, faults in canvas.capped(list(rows.items())):
        canvas.label(name)
        for fault in faults:
            _draw_fault(canvas, fault)
        if len(faults) == 1:
            _draw_fault_note(canvas, faults[0])
        canvas.y += ROW


def _draw_fault(canvas: Canvas, fault: FaultSpan) -> None:
    title = _fault_title(fault)
    css = "failed" if fault.failed else "fault" if fault.breaks else "step"
    applied_us = fault.end_us if fault.applied_us is None else fault.applied_us
    canvas.bar(fault.start_us, applied_us, f"{css} applying", title, least=0)
    canvas.bar(applied_us, fault.end_us, css, title, least=4)


def _fault_title(fault: FaultSpan) -> str:
    on = f" on {', '.join(fault.on)}" if fault.on else ""
    applied = f"applied at {fault.applied_us / 1e6:.2f} s" if fault.applied_us is not None else "never applied"
    end = "healed" if fault.healed else f"failed: {fault.failed}" if fault.failed else "not healed"
    times = f"begun at {fault.start_us / 1e6:.2f} s, {applied}, {end} at {fault.end_us / 1e6:.2f} s"
    return f"{fault_name(fault)}{on}: {times}; {f'proof: {fault.proof}' if fault.proof else 'not proved'}"


def _draw_fault_note(canvas: Canvas, fault: FaultSpan) -> None:
    """Who was hit, beside the bar, on the side where there is room."""
    note = "failed" if fault.failed else ", ".join(fault.on) or fault.proof
    note = note if len(note) <= 40 else f"{note[:39]}…"
    needed = len(note) * CHAR
    start, end = canvas.x(fault.start_us), canvas.x(fault.end_us)
    y = canvas.y + BAR - 3
    if end + 8 + needed < RIGHT:
        canvas.text(end + 8, y, note, "note")
    elif start - 6 - needed > LEFT:
        canvas.text(start - 6, y, note, "note", anchor="end")


def _draw_lanes(canvas: Canvas, heading: str, lanes: list[Lane]) -> None:
    if lanes:
        canvas.heading(heading)
    for lane in canvas.capped(lanes):
        canvas.label(lane.name)
        for span in lane.spans:
            if span.state == "exited":
                _draw_exit(canvas, lane, span)
            elif span.state != "removed":
                _draw_span(canvas, lane, span)
        canvas.y += ROW


def _draw_span(canvas: Canvas, lane: Lane, span: Span) -> None:
    css = _css(lane, span)
    note = f" ({span.note})" if span.note else ""
    title = f"{lane.name} {span.state}{note}: {span.start_us / 1e6:.2f} to {span.end_us / 1e6:.2f} s"
    canvas.bar(span.start_us, span.end_us, css, title, least=1)
    told = lane.kind == "leader" or span.state not in {"running", "starting"}
    if told and canvas.width(span.start_us, span.end_us) > len(span.state) * CHAR + 8:
        canvas.text(canvas.x(span.start_us) + 5, canvas.y + BAR - 3, span.state, "inside")


def _css(lane: Lane, span: Span) -> str:
    if lane.kind == "leader":
        return f"leader leader-{_number(span.state)}"
    if lane.kind == "lifecycle":
        return f"state lifecycle-{span.state.partition(':')[0]}"
    return f"state state-{span.state}"


def _draw_exit(canvas: Canvas, lane: Lane, span: Span) -> None:
    by_parity = CENSUS_EXIT in span.note
    code = "" if span.exit_code is None else str(span.exit_code)
    note = f" ({span.note})" if span.note else ""
    title = f"{lane.name} exited{f' with exit code {code}' if code else ''}{note} at {span.start_us / 1e6:.2f} s"
    x = canvas.x(span.start_us)
    canvas.line(
        "exit exit-by-parity" if by_parity else "exit", f"M{x - 4:.1f} {canvas.y + 3}l8 8m0-8l-8 8", title=title
    )
    if code and not by_parity and x + len(code) * CHAR < RIGHT:
        canvas.text(x + 8, canvas.y + BAR - 3, code, "note")


def _number(name: str) -> int:
    """A small number that stays the same for a name: its shade."""
    digits = "".join(character for character in name if character.isdecimal())
    return int(digits[-6:] or 0) % 4
