"""The canvas a timeline is drawn on: shapes with coordinates, one time axis, rows from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

Anchor: TypeAlias = Literal["start", "middle", "end"]

WIDTH = 1100
LEFT = 172
RIGHT = WIDTH - 14
ROW = 20
BAR = 14
#: Width of a character of the text inside the drawing, as a rule of thumb.
CHAR = 6.2
_LABEL_CHARS = 25
#: Rows of one group; what is beyond stands in the table below the drawing.
_ROWS_MAX = 24
_Row = TypeVar("_Row")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One thing drawn: a box, a path or a text."""

    shape: Literal["box", "path", "text"]
    css: str
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0
    d: str = ""
    text: str = ""
    #: Shown while the pointer rests on it.
    title: str = ""
    anchor: Anchor = "start"


@dataclass(kw_only=True)
class Canvas:
    """What is drawn so far, and where the next row begins.

    Args:
        end_us: Where the time axis ends, in microseconds; more than 0.
    """

    end_us: int
    y: float = 0
    behind: list[Shape] = field(default_factory=list)
    front: list[Shape] = field(default_factory=list)

    def x(self, t_us: float) -> float:
        """Where a moment stands."""
        return round(LEFT + t_us / self.end_us * (RIGHT - LEFT), 1)

    def width(self, start_us: int, end_us: int, *, least: float = 2) -> float:
        """How wide a stretch of time is."""
        return round(max(least, self.x(end_us) - self.x(start_us)), 1)

    def text(self, x: float, y: float, text: str, css: str, *, anchor: Anchor = "start", title: str = "") -> None:
        """Write text; `y` is its baseline."""
        self.front.append(Shape(shape="text", x=x, y=round(y, 1), text=text, css=css, anchor=anchor, title=title))

    def line(self, css: str, d: str, *, title: str = "", behind: bool = False) -> None:
        """Draw a path."""
        (self.behind if behind else self.front).append(Shape(shape="path", css=css, d=d, title=title))

    def label(self, text: str) -> None:
        """Name the row."""
        short = text if len(text) <= _LABEL_CHARS else f"{text[: _LABEL_CHARS - 1]}…"
        title = text if short != text else ""
        self.text(LEFT - 10, self.y + BAR - 3, short, "label", anchor="end", title=title)

    def heading(self, text: str) -> None:
        """Begin a group of rows."""
        self.y += 8
        self.text(4, self.y + 12, text, "group")
        self.y += ROW

    def bar(self, start_us: int, end_us: int, css: str, title: str, *, least: float = 2) -> None:
        """Fill a stretch of time in the row."""
        width = self.width(start_us, end_us, least=least)
        if width:
            x = self.x(start_us)
            self.front.append(Shape(shape="box", css=css, x=x, y=self.y, width=width, height=BAR, title=title))

    def column(self, css: str, start_us: int, end_us: int, top: float, bottom: float) -> Shape:
        """A stretch of time over several rows."""
        width = self.width(start_us, end_us, least=0)
        return Shape(shape="box", css=css, x=self.x(start_us), y=top, width=width, height=round(bottom - top, 1))

    def capped(self, rows: list[_Row]) -> list[_Row]:
        """As many rows as a group may have; says so where there are more."""
        if len(rows) > _ROWS_MAX:
            more = f"{len(rows) - _ROWS_MAX} more rows are in the table below the drawing"
            self.text(LEFT, self.y - 7, more, "note")
        return rows[:_ROWS_MAX]
