"""JUnit XML: a run's properties as test cases, and a session's runs as test cases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

from parity.check.verdict import Finding, Tally, Verdict
from parity.report.data import Ruling, RunReport
from parity.report.words import headline
from parity.run.result import Result

#: What XML 1.0 has no characters for.
_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def run_suite(report: RunReport) -> str:
    """One run as a test suite with a case for each property.

    A violation that was expected passes, and says so in its output. What else a known-bad stack violates or
    leaves unknown is skipped, and never passes: the run's verdict does not rest on it.

    Args:
        report: The run's.

    Returns:
        XML.
    """
    facts, ruling = report.facts, report.ruling
    classname = f"{facts.stack}.{facts.scenario}"
    cases = [_property_case(finding, ruling, classname) for finding in ruling.findings]
    judged = {finding.property for finding in ruling.findings}
    if ruling.judged and ruling.findings:
        cases += [_unjudged_case(name, classname) for name in ruling.expected_violated if name not in judged]
    else:
        case = _case("verdict", classname, ruling.seconds or 0.0)
        _add(case, "error", ruling.error or headline(ruling))
        cases.append(case)
    suite = _suite(f"{facts.scenario} on {facts.stack}", cases, ruling.seconds or 0.0)
    if facts.started:
        suite.set("timestamp", _clean(facts.started))
    properties = ET.Element("properties")
    for name, value in (
        ("seed", facts.seed),
        ("runtime", facts.runtime),
        ("expected", ruling.expected),
        ("again", facts.again),
    ):
        ET.SubElement(properties, "property", name=name, value=_clean(str(value)))
    suite.insert(0, properties)
    return _written(suite)


def session_suite(results: Iterable[Result], *, error: str = "") -> str:
    """A session as a test suite with a case for each run.

    Args:
        results: Of the runs that came to an end.
        error: Why the session broke off; a case of its own, so that a session cut short never looks whole.

    Returns:
        XML.
    """
    results = list(results)
    cases = [_run_case(result) for result in results]
    if error or not results:
        case = _case("session", "parity", 0.0)
        _add(case, "error", error or "nothing was run")
        cases.append(case)
    return _written(_suite("parity", cases, sum(result.seconds for result in results)))


def _property_case(finding: Finding, ruling: Ruling, classname: str) -> ET.Element:
    case = _case(finding.property, classname, 0.0)
    said = f"{finding.verdict.value}: {finding.reason}"
    if finding.property in ruling.expected_violated:
        if finding.verdict is Verdict.VIOLATED:
            _add(case, "system-out", f"{said}\n(expected of this stack)")
        else:
            tag = "failure" if finding.verdict is Verdict.HOLDS else "error"
            _add(case, tag, f"expected to be violated, but {said}")
    elif finding.verdict is Verdict.HOLDS:
        _add(case, "system-out", said)
    elif ruling.expected_violated:
        _add(case, "skipped", f"on a known-bad stack, {said}")
    else:
        _add(case, "failure" if finding.verdict is Verdict.VIOLATED else "error", said, _witnesses(finding))
    return case


def _unjudged_case(name: str, classname: str) -> ET.Element:
    case = _case(name, classname, 0.0)
    _add(case, "error", "expected to be violated, but never judged")
    return case


def _witnesses(finding: Finding) -> str:
    if not finding.witnesses:
        return ""
    first = ", ".join(map(str, finding.witnesses))
    return f"{finding.count} witnesses, first jobs: {first}"


def _run_case(result: Result) -> ET.Element:
    # A session may have a scenario on both runtimes.
    simulated = "" if result.runtime == "docker" else f" ({result.runtime})"
    case = _case(result.scenario, f"{result.stack}{simulated}", result.seconds)
    said = [f"{one.property}: {one.verdict.value}: {one.reason}" for one in result.findings]
    told = "\n".join([*said, _figures(result.tally), f"seed {result.seed}, record {result.record}"])
    if result.as_expected:
        _add(case, "system-out", f"{result.verdict.value}, expected {result.expected}\n{told}")
        return case
    message = result.error or f"{result.verdict.value}, expected {result.expected}"
    _add(case, "error" if result.verdict is Verdict.UNKNOWN else "failure", message, told)
    return case


def _figures(tally: Tally) -> str:
    return ", ".join(f"{name} {getattr(tally, name)}" for name in Tally.__struct_fields__)


def _case(name: str, classname: str, seconds: float) -> ET.Element:
    return ET.Element("testcase", name=_clean(name), classname=_clean(classname), time=f"{seconds:.3f}")


def _add(case: ET.Element, tag: str, message: str, text: str = "") -> None:
    if tag == "system-out":
        ET.SubElement(case, tag).text = _clean(message)
        return
    ET.SubElement(case, tag, message=_clean(" ".join(message.split()))).text = _clean(text or message)


def _suite(name: str, cases: Sequence[ET.Element], seconds: float) -> ET.Element:
    suite = ET.Element("testsuite", name=_clean(name), tests=str(len(cases)), time=f"{seconds:.3f}")
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    suite.extend(cases)
    return suite


def _written(suite: ET.Element) -> str:
    root = ET.Element("testsuites", {key: suite.attrib[key] for key in ("tests", "failures", "errors", "time")})
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _clean(text: str) -> str:
    return _INVALID.sub("\ufffd", text)
