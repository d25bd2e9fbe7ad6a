"""Stacks as files: compose file, x-parity section, overlays; what is wrong with them is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from parity.errors import SourceError
from parity.run.fits import check_fits
from parity.scenario.scenario import Scenario, read_scenario
from parity.scenario.source import Source
from parity.stack.compose import merged_services
from parity.stack.description import StackFiles, load_stack
from parity.stack.stack import blueprint

ROOT = Path(__file__).parents[2]

STACK = """\
services:
  rabbit: {image: r}
  postgres: {image: p}
  producer: {image: a}
  worker: {image: a}
x-parity:
  version: 1
  broker: {kind: rabbitmq, services: [rabbit], user: u, password: p}
  database: {kind: postgresql, service: postgres, user: u, password: p}
  worker: {service: worker}
  submit: {service: producer}
  queues: {work: [jobs]}
  effects: {sql: SELECT 1}
  log: {delivery: "got (?P<job>.+)", points: {committed: "done (?P<job>.+)"}}
  settings:
    heartbeat: {service: [producer, worker], environment: H, type: duration, unit: seconds}
    prefetch: {service: worker, environment: P, type: integer}
    pace: {service: worker, environment: W, type: duration_range}
    mode: {service: worker, environment: M}
  kinds: [poison]
"""


@pytest.fixture
def stack(tmp_path):
    """Writes a stack of these files below a root and loads it."""

    def load(base: str = STACK, *, overlay: str = "", name: str = "compose/one") -> StackFiles:
        folder = tmp_path / "compose" / "one"
        (folder / "overlays").mkdir(parents=True, exist_ok=True)
        (folder / "compose.yaml").write_text(base)
        if overlay:
            (folder / "overlays" / "over.yaml").write_text(overlay)
        return load_stack(name, root=tmp_path)

    return load


@pytest.fixture
def complaint(stack):
    """What is said of a stack, its files' folder left out."""

    def say(*arguments: str, **more: str) -> str:
        with pytest.raises(SourceError) as caught:
            stack(*arguments, **more)
        return str(caught.value).replace("compose/one/", "")

    return say


def with_line(number: int, line: str) -> str:
    """The stack with one of its lines replaced."""
    lines = STACK.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


def test_a_good_stack_is_read(stack):
    files = stack()
    assert files.services == ("rabbit", "postgres", "producer", "worker")
    assert files.description.settings["heartbeat"].services == ("producer", "worker")
    assert files.description.settings["mode"].services == ("worker",)
    assert [path.name for path in files.compose_files] == ["compose.yaml"]


def test_an_overlay_changes_what_it_states_and_nothing_else(stack):
    files = stack(
        overlay="services: {worker: {environment: {A: b}}}\nx-parity: {worker: {count: 7}}\n", name="compose/one+over"
    )
    assert files.description.worker.count == 7
    assert files.description.worker.service == "worker"
    assert [path.name for path in files.compose_files] == ["compose.yaml", "over.yaml"]


#: What stands on a line of the stack, and what is said.
LINES = {
    "version": (7, "  version: 2", "compose.yaml:7:12: version: expected 1, found 2"),
    "unknown kind of broker": (
        8,
        "  broker: {kind: rabitmq, services: [rabbit], user: u, password: p}",
        "compose.yaml:8:18: kind: expected 'rabbitmq', found 'rabitmq'; did you mean 'rabbitmq'?",
    ),
    "no nodes": (
        8,
        "  broker: {kind: rabbitmq, services: [], user: u, password: p}",
        "compose.yaml:8:38: services: expected at least 1 of them, found 0",
    ),
    "missing": (
        8,
        "  broker: {kind: rabbitmq, services: [rabbit], user: u}",
        "compose.yaml:8:3: password is missing",
    ),
    "port that is none": (
        8,
        "  broker: {kind: rabbitmq, services: [rabbit], user: u, password: p, amqp_port: amqp}",
        "compose.yaml:8:81: amqp_port: expected a whole number, found 'amqp'",
    ),
    "unknown node": (
        8,
        "  broker: {kind: rabbitmq, services: [rabbit, rabit], user: u, password: p}",
        "compose.yaml:8:47: no service 'rabit' in the compose file; did you mean 'rabbit'?",
    ),
    "schema that is not there": (
        9,
        "  database: {kind: postgresql, service: postgres, user: u, password: p, schema: s.sql}",
        "compose.yaml:9:81: no such file: s.sql",
    ),
    "unknown worker": (
        10,
        "  worker: {service: wroker}",
        "compose.yaml:10:21: no service 'wroker' in the compose file; did you mean 'worker'?",
    ),
    "unknown key": (
        10,
        "  worker: {service: worker, counts: 3}",
        "compose.yaml:10:29: unknown key 'counts'; did you mean 'count'?",
    ),
    "no way to submit": (
        11,
        "  submit: {}",
        "compose.yaml:11:11: submit: give either `service` (a command that submits) or `body` (a message to publish)",
    ),
    "two ways to submit": (
        11,
        "  submit: {service: producer, body: x}",
        "compose.yaml:11:11: submit: give either `service` (a command that submits) or `body` (a message to publish)",
    ),
    "way to submit that nothing reads": (
        11,
        "  submit: {service: producer, command: x}",
        "compose.yaml:11:31: unknown key 'command'; expected one of service, body, exchange, routing_key, patience",
    ),
    "text for a list": (12, "  queues: {work: jobs}", "compose.yaml:12:18: work: expected a list, found 'jobs'"),
    "identity without a group": (
        12,
        "  queues: {work: [jobs], job_id: 'id=.*'}",
        "compose.yaml:12:34: job_id: the pattern 'id=.*' needs a group named job: (?P<job>...)",
    ),
    "section left empty": (13, "  effects:", "compose.yaml:13:11: effects: expected a mapping, found nothing"),
    "pattern that is none": (
        14,
        "  log: {delivery: '(?P<job>'}",
        "compose.yaml:14:19: delivery: not a regular expression: missing ), unterminated subpattern at position 0",
    ),
    "pattern without a group": (
        14,
        "  log: {points: {committed: 'done .*'}}",
        "compose.yaml:14:18: committed: the pattern 'done .*' needs a group named job: (?P<job>...)",
    ),
    "revision without a group": (
        14,
        "  log: {revision: 'revision .*'}",
        "compose.yaml:14:19: revision: the pattern 'revision .*' needs a group named revision: (?P<revision>...)",
    ),
    "deploy that does not say what": (
        14,
        "  deploy: {environment: R, command: [restart]}",
        "compose.yaml:14:37: command: the command must say {revision} somewhere",
    ),
    "point with the name of an event": (
        14,
        "  log: {points: {effect: '(?P<job>.)'}}",
        (
            "compose.yaml:14:18: 'effect' cannot name a point: "
            "expected a word, none of submit, submitted, delivery, effect"
        ),
    ),
    "unknown type of setting": (
        16,
        "    heartbeat: {service: worker, environment: H, type: durations}",
        (
            "compose.yaml:16:56: type: expected 'text', 'integer', 'duration', 'duration_range' or 'choice', "
            "found 'durations'; did you mean 'duration'?"
        ),
    ),
    "unknown key of a setting": (
        16,
        "    heartbeat: {service: worker, environment: H, typ: duration}",
        "compose.yaml:16:50: unknown key 'typ'; did you mean 'type'?",
    ),
    "setting of an unknown service": (
        16,
        "    heartbeat: {service: [producer, werker], environment: H}",
        "compose.yaml:16:37: no service 'werker' in the compose file; did you mean 'worker'?",
    ),
    "setting of no service": (
        16,
        "    heartbeat: {service: 3, environment: H}",
        "compose.yaml:16:26: service: expected a service or a list of services, found 3",
    ),
    "identity without its number": (
        20,
        "  job_id: job",
        "compose.yaml:20:11: job_id: the pattern 'job' must contain {number}",
    ),
    "identity of something else": (
        20,
        "  job_id: job-{number.name}",
        "compose.yaml:20:11: job_id: the pattern 'job-{number.name}' may use only {number}",
    ),
    "identity in two words": (
        20,
        "  job_id: job {number}",
        (
            "compose.yaml:20:11: job_id: the pattern 'job {number}' makes identities with spaces, "
            "which part a line's words"
        ),
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_is_said_once_with_its_place(complaint, name):
    number, line, message = LINES[name]
    assert complaint(with_line(number, line)) == message


def test_every_unknown_service_is_listed(complaint):
    text = STACK.replace("services: [rabbit]", "services: [rabit]").replace("service: producer", "service: producr")
    assert complaint(text).splitlines() == [
        "compose.yaml:8:39: no service 'rabit' in the compose file; did you mean 'rabbit'?",
        "compose.yaml:11:21: no service 'producr' in the compose file; did you mean 'producer'?",
    ]


BASES = {
    "no section": ("services: {a: {image: b}}\n", "the section x-parity is missing: it tells parity how to submit"),
    "section that is a list": ("services: {}\nx-parity: [1]\n", "2:11: x-parity: expected a mapping, found a list"),
    "services that are a list": ("services: [a]\n", "1:11: services: expected a mapping, found a list"),
    "service that is text": ("services: {a: b}\n", "1:15: a: expected a mapping, found 'b'"),
    "list": ("- a\n", "1:1: expected a compose file, a mapping with `services`; found a list"),
    "empty": ("", "compose.yaml: the file is empty"),
    "not YAML": ("a: b: c\n", "1:5: not YAML: mapping values are not allowed here"),
}


@pytest.mark.parametrize("name", BASES)
def test_a_file_that_is_no_compose_file_is_told_so(complaint, name):
    text, message = BASES[name]
    assert message in complaint(text)


class TestOverlays:
    def test_one_that_is_not_there_is_told_the_nearest(self, stack):
        with pytest.raises(SourceError) as caught:
            stack(overlay="services: {}\n", name="compose/one+ovr")
        assert str(caught.value) == "compose/one/overlays: no overlay 'ovr'; did you mean 'over'?"

    def test_what_is_wrong_in_it_is_placed_in_it(self, complaint):
        said = complaint(overlay="services: {}\nx-parity:\n  worker: {count: many}\n", name="compose/one+over")
        assert said == "overlays/over.yaml:3:19: count: expected a whole number, found 'many'"

    def test_what_is_wrong_below_it_is_placed_below(self, complaint):
        said = complaint(with_line(7, "  version: 2"), overlay="x-parity: {kinds: []}\n", name="compose/one+over")
        assert said == "compose.yaml:7:12: version: expected 1, found 2"

    def test_a_service_it_names_wrongly_is_found_there(self, complaint):
        said = complaint(overlay="x-parity:\n  worker: {service: wrker}\n", name="compose/one+over")
        assert said == "overlays/over.yaml:2:21: no service 'wrker' in the compose file; did you mean 'worker'?"

    def test_a_service_that_is_not_below_is_a_slip(self, complaint):
        said = complaint(overlay="services:\n  werker: {environment: {A: b}}\n", name="compose/one+over")
        assert said == "overlays/over.yaml:2:3: no service 'werker' to lay this over; did you mean 'worker'?"

    def test_a_whole_service_may_be_added(self, stack):
        files = stack(overlay="services: {more: {image: m}}\n", name="compose/one+over")
        assert "more" in files.services


class TestFolders:
    def test_an_unknown_folder_is_told_the_nearest_stack(self, stack):
        with pytest.raises(SourceError) as caught:
            stack(name="compose/on")
        assert str(caught.value) == "compose/on: no such folder; did you mean 'compose/one'?"

    def test_a_folder_without_a_compose_file_is_told_what_was_looked_for(self, stack):
        with pytest.raises(SourceError, match=r"compose: no compose file here, expected one of compose\.yaml, "):
            stack(name="compose")


def fit(files: StackFiles, text: str) -> str:
    """What is said of a scenario that is to run on a stack; empty where it fits."""
    document = Source(text, file="s.yaml")
    try:
        check_fits(read_scenario(document, name="s"), files, document=document)
    except SourceError as error:
        return str(error).replace(" (stack compose/one)", "")
    return ""


#: What a scenario asks of the stack above, and what is said.
MISFITS = {
    "unknown setting": ("settings: {hartbeat: 3}", "2:12: no setting 'hartbeat' here; did you mean 'heartbeat'?"),
    "unit on a number": ("settings: {heartbeat: 3s}", "2:12: heartbeat: expected a number of seconds, found '3s'"),
    "no whole number": ("settings: {prefetch: 1.5}", "2:12: prefetch: expected a whole number, found 1.5"),
    "no range": (
        "settings: {pace: 200ms..600ms}",
        "2:12: pace: expected a number of seconds, or a range such as 0.1..0.3, found '200ms..600ms'",
    ),
    "unknown kind of job": (
        "steps: [{submit: 3, of_kind: poisn, at: 1s}]",
        "2:21: no kind of job 'poisn' here; did you mean 'poison'?",
    ),
    "event that is not seen": (
        "steps: [{kill: database, at: comitted 5}]",
        "2:26: no event 'comitted' is seen here; did you mean 'committed'?",
    ),
    "nothing says how to deploy": (
        "group: {}\nsteps: [{deploy: discover, revision: two, at: 1s}]",
        "3:10: nothing says how to deploy here: x-parity needs `deploy` and `log.revision`",
    ),
    "nothing is archived": (
        "group: {}\nproperties: {logs_archived: 1s}",
        "3:14: nobody knows where logs are archived: x-parity has no `log.archive`",
    ),
    "partition of one node": (
        "steps: [{partition: every node, shape: halves, at: 1s, for: 1s}]",
        "2:10: partition needs 2 broker nodes, found 1",
    ),
    "follower of one node": ("steps: [{kill: queue follower}]", "2:10: queue follower needs 2 broker nodes, found 1"),
}
FITTING = (
    "settings: {heartbeat: 3, prefetch: 5, pace: 0.1..0.2, mode: any, }",
    "settings: {pace: 0}",
    "steps: [{submit: 3, of_kind: poison, at: 1s}]",
    *(f"steps: [{{kill: any worker, at: {event} 5}}]" for event in ("submit", "submitted", "delivery", "effect")),
    "steps: [{kill: worker holding a job, at: committed 5..9}]",
)


class TestFits:
    @pytest.mark.parametrize("name", MISFITS)
    def test_what_the_stack_has_not_is_said_with_the_scenarios_line(self, stack, name):
        text, message = MISFITS[name]
        assert fit(stack(), f"about: x\n{text}\n") == f"s.yaml:{message}"

    @pytest.mark.parametrize("text", FITTING)
    def test_what_the_stack_has_is_no_error(self, stack, text):
        assert fit(stack(), f"about: x\n{text}\n") == ""

    @pytest.mark.parametrize("target", ["worker holding a job", "any worker"])
    def test_deliveries_that_are_not_seen_cannot_be_waited_for(self, stack, target):
        files = stack(with_line(14, "  log: {}"))
        said = fit(files, f"about: x\nsteps: [{{kill: {target}, at: delivery 5}}]\n").splitlines()
        assert "s.yaml:2:" in said[-1]
        assert said[-1].endswith("no event 'delivery' is seen here; expected one of submit, submitted, effect")
        assert (len(said) == 2) == (target == "worker holding a job"), said

    def test_a_stack_without_a_producer_has_none_to_break(self, stack):
        files = stack(with_line(11, '  submit: {body: "{job}"}'))
        assert "there is no producer" in fit(files, "about: x\nsteps: [{kill: producer, at: 1s}]\n")

    def test_an_archive_is_out_of_reach_without_the_aws_api(self, stack):
        files = stack(with_line(14, "  log: {archive: logs}"))
        said = fit(files, "about: x\ngroup: {}\nproperties: {logs_archived: 1s}\n")
        assert said == "s.yaml:3:14: instances have no S3 to bring logs to: x-parity has no `worker.aws`"

    @pytest.mark.parametrize(
        ("overlay", "settings", "said"),
        [
            ("logs-at-termination", "{}", "1:1: log_shipping is terminate"),
            ("logs-streamed", "{}", "1:1: log_shipping is stream"),
            ("drains-in-the-hook", "{}", "1:1: on_terminate is drain"),
            ("completes-the-hook-at-once", "{on_terminate: drain}", "2:12: on_terminate is drain"),
            ("logs-streamed", "{log_shipping: none}", ""),
            ("drains-in-the-hook", "{on_terminate: ignore}", ""),
            ("brief-grace", "{}", ""),
        ],
    )
    def test_an_agent_that_takes_the_aws_api_needs_a_group(self, overlay, settings, said):
        files = load_stack(f"compose/rabbitmq+{overlay}", root=ROOT)
        text = f"about: x\nsettings: {settings}\n"
        assert fit(files, text).startswith(f"s.yaml:{said}" if said else "")
        assert bool(fit(files, text)) == bool(said)
        assert not fit(files, f"{text}group: {{}}\n")

    def test_an_agent_without_a_group_is_told_the_ways_out(self):
        name = "compose/rabbitmq+logs-at-termination"
        scenario = Scenario(name="mine", about="x")
        with pytest.raises(SourceError) as caught:
            check_fits(scenario, load_stack(name, root=ROOT))
        assert str(caught.value) == (
            "the scenario mine: log_shipping is terminate, which takes the AWS API (`worker.aws`), and only instances "
            "of an Auto Scaling group have that: give the scenario a `group`, set log_shipping to none, or take a "
            f"stack without the agent (stack {name})"
        )

    def test_what_workers_do_that_no_model_knows_is_not_guessed(self, stack):
        files = stack(STACK.replace("worker: {service: worker", "worker: {aws: true, service: worker"))
        assert files.description.worker.aws
        assert not fit(files, "about: x\n")

    def test_every_misfit_is_listed(self, stack):
        said = fit(stack(), "about: x\nsettings: {a: 1, b: 2}\nsteps: [{kill: database, at: lunch 3}]\n")
        assert [line.split(": ")[0] for line in said.splitlines()] == ["s.yaml:2:12", "s.yaml:2:18", "s.yaml:3:26"]

    def test_a_scenario_that_came_from_no_file_is_named(self, stack):
        scenario = Scenario.model_validate({"name": "mine", "about": "x", "settings": {"a": 1}})
        with pytest.raises(SourceError, match=r"^the scenario mine: no setting 'a' here.*\(stack compose/one\)$"):
            check_fits(scenario, stack())


class TestMerged:
    """The compose tool's own merging, which needs no engine."""

    def test_the_reference_stack_and_its_overlays_merge(self):
        for overlay in ("", *(f"+{path.stem}" for path in (ROOT / "compose/rabbitmq/overlays").glob("*.yaml"))):
            plan = blueprint(load_stack(f"compose/rabbitmq{overlay}", root=ROOT))
            assert plan.application == {"worker", "producer"}
            assert {"rabbit1", "rabbit2", "rabbit3", "postgres"} <= plan.backing.keys()

    def test_what_the_compose_tool_refuses_carries_its_words(self, stack):
        files = stack(STACK.replace("worker: {image: a}", "worker: {image: a, imag: b}"))
        with pytest.raises(SourceError, match=r"compose\.yaml: the compose tool refuses it:\n(?s:.*)imag"):
            blueprint(files)

    def test_what_a_container_of_its_own_cannot_follow_is_said_before_anything_starts(self, stack):
        files = stack(STACK.replace("worker: {image: a}", "worker: {image: a, pid: host}"))
        with pytest.raises(SourceError, match="the service worker states `pid`, which parity cannot follow"):
            blueprint(files)

    def test_a_service_without_an_image_is_named(self, stack):
        files = stack(STACK.replace("worker: {image: a}", "worker: {build: .}"))
        with pytest.raises(SourceError, match="the service worker names no image"):
            blueprint(files)

    def test_a_service_of_a_profile_that_nobody_asked_for_stays_out(self, stack):
        files = stack(STACK.replace("  worker: {image: a}", "  worker: {image: a}\n  x: {image: a, profiles: [debug]}"))
        assert "x" not in merged_services(files)


def test_the_literal_stack_is_what_the_tests_take_it_for():
    assert set(yaml.safe_load(STACK)) == {"services", "x-parity"}
