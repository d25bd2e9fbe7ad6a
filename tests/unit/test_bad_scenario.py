"""Bad scenarios: each literal file is answered with the place, what was expected, and the nearest valid name."""

from __future__ import annotations

import textwrap

import pytest

from parity.cli.selection import scenario_files
from parity.errors import SourceError
from parity.scenario.scenario import load_scenario
from parity.scenario.source import Source


@pytest.fixture
def complaint(tmp_path, monkeypatch):
    """What is said of a scenario file with this text."""
    monkeypatch.chdir(tmp_path)

    def say(text: str | bytes) -> str:
        from pathlib import Path

        path = Path("s.yaml")
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        with pytest.raises(SourceError) as caught:
            load_scenario(path)
        return str(caught.value)

    return say


MOMENT = (
    "at: expected a moment: a duration such as 2s, a range of them such as 1s..3s, "
    "or an event and its count such as `delivery 5..15`; found"
)
SECONDS = "expected a duration such as 250ms, 3s or 2m"
SECONDS_RANGE = f"{SECONDS}, or a range of them such as 1s..3s, found"

#: A step, and what is said of it: column and message.
STEPS = {
    "wrong kind": ("{kil: queue leader, at: 1s}", 6, "no kind of step is called 'kil'; did you mean 'kill'?"),
    "two kinds": ("{kill: database, stop: database}", 22, "a step has one kind, found kill and stop; write two steps"),
    "no mapping": ("kill", 5, "expected a step such as {kill: queue leader, at: 1s..3s}, found 'kill'"),
    "wrong way to deploy": (
        "{deploy: discovr, revision: two}",
        6,
        "deploy: expected one of discover, refresh, template, found 'discovr'; did you mean 'discover'?",
    ),
    "deploy of nothing": ("{deploy: refresh}", 5, "deploy needs `revision`"),
    "wrong target": ("{kill: queue leadr}", 6, "kill cannot aim at 'queue leadr'; did you mean 'queue leader'?"),
    "target of another kind": (
        "{exhaust_connections: any worker, for: 1s}",
        6,
        "exhaust_connections cannot aim at 'any worker'; expected one of database",
    ),
    "target that is none": (
        "{exhaust_connections: 3, for: 1s}",
        6,
        "exhaust_connections needs a target, found 3; expected one of database",
    ),
    "for missing": ("{pause: database, at: 1s}", 5, "pause needs `for`: how long until it is healed"),
    "for superfluous": ("{restart: database, for: 3s}", 25, "restart does not last: leave `for` out"),
    "attribute's name": ("{kill: database, lasts: 3s}", 22, "unknown key 'lasts'; expected one of "),
    "unknown key": ("{kill: database, fo: 3s}", 22, "unknown key 'fo'; did you mean 'for'?"),
    "parameter of another kind": ("{kill: database, percent: 3}", 22, "kill does not take `percent`"),
    "parameter missing": ("{lose: database, for: 3s}", 5, "lose needs `percent`"),
    "parameter out of bounds": (
        "{lose: database, for: 3s, percent: 1..101}",
        31,
        "percent: expected a share from 1 to 100",
    ),
    "bad moment": ("{kill: database, at: soon}", 26, f"{MOMENT} 'soon'"),
    "moment that is a list": ("{kill: database, at: [1s, 2s]}", 26, f"{MOMENT} a list"),
    "moment without a count": ("{kill: database, at: delivery}", 26, f"{MOMENT} 'delivery'"),
    "moment at infinity": ("{kill: database, at: .inf}", 26, f"{MOMENT} inf"),
    "moment counted from nought": (
        "{kill: database, at: delivery 0..3}",
        26,
        "at: events are counted from 1, found 'delivery 0..3'",
    ),
    "empty range of a moment": (
        "{kill: database, at: 3s..1s}",
        26,
        "at: the range in '3s..1s' is empty: its low end is above its high end",
    ),
    "empty range of an event": (
        "{kill: database, at: delivery 9..3}",
        26,
        "at: the range in 'delivery 9..3' is empty: its low end is above its high end",
    ),
    "at and after": (
        "{kill: database, at: 1s, after: 1s}",
        30,
        "`at` counts from the start, `after` from the step before: choose one",
    ),
    "bad duration": ("{kill: database, for: 3 days}", 27, f"for: {SECONDS_RANGE} '3 days'"),
    "bad range": (
        "{kill: database, times: 1..x}",
        29,
        "times: expected a whole number or a range such as 1..3, found '1..x'",
    ),
    "range as a mapping": (
        "{kill: database, times: {low: 1}}",
        29,
        "times: expected a whole number or a range such as 1..3, found a mapping",
    ),
    "empty range": (
        "{kill: database, times: 3..1}",
        29,
        "times: the range 3..1 is empty: its low end is above its high end",
    ),
    "choice without a choice": (
        "{kill: database, pick: 1}",
        22,
        "`pick` chooses among several; 'database' leaves no choice",
    ),
    "word that is none of a few": (
        "{isolate: any node, cut: node, for: 1s}",
        30,
        "cut: expected 'nodes', 'clients' or 'everything', found 'node'; did you mean 'nodes'?",
    ),
    "operand of a step without target": (
        "{submit: many}",
        6,
        "submit: expected a whole number or a range such as 1..3, found 'many'",
    ),
    "policy that is none": (
        "{set_policy: ha-all}",
        6,
        "set_policy needs the policy's definition as a mapping, found 'ha-all'",
    ),
    "operand under its parameter's name": ("{scale: 3, workers: 4}", 16, "scale does not take `workers`"),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_bad_step_is_said_once_with_its_place(complaint, name):
    step, column, message = STEPS[name]
    said = complaint(f"about: x\nsteps:\n  - {step}\n")
    assert "\n" not in said
    if message.endswith("one of "):
        assert said.startswith(f"s.yaml:3:{column}: {message}")
    else:
        assert said == f"s.yaml:3:{column}: {message}"


def test_a_step_without_a_kind_is_told_the_kinds(complaint):
    assert complaint("about: x\nsteps:\n  - {at: 1s}\n").startswith(
        "s.yaml:3:5: a step needs its kind; expected one of kill, stop, restart, "
    )


#: A scenario's text, and all that is said of it.
FILES = {
    "unknown key": ("about: x\nstep: []\n", "s.yaml:2:1: unknown key 'step'; did you mean 'steps'?"),
    "about missing": ("steps: []\n", "s.yaml:1:1: about is missing"),
    "nothing there": ("about:\n", "s.yaml:1:7: about: expected text, found nothing"),
    "list for a mapping": ("about: x\nworkload: [1]\n", "s.yaml:2:11: workload: expected a mapping, found a list"),
    "mapping for a list": (
        "about: x\nsteps: {kill: database}\n",
        "s.yaml:2:8: steps: expected a list, found a mapping",
    ),
    "unknown key deep down": (
        "about: x\nworkload: {job: 3}\n",
        "s.yaml:2:12: unknown key 'job'; did you mean 'jobs'?",
    ),
    "bound below": ("about: x\nworkload: {rate: -1}\n", "s.yaml:2:18: rate: expected at least 0, found -1"),
    "bound above": ("about: x\nworkload: {producers: 11}\n", "s.yaml:2:23: producers: expected at most 10, found 11"),
    "no stacks": ("about: x\nstacks: []\n", "s.yaml:2:9: stacks: expected at least 1 of them, found 0"),
    "bad duration": ("about: x\ndrain: soon\n", f"s.yaml:2:8: drain: {SECONDS}, found 'soon'"),
    "unending duration": ("about: x\nheal: .inf\n", f"s.yaml:2:7: heal: {SECONDS}, found inf"),
    "negative duration": (
        "about: x\nheal: -3\n",
        "s.yaml:2:7: heal: expected a duration that is not negative, found -3",
    ),
    "name of the file's": (
        "about: x\nname: My Test\n",
        "s.yaml:2:7: name: expected small letters, digits and hyphens, found 'My Test'",
    ),
    "unknown property": (
        "about: x\nproperties: {no_jobs_lost: true}\n",
        "s.yaml:2:14: unknown key 'no_jobs_lost'; did you mean 'no_job_lost'?",
    ),
    "unknown property in expect": (
        "about: x\nstacks:\n  - {stack: s, expect: {violated: [no_job_lost, exactly_once]}}\n",
        "s.yaml:3:49: no property is called 'exactly_once'; did you mean 'effect_exactly_once'?",
    ),
    "expect that is a word": (
        "about: x\nstacks: [{stack: s, expect: violated}]\n",
        "s.yaml:2:29: expect: expected `holds` or `{violated: [property]}`, found 'violated'",
    ),
    "expect what is not claimed": (
        "about: x\nproperties: {no_job_lost: false}\nstacks: [{stack: s, expect: {violated: [no_job_lost]}}]\n",
        "s.yaml:3:21: no_job_lost cannot be violated: `properties` leave it out",
    ),
    "first step after nothing": (
        "about: x\nsteps: [{kill: database, after: 1s}]\n",
        "s.yaml:2:26: the first step follows no other: give it `at`",
    ),
    "setting that is a list": (
        "about: x\nsettings: {heartbeat: [1]}\n",
        "s.yaml:2:23: heartbeat: expected text or a number, as the application reads it, found a list",
    ),
    "setting that is a yes": (
        "about: x\nsettings: {idempotent: no}\n",
        "s.yaml:2:24: idempotent: expected text or a number, as the application reads it, found false",
    ),
    "key twice": ("about: x\nabout: y\n", "s.yaml:2:1: the key 'about' stands here a second time"),
    "key twice deep down": (
        "about: x\nsteps:\n  - {kill: database, kill: producer}\n",
        "s.yaml:3:22: the key 'kill' stands here a second time",
    ),
    "not a mapping": ("- about: x\n", "s.yaml:1:1: expected a mapping, found a list"),
    "empty": ("", "s.yaml: the file is empty"),
    "only a comment": ("# later\n", "s.yaml: the file is empty"),
    "not YAML": ("about: x: y\n", "s.yaml:1:9: not YAML: mapping values are not allowed here"),
    "two documents": ("about: x\n---\nabout: y\n", "s.yaml:2:1: not YAML: but found another document"),
    "forbidden character": ("about: x\nname: a\0b\n", "s.yaml:2:8: not YAML: the character '\\x00' is not allowed"),
    "date that is none": ("about: 2024-13-45\n", "s.yaml: not YAML: month must be in 1..12"),
    "anchor in itself": ("about: &a [*a]\n", "s.yaml:1:8: about: expected text, found a list"),
    "nested without end": ("[" * 5000, "s.yaml: not YAML that can be read: nested too deeply"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_answered_with_place_and_reason(complaint, name):
    text, message = FILES[name]
    assert complaint(text) == message


def test_a_file_that_is_not_utf8_is_told_the_byte(complaint):
    assert complaint("about: x\nname: caf\u00e9\n".encode("latin-1")) == (
        "s.yaml:2:10: not UTF-8: the byte 0xe9 cannot stand here"
    )


def test_everything_that_is_wrong_is_listed_by_line_and_once(complaint):
    said = complaint(
        """\
        abut: x
        stacks:
          - {stack: s, suit: all}
        steps:
          - {pause: any worker, at: delivery 9..3}
          - {pause: any worker, at: sometime, for: .nan}
        heal: soon
        """
    )
    assert said.splitlines() == [
        "s.yaml:1:1: about is missing",
        "s.yaml:1:1: unknown key 'abut'; did you mean 'about'?",
        "s.yaml:3:16: unknown key 'suit'; did you mean 'suite'?",
        "s.yaml:5:29: at: the range in 'delivery 9..3' is empty: its low end is above its high end",
        f"s.yaml:6:29: {MOMENT} 'sometime'",
        f"s.yaml:6:44: for: {SECONDS_RANGE} nan",
        f"s.yaml:7:7: heal: {SECONDS}, found 'soon'",
    ]


def test_a_fault_in_what_an_anchor_brought_is_placed_where_it_is_used(complaint):
    said = complaint("about: x\nsteps:\n  - &step {kill: database, at: 1s}\n  - {<<: *step, fo: 2s}\n")
    assert said == "s.yaml:4:17: unknown key 'fo'; did you mean 'for'?"


def test_what_an_alias_or_a_merge_key_brings_stands_where_its_anchor_is():
    text = "a: &a\n  x: 1\nb: &b\n  y: 2\nc: {<<: [*a, *b], z: 3}\nd: *a\ne: {<<: {x: 4}}\n"
    document = Source(text, file="f.yaml")
    places = [("c", "x"), ("c", "y"), ("c", "z"), ("d", "x"), ("e", "x")]
    assert [document.position(place) for place in places] == [(2, 6), (4, 6), (5, 22), (2, 6), (7, 13)]
    assert not document.has(("c", "w"))
    assert document.position(("c", "w")) == (5, 1)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.yaml: cannot be read: No such file or directory"):
        load_scenario(tmp_path / "gone.yaml")


class TestNotFound:
    def test_a_scenario_that_is_not_there_is_told_the_nearest(self, tmp_path):
        (tmp_path / "scenarios").mkdir()
        for name in ("worker-killed", "queue-leader-killed"):
            (tmp_path / "scenarios" / f"{name}.yaml").write_text("about: x\n")
        with pytest.raises(SourceError) as caught:
            scenario_files(["worker-kiled"], tmp_path)
        assert str(caught.value) == "worker-kiled: no such scenario; did you mean 'worker-killed'?"

    def test_a_name_is_the_file_in_the_scenarios_folder(self, tmp_path):
        (tmp_path / "scenarios").mkdir()
        path = tmp_path / "scenarios" / "a.yaml"
        path.touch()
        assert scenario_files(["a"], tmp_path) == scenario_files([str(path)], tmp_path) == [path]
