"""The report as one self-contained HTML file."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from parity.check.verdict import Verdict
from parity.report import chart, words
from parity.report.data import RunReport
from parity.report.stories import fault_name

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_UNPRINTABLE = re.compile("[\x80-\x9f\ud800-\udfff\ufffe\uffff]")


def render(report: RunReport) -> str:
    """The whole file.

    Args:
        report: What it tells.

    Returns:
        HTML that needs nothing from anywhere else, and that can be encoded as UTF-8.
    """
    environment = _environment()
    script = environment.get_template("report.js").render()
    return environment.get_template("report.html.j2").render(
        report=report,
        chart=chart.draw(report.timeline),
        submits=words.figures(report.ruling.tally, words.SUBMITS),
        work=words.figures(report.ruling.tally, words.WORK),
        wrongs=words.figures(report.ruling.tally, words.WRONGS),
        told={life.job for life in report.lives},
        verdicts=Verdict,
        words=words,
        script=Markup(script),  # noqa: S704  # our own file, and its digest stands in the page's policy
        script_digest=_digest(script),
    )


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("parity.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {
        "seconds": _seconds,
        "url": _url,
        "size": _size,
        "spaced": _spaced,
        "fault_name": fault_name,
    }
    return environment


def _printable(value: Any) -> Any:
    """Text that a person can see and a file can hold: control characters become their pictures."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _UNPRINTABLE.sub("\ufffd", _CONTROL.sub(lambda match: chr(0x2400 + ord(match[0]) % 0x21), value))


def _seconds(t_us: int) -> str:
    return f"{t_us / 1e6:.3f}"


def _url(path: str) -> str:
    return quote(_UNPRINTABLE.sub("\ufffd", path))


def _size(size_bytes: int) -> str:
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1000:.0f} kB" if size_bytes < 1_000_000 else f"{size_bytes / 1e6:.1f} MB"


def _spaced(text: str) -> str:
    """Text of several lines as one."""
    return " ".join(text.split())


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
