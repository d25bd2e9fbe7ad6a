"""Which model settings stand for a stack, read from its files alone; and what is said where they cannot be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from parity.errors import ModelError, SourceError
from parity.model.names import flat
from parity.model.settings import ModelSettings
from parity.scenario.scenario import Scenario, read_scenario
from parity.scenario.source import Source
from parity.stack.description import StackFiles, load_stack
from parity.stack.modelled import model_settings, searchable
from parity.stack.shown import facts
from parity.stack.written import Sources

ROOT = Path(__file__).parents[2]
REFERENCE = "compose/rabbitmq"

#: The reference stack, where it differs from the defaults of the real things.
REFERENCE_DIFFERS = {
    "poison": ("poison",),
    "crash": ("crash",),
    "broker.queue_type": "quorum",
    "broker.partition_handling": "pause_minority",
    "broker.net_ticktime": 8.0,
    "broker.delivery_limit": 20,
    "broker.dead_letter": True,
    "producer.heartbeat": 10.0,
    "worker.prefetch": 5,
    "worker.heartbeat": 10.0,
    "worker.stop_grace": 20.0,
    "database.max_connections": 40,
    "database.reserved_connections": 2,
}

#: Each overlay, where it differs from the reference stack.
OVERLAYS: dict[str, dict[str, Any]] = {
    "acknowledges-at-the-door": {"worker.on_stop": "acknowledge"},
    "acknowledges-what-it-cannot-commit": {"worker.on_commit_error": "acknowledge"},
    "acknowledgement-before-commit": {"worker.acknowledge": "before-commit", "worker.acknowledge_delay": 0.1},
    "automatic-acknowledgement": {"worker.acknowledge": "automatic"},
    "balanced": {},
    "classic-autoheal": {"broker.queue_type": "classic", "broker.partition_handling": "autoheal"},
    "boots-what-the-template-says": {},
    "classic-ignore": {"broker.queue_type": "classic", "broker.partition_handling": "ignore"},
    "classic-queue": {"broker.queue_type": "classic"},
    "commits-not-synchronous": {"database.synchronous_commit": False},
    "drops-what-fails": {"worker.on_failure": "acknowledge"},
    "deployed-from-git": {"worker.boots_with": "deployed"},
    "few-connections": {"database.max_connections": 12},
    "full-queue-drops-its-head": {"broker.max_length": 20, "broker.dead_letter": False},
    "late-confirms-are-refusals": {"producer.on_timeout": "fail", "producer.confirm_timeout": 2.0},
    "logs-at-termination": {"worker.log_shipping": "terminate"},
    "logs-streamed": {"worker.log_shipping": "stream"},
    "lost-connections-are-confirms": {"producer.on_connection_lost": "ok"},
    "messages-expire": {"broker.message_ttl": 3.0, "broker.dead_letter": False},
    "no-confirms": {"producer.ok_when": "written"},
    "non-idempotent-worker": {"worker.deduplicate": "none", "worker.acknowledge_delay": 0.1},
    "quorum-autoheal": {"broker.partition_handling": "autoheal"},
    "quorum-ignore": {"broker.partition_handling": "ignore"},
    "transient-messages": {"broker.queue_type": "classic", "producer.persistent": False},
}


def settings_of(stack: str, scenario: Scenario | None = None) -> dict[str, Any]:
    return flat(model_settings(load_stack(stack, root=ROOT), scenario))


def differing(these: dict[str, Any], those: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in these.items() if value != those[name]}


class TestTheReferenceStack:
    def test_it_is_what_its_files_say(self):
        assert differing(settings_of(REFERENCE), flat(ModelSettings())) == REFERENCE_DIFFERS

    def test_every_overlay_is_in_the_table(self):
        assert {path.stem for path in (ROOT / REFERENCE / "overlays").glob("*.yaml")} == set(OVERLAYS)

    @pytest.mark.parametrize("overlay", OVERLAYS)
    def test_an_overlay_changes_the_models_by_what_it_changes_in_the_stack(self, overlay):
        assert differing(settings_of(f"{REFERENCE}+{overlay}"), settings_of(REFERENCE)) == OVERLAYS[overlay]

    def test_a_scenario_wins_over_the_overlay(self):
        turned = {"acknowledge": "after-commit", "job_duration": "0.2..0.3", "heartbeat": 4, "confirm_timeout": 60}
        scenario = Scenario.model_validate({"name": "s", "about": "x", "settings": turned})
        assert differing(settings_of(f"{REFERENCE}+automatic-acknowledgement", scenario), settings_of(REFERENCE)) == {
            "worker.job_duration": (0.2, 0.3),
            "producer.heartbeat": 4.0,
            "worker.heartbeat": 4.0,
            "producer.confirm_timeout": 60.0,
        }

    def test_what_a_search_may_try_begins_with_the_stacks_own_value(self):
        values = searchable(load_stack(f"{REFERENCE}+acknowledgement-before-commit", root=ROOT))
        assert values["acknowledge_delay"] == ["0.1", "0.4"]
        assert values["heartbeat"] == ["10", "2", "60"]
        assert values["confirm_timeout"] == ["15", "60"]
        assert values["acknowledge"] == ["before-commit"]


#: Three nodes, one anchor; the producer and the worker share a variable.
STACK = """\
x-node: &node
  image: r
  environment: {RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 2:2 -kernel net_ticktime 8"}
  volumes: [./one.conf:/etc/rabbitmq/rabbitmq.conf:ro]
services:
  rabbit1: *node
  rabbit2: {<<: *node, hostname: rabbit2}
  database: {image: p, command: postgres -c max_connections=40}
  producer: {image: a, environment: {HEARTBEAT: "10"}}
  worker:
    image: a
    environment: [HEARTBEAT=10, ONCE=1, PACE=0.1..0.2]
    stop_grace_period: 1m30s
x-parity:
  version: 1
  broker: {kind: rabbitmq, services: [rabbit1, rabbit2], user: u, password: p}
  database: {kind: postgresql, service: database, user: u, password: p}
  worker: {service: worker, count: 2}
  submit: {service: producer}
  queues: {work: [jobs], dead_letter: [dead]}
  effects: {sql: SELECT 1}
  kinds: [poison, crash, huge]
  settings:
    heartbeat:
      service: [producer, worker]
      environment: HEARTBEAT
      type: duration
      model: [producer.heartbeat, worker.heartbeat]
    once:
      {service: worker, environment: ONCE, type: choice, means: {1: transaction, 0: none}, model: worker.deduplicate}
    pace: {service: worker, environment: PACE, type: duration_range, model: worker.job_duration}
    patience:
      {service: producer, environment: PATIENCE, type: duration, unit: milliseconds, model: producer.confirm_timeout}
    colour: {service: worker, environment: COLOUR, model: []}
    shape: {service: worker, environment: SHAPE}
  model:
    poison: [poison]
    broker: {queue_type: quorum}
    producer: {ok_when: confirmed, confirm_timeout: 20s}
    worker: {acknowledge: after-commit}
"""
CONF = "# How it parts.\ncluster_partition_handling = autoheal\nconsumer_timeout = 60000   # a minute\n"
OTHER_FILES = {
    "all-down.conf": "cluster_partition_handling = pause_if_all_down\n",
    "parted.config": "[{rabbit,\n  [{cluster_partition_handling,\n    ignore}]}].\n",
}


@pytest.fixture
def stack(tmp_path):
    """Writes the stack with some of its text replaced, and other files beside it, and loads it."""

    def load(*replaced: tuple[str, str], overlay: str = "", **files: str) -> StackFiles:
        folder = tmp_path / "compose" / "one"
        (folder / "overlays").mkdir(parents=True, exist_ok=True)
        text = STACK
        for old, new in replaced:
            assert old in text, old
            text = text.replace(old, new)
        named = (
            OTHER_FILES
            | {"one.conf": CONF, "compose.yaml": text}
            | {name.replace("_", "."): told for name, told in files.items()}
        )
        for name, told in named.items():
            (folder / name).write_text(told)
        if overlay:
            (folder / "overlays" / "over.yaml").write_text(overlay)
        return load_stack(f"compose/one{'+over' if overlay else ''}", root=tmp_path)

    return load


@pytest.fixture
def read(stack):
    """The model settings of the stack, where they differ from the defaults."""
    return lambda *replaced, **files: differing(flat(model_settings(stack(*replaced, **files))), flat(ModelSettings()))


@pytest.fixture
def complaint(stack):
    """What is said of the stack or its models, their folder left out."""

    def say(*replaced: tuple[str, str], **files: str) -> str:
        with pytest.raises(SourceError) as caught:
            model_settings(stack(*replaced, **files))
        return str(caught.value).replace("compose/one/", "")

    return say


ONE = {
    "nodes": 2,
    "workers": 2,
    "poison": ("poison",),
    "broker.queue_type": "quorum",
    "broker.partition_handling": "autoheal",
    "broker.net_ticktime": 8.0,
    "broker.consumer_timeout": 60.0,
    "broker.dead_letter": True,
    "producer.confirm_timeout": 20.0,
    "producer.heartbeat": 10.0,
    "worker.job_duration": (0.1, 0.2),
    "worker.heartbeat": 10.0,
    "worker.stop_grace": 90.0,
    "database.max_connections": 40,
}
NODE_FILES = "volumes: [./one.conf:/etc/rabbitmq/rabbitmq.conf:ro"


class TestWhatIsRead:
    def test_environment_configuration_command_and_model(self, read):
        assert read() == ONE

    def test_what_nothing_says_is_as_in_the_real_thing(self, read):
        changed = read(
            ("  volumes: [./one.conf:/etc/rabbitmq/rabbitmq.conf:ro]\n", ""),
            ("+S 2:2 -kernel net_ticktime 8", "+S 2:2"),
            (", command: postgres -c max_connections=40", ""),
            ("    stop_grace_period: 1m30s\n", ""),
        )
        left = {"broker.partition_handling", "broker.net_ticktime", "broker.consumer_timeout"}
        assert set(ONE) - set(changed) == left | {"worker.stop_grace", "database.max_connections"}

    @pytest.mark.parametrize(
        ("mounted", "files"),
        [
            (f"{NODE_FILES}, ./more.conf:/etc/rabbitmq/conf.d/20-more.conf]", {"more_conf": "net_ticktime = 20\n"}),
            (
                f"{NODE_FILES}, ./a.config:/etc/rabbitmq/advanced.config]",
                {"a_config": "[{kernel, [{net_ticktime, 20}]}].\n"},
            ),
            ("volumes: [.:/etc/rabbitmq]", {"rabbitmq_conf": f"{CONF}net_ticktime = 20\n"}),
            (
                "volumes: [{type: bind, source: ./other.conf, target: /etc/rabbitmq/rabbitmq.conf}]",
                {"other_conf": f"{CONF}net_ticktime = 20\n"},
            ),
        ],
        ids=["conf.d", "advanced", "folder", "long"],
    )
    def test_each_place_where_a_node_is_configured(self, read, mounted, files):
        changed = read((f"{NODE_FILES}]", mounted), (" -kernel net_ticktime 8", ""), **files)
        assert changed == ONE | {"broker.net_ticktime": 20.0}

    def test_a_configuration_file_that_is_named_is_the_one_that_is_read(self, read):
        named = read(
            ("/etc/rabbitmq/rabbitmq.conf", "/x/own.conf"), ("{RABBITMQ_S", "{RABBITMQ_CONFIG_FILE: /x/own, RABBITMQ_S")
        )
        assert named == ONE

    def test_the_acknowledgements_bound_can_be_off(self, read):
        off = "[{rabbit, [{consumer_timeout, undefined}]}]. % {consumer_timeout, 1}\n"
        changed = read((f"{NODE_FILES}]", f"{NODE_FILES}, ./a.config:/etc/rabbitmq/advanced.config]"), a_config=off)
        assert changed["broker.consumer_timeout"] is None

    @pytest.mark.parametrize(
        "command",
        [
            "postgres -c max_connections=50 -c superuser_reserved_connections=2 -c synchronous_commit=off",
            "postgres -N 50 --superuser-reserved-connections=2 --synchronous_commit=off",
            "[postgres, -cmax_connections=50, -c, superuser_reserved_connections=2, -c, synchronous_commit=off]",
        ],
    )
    def test_each_way_of_telling_the_database(self, read, command):
        told = {"max_connections": 50, "reserved_connections": 2, "synchronous_commit": False}
        assert read(("postgres -c max_connections=40", command)) == ONE | {
            f"database.{name}": value for name, value in told.items()
        }

    @pytest.mark.parametrize(
        ("written", "heartbeat"),
        [("$PULSE", 7), ("${PULSE}", 7), ("${PULSE:-3}", 7), ("${NONE:-3}", 3), ("${NONE-3}", 3), ("${FILED}", 4)],
    )
    def test_variables_are_filled_in(self, read, monkeypatch, written, heartbeat):
        monkeypatch.setenv("PULSE", "7")
        text = ('{HEARTBEAT: "10"}', f'{{HEARTBEAT: "{written}"}}')
        assert read(text, _env="# x\nFILED=4\nPULSE=9\n").get("producer.heartbeat") == heartbeat

    def test_a_variable_without_a_value_is_the_users_own(self, read, monkeypatch):
        monkeypatch.setenv("HEARTBEAT", "5")
        assert read(('{HEARTBEAT: "10"}', "[HEARTBEAT]")) == ONE | {"producer.heartbeat": 5.0}

    def test_what_a_run_tells_the_application_wins_over_the_service(self, read):
        changed = read(("  kinds:", "  environment: {HEARTBEAT: '30'}\n  kinds:"))
        assert changed == ONE | {"producer.heartbeat": 30.0, "worker.heartbeat": 30.0}

    def test_an_overlay_in_the_other_form_replaces_the_defaults_of_the_application(self, read):
        over = "services:\n  producer: {environment: [PATIENCE=2500]}\n  worker: {environment: {ONCE: 0}}\n"
        assert read(overlay=over) == ONE | {"producer.confirm_timeout": 2.5, "worker.deduplicate": "none"}

    def test_an_overlay_states_more(self, read):
        assert read(overlay="x-parity: {model: {worker: {on_stop: abandon}}}\n") == ONE | {"worker.on_stop": "abandon"}

    def test_parity_publishes_by_itself_as_it_does(self, read):
        changed = read(
            ("submit: {service: producer}", "submit: {body: x, patience: 30s}"),
            ("producer: {ok_when: confirmed, confirm_timeout: 20s}", "producer: {}"),
            (" model: [producer.heartbeat, worker.heartbeat]", " model: worker.heartbeat"),
            (", unit: milliseconds, model: producer.confirm_timeout", ""),
        )
        expected = ONE | {"producer.confirm_timeout": 30.0, "producer.on_nack": "unknown", "producer.window": 1}
        assert changed == {name: value for name, value in expected.items() if name != "producer.heartbeat"}


#: What of the stack is replaced, and the whole of what is said.
COMPLAINTS: dict[str, tuple[list[tuple[str, str]], str]] = {
    "no section": (
        [(STACK[STACK.index("  model:\n") :], "")],
        (
            "compose.yaml:14:1: the models do not cover compose/one: x-parity has no section "
            "`model`. Add one with what neither a setting nor the compose file says, such as `model: "
            "{worker: {acknowledge: after-commit}}`"
        ),
    ),
    "several work queues": (
        [("work: [jobs]", "work: [jobs, more]")],
        ("compose.yaml:20:18: the models do not cover compose/one: they have one work queue, found 2"),
    ),
    "unknown section": (
        [("    worker: {ack", "    wroker: {ack")],
        "compose.yaml:40:5: unknown key 'wroker'; did you mean 'worker'?",
    ),
    "unknown model setting": (
        [("{acknowledge: after", "{acknowlege: after")],
        "compose.yaml:40:14: unknown key 'acknowlege'; did you mean 'acknowledge'?",
    ),
    "value that is none": (
        [("acknowledge: after-commit", "acknowledge: after-comit")],
        (
            "compose.yaml:40:27: acknowledge: expected 'after-commit', 'before-commit' or "
            "'automatic', found 'after-comit'; did you mean 'after-commit'?"
        ),
    ),
    "duration that is none": (
        [("confirm_timeout: 20s", "confirm_timeout: soon")],
        ("compose.yaml:39:53: confirm_timeout: expected a duration such as 250ms, 3s or 2m, found 'soon'"),
    ),
    "unknown kind": (
        [("poison: [poison]", "poison: [poisn]")],
        "compose.yaml:37:14: no kind of job 'poisn' here; did you mean 'poison'?",
    ),
    "setting for an unknown model setting": (
        [("model: worker.deduplicate", "model: worker.dedup")],
        ("compose.yaml:30:92: no model setting 'worker.dedup'; did you mean 'worker.deduplicate'?"),
    ),
    "setting for a field without its section": (
        [("model: worker.job_duration", "model: job_duration")],
        ("compose.yaml:31:70: no model setting 'job_duration'; did you mean 'worker.job_duration'?"),
    ),
    "setting for a field of two sections": (
        [("model: [producer.heartbeat, worker.heartbeat]", "model: heartbeat")],
        ("compose.yaml:28:7: no model setting 'heartbeat'; did you mean 'producer.heartbeat' or 'worker.heartbeat'?"),
    ),
    "one of several": (
        [("worker.heartbeat]", "worker.hartbeat]")],
        ("compose.yaml:28:35: no model setting 'worker.hartbeat'; did you mean 'worker.heartbeat'?"),
    ),
    "meaning that is none": (
        [("0: none}", "0: nothing}")],
        (
            "compose.yaml:30:82: means: worker.deduplicate: expected 'transaction', "
            "'check-then-write', 'memory' or 'none', found 'nothing'"
        ),
    ),
    "choice without texts": (
        [(", means: {1: transaction, 0: none}", "")],
        "compose.yaml:30:44: a choice needs `means`: the texts that the application reads",
    ),
    "meanings that are none": (
        [("{1: transaction, 0: none}", "1")],
        ("compose.yaml:30:65: means: expected texts and what they mean, or a list of texts; found 1"),
    ),
    "text that YAML reads as a truth": (
        [("{1: transaction, 0: none}", "{yes: transaction}")],
        ('compose.yaml:30:65: means: expected the text as the application reads it, found true: quote it, "..."'),
    ),
    "unit of no time": (
        [("unit: milliseconds", "unit: milisecond")],
        ("compose.yaml:33:66: unit: the models know no 'milisecond'; did you mean 'milliseconds'?"),
    ),
    "value to search that cannot be read": (
        [("model: worker.job_duration", "search: [0.1, 5s], model: worker.job_duration")],
        ("compose.yaml:31:84: search: expected a number of seconds, or a range such as 0.1..0.3, found '5s'"),
    ),
    "values to search that are none": (
        [("model: worker.job_duration", "search: 0.1, model: worker.job_duration")],
        ("compose.yaml:31:78: search: expected a list of values, as the application reads them; found 0.1"),
    ),
    "variable that cannot be read": (
        [('{HEARTBEAT: "10"}', "{HEARTBEAT: abc}")],
        ("compose.yaml:9:49: HEARTBEAT, which the setting heartbeat turns: expected a number of seconds, found 'abc'"),
    ),
    "variable in a list that cannot be read": (
        [("PACE=0.1..0.2", "PACE=quick")],
        (
            "compose.yaml:12:41: PACE, which the setting pace turns: expected a number of seconds, "
            "or a range such as 0.1..0.3, found 'quick'"
        ),
    ),
    "text without a meaning": (
        [("ONCE=1", "ONCE=true")],
        "compose.yaml:12:33: ONCE, which the setting once turns: expected 1 or 0, found 'true'",
    ),
    "value that the model does not take": (
        [("type: duration_range, model: worker.job_duration", "model: worker.prefetch")],
        (
            "compose.yaml:12:41: PACE, which the setting pace turns: worker.prefetch: expected a "
            "whole number, found '0.1..0.2'"
        ),
    ),
    "variable that is not set": (
        [("PACE=0.1..0.2", "OTHER=1")],
        (
            "compose.yaml:36:3: worker.job_duration is not said: PACE is not set in the environment "
            "of worker. State here what the application does without it"
        ),
    ),
    "what must be said": (
        [("broker: {queue_type: quorum}", "broker: {}"), ("acknowledge: after-commit", "")],
        (
            "compose.yaml:36:3: broker.queue_type is not said: state it here, or let a setting stand "
            "for it\n"
            "compose.yaml:36:3: worker.acknowledge is not said: state it here, or let a setting "
            "stand for it"
        ),
    ),
    "variable that cannot be filled in": (
        [('HEARTBEAT: "10"', 'HEARTBEAT: "${BEAT:?}"')],
        (
            "compose.yaml:9:49: cannot be filled in without the compose tool: '${BEAT:?}'; expected "
            "$NAME, ${NAME}, ${NAME-text} or ${NAME:-text}, and $$ for a dollar sign"
        ),
    ),
    "model against the environment": (
        [("acknowledge: after-commit", "acknowledge: after-commit, deduplicate: none")],
        (
            "compose.yaml:40:54: worker.deduplicate is none here, but ONCE makes it transaction "
            "(compose.yaml:12:33): take it out of `model`, or make the two agree"
        ),
    ),
    "model against the nodes": (
        [("poison: [poison]", "nodes: 3")],
        (
            "compose.yaml:37:12: nodes is 3 here, but `broker.services` makes it 2 "
            "(compose.yaml:16:38): take it out of `model`, or make the two agree"
        ),
    ),
    "model against the number of workers": (
        [("poison: [poison]", "workers: 5")],
        (
            "compose.yaml:37:14: workers is 5 here, but `worker.count` makes it 2 "
            "(compose.yaml:18:36): take it out of `model`, or make the two agree"
        ),
    ),
    "model against the dead letters": (
        [("{queue_type: quorum}", "{queue_type: quorum, dead_letter: false}")],
        (
            "compose.yaml:38:47: broker.dead_letter is false here, but `queues.dead_letter` makes it "
            "true (compose.yaml:20:39): take it out of `model`, or make the two agree"
        ),
    ),
    "model against the configuration": (
        [("{queue_type: quorum}", "{queue_type: quorum, partition_handling: ignore}")],
        (
            "compose.yaml:38:54: broker.partition_handling is ignore here, but "
            "cluster_partition_handling of rabbit1 makes it autoheal (one.conf:2:30): take it out of "
            "`model`, or make the two agree"
        ),
    ),
    "model against the arguments": (
        [("{queue_type: quorum}", "{queue_type: quorum, net_ticktime: 60s}")],
        (
            "compose.yaml:38:48: broker.net_ticktime is 60 here, but net_ticktime of rabbit1 makes "
            "it 8 (compose.yaml:3:54): take it out of `model`, or make the two agree"
        ),
    ),
    "model against the grace": (
        [("{acknowledge: after-commit}", "{acknowledge: after-commit, stop_grace: 20s}")],
        (
            "compose.yaml:40:53: worker.stop_grace is 20 here, but `stop_grace_period` of worker "
            "makes it 90 (compose.yaml:13:24): take it out of `model`, or make the two agree"
        ),
    ),
    "model against the grace that is not stated": (
        [
            ("{acknowledge: after-commit}", "{acknowledge: after-commit, stop_grace: 20s}"),
            ("    stop_grace_period: 1m30s\n", ""),
        ],
        (
            "compose.yaml:39:53: worker.stop_grace is 20 here, but `stop_grace_period` of worker, "
            "which is not stated, makes it 10 (compose.yaml:10:3): take it out of `model`, or make "
            "the two agree"
        ),
    ),
    "model against the command": (
        [("poison: [poison]", "database: {max_connections: 100}")],
        (
            "compose.yaml:37:33: database.max_connections is 100 here, but max_connections of "
            "database makes it 40 (compose.yaml:8:33): take it out of `model`, or make the two agree"
        ),
    ),
    "model against parity's own publishing": (
        [
            ("submit: {service: producer}", "submit: {body: x}"),
            ("confirm_timeout: 20s", "window: 50"),
            (", model: producer.confirm_timeout", ""),
            ("[producer.heartbeat, worker.heartbeat]", "worker.heartbeat"),
        ],
        (
            "compose.yaml:39:44: producer.window is 50 here, but parity's own publishing makes it 1 "
            "(compose.yaml:19:18): take it out of `model`, or make the two agree"
        ),
    ),
    "setting for what the files show": (
        [("model: worker.job_duration", "model: worker.stop_grace")],
        ("compose.yaml:31:77: pace cannot stand for worker.stop_grace: `stop_grace_period` of worker makes it 90"),
    ),
    "two settings for one": (
        [("model: worker.job_duration", "model: worker.heartbeat")],
        "compose.yaml:31:77: pace cannot stand for worker.heartbeat: the setting heartbeat does",
    ),
    "services told differently": (
        [
            ("model: [producer.heartbeat, worker.heartbeat]", "model: broker.net_ticktime"),
            (" -kernel net_ticktime 8", ""),
            ("HEARTBEAT=10", "HEARTBEAT=20"),
        ],
        (
            "compose.yaml:12:19: HEARTBEAT is one broker.net_ticktime to the models, but producer "
            "reads '10' (compose.yaml:9:49) and worker reads '20' (compose.yaml:12:19): make them "
            "agree"
        ),
    ),
    "only one service told": (
        [
            ("model: [producer.heartbeat, worker.heartbeat]", "model: broker.net_ticktime"),
            (" -kernel net_ticktime 8", ""),
            ("HEARTBEAT=10, ", ""),
        ],
        (
            "compose.yaml:9:49: HEARTBEAT is one broker.net_ticktime to the models, but producer "
            "reads '10' (compose.yaml:9:49) and worker is not told: make them agree"
        ),
    ),
    "configuration that is not there": ([("./one.conf", "./two.conf")], "compose.yaml:4:13: no such file: ./two.conf"),
    "nodes that differ": (
        [("hostname: rabbit2", "environment: {}")],
        (
            "compose.yaml:3:54: net_ticktime: rabbit1 has 8 and rabbit2 does not say; the models "
            "have one broker.net_ticktime for all nodes"
        ),
    ),
    "database that forgets": (
        [("max_connections=40", "fsync=off")],
        "compose.yaml:8:33: fsync=off: the models have a database that keeps what it committed",
    ),
    "database configured elsewhere": (
        [("max_connections=40", "config_file=/x")],
        (
            "compose.yaml:8:33: config_file: what it says is not seen by the models; set it in the "
            "command, `-c NAME=VALUE`"
        ),
    ),
    "connections that are none": (
        [("max_connections=40", "max_connections=many")],
        (
            "compose.yaml:8:33: max_connections of database, database.max_connections to the models: "
            "expected a whole number, found 'many'"
        ),
    ),
    "grace that is none": (
        [("stop_grace_period: 1m30s", "stop_grace_period: long")],
        ("compose.yaml:13:24: stop_grace_period: expected a duration such as 250ms, 3s or 2m, found 'long'"),
    ),
    "configuration from elsewhere": (
        [("  image: r\n", "  image: r\n  configs: [a]\n")],
        ("compose.yaml:3:12: what `configs` of rabbit1 says is not seen by the models: mount the files with `volumes`"),
    ),
    "variables from a file": (
        [(", PACE=0.1..0.2]", "]\n    env_file: a.env")],
        ("compose.yaml:13:15: what `env_file` of worker says is not seen by the models: state PACE in `environment`"),
    ),
    "way of parting that no model has": (
        [("./one.conf", "./all-down.conf")],
        (
            "all-down.conf:1:30: cluster_partition_handling of rabbit1, broker.partition_handling to "
            "the models: expected 'ignore', 'pause_minority' or 'autoheal', found 'pause_if_all_down'"
        ),
    ),
    "advanced configuration over several lines": (
        [("./one.conf:/etc/rabbitmq/rabbitmq.conf", "./parted.config:/etc/rabbitmq/advanced.config")],
        (
            "parted.config:2:5: cluster_partition_handling: expected {cluster_partition_handling, "
            "VALUE} in one line, found '[{cluster_partition_handling,'"
        ),
    ),
    "service that extends another": (
        [("{image: p, command", "{extends: {service: producer}, command")],
        ("compose.yaml:8:23: what `extends` of database says is not seen by the models: write the service out"),
    ),
}


@pytest.mark.parametrize("name", COMPLAINTS)
def test_what_cannot_be_modelled_is_said_with_its_place(complaint, name):
    replaced, message = COMPLAINTS[name]
    assert complaint(*replaced) == message


class TestOverlays:
    """What an overlay says is placed in the overlay, also what it says by an alias."""

    def test_a_variable_that_cannot_be_read(self, complaint):
        assert complaint(overlay="services:\n  worker:\n    environment: {PACE: slow}\n") == (
            "overlays/over.yaml:3:25: PACE, which the setting pace turns: "
            "expected a number of seconds, or a range such as 0.1..0.3, found 'slow'"
        )

    def test_a_model_that_contradicts_what_the_base_tells_the_application(self, complaint):
        assert complaint(overlay="x-parity:\n  model: {worker: {heartbeat: 3s}}\n") == (
            "overlays/over.yaml:2:31: worker.heartbeat is 3 here, but HEARTBEAT makes it 10 (compose.yaml:12:19): "
            "take it out of `model`, or make the two agree"
        )

    def test_a_configuration_that_contradicts_the_model_of_the_base(self, complaint):
        over = "services:\n  rabbit1: &a\n    volumes: [./two.conf:/etc/rabbitmq/rabbitmq.conf]\n  rabbit2: *a\n"
        stated = ("{queue_type: quorum}", "{queue_type: quorum, partition_handling: autoheal}")
        assert complaint(stated, overlay=over, two_conf="cluster_partition_handling = ignore") == (
            "compose.yaml:38:54: broker.partition_handling is autoheal here, but cluster_partition_handling of rabbit1 "
            "makes it ignore (two.conf:1:30): take it out of `model`, or make the two agree"
        )

    def test_a_file_that_is_not_there(self, complaint):
        over = "x-a: &a\n  volumes: [./none.conf:/etc/rabbitmq/rabbitmq.conf]\nservices: {rabbit1: {<<: *a}}\n"
        assert complaint(overlay=over) == "overlays/over.yaml:2:13: no such file: ./none.conf"


def turn(files: StackFiles, text: str) -> str:
    """What is said of a scenario on the stack, with its kind; empty where the models can run it."""
    document = Source(f"about: x\n{text}\n", file="s.yaml")
    try:
        model_settings(files, read_scenario(document, name="s"), document=document)
    except SourceError as error:
        return f"{type(error).__name__} {error}"
    return ""


SCENARIOS = {
    "unknown setting": (
        "settings: {pase: 3}",
        "SourceError s.yaml:2:12: no setting 'pase' here; did you mean 'pace'? (stack compose/one)",
    ),
    "value that cannot be read": (
        "settings: {pace: 3s}",
        (
            "SourceError s.yaml:2:12: pace: expected a number of seconds, or a range such as 0.1..0.3, found '3s' "
            "(stack compose/one)"
        ),
    ),
    "choice that is none": (
        "settings: {once: 11}",
        "SourceError s.yaml:2:12: once: expected 1 or 0, found 11; did you mean '1'? (stack compose/one)",
    ),
    "setting that says nothing to the models": (
        "settings: {shape: round}",
        (
            "ModelError s.yaml:2:12: the setting shape of compose/one says nothing to the models: give it "
            "`model: NAME` there, or `model: []` if they need not know"
        ),
    ),
    "kind that does nothing to the models": (
        "steps: [{submit: 3, of_kind: huge, at: 1s}]",
        (
            "ModelError s.yaml:2:21: the models do not know what jobs of the kind 'huge' do: name it in `poison` or "
            "`crash` in `model` of compose/one"
        ),
    ),
}


class TestScenarios:
    @pytest.mark.parametrize("name", SCENARIOS)
    def test_what_the_models_do_not_cover_is_said_with_the_scenarios_line(self, stack, name):
        text, message = SCENARIOS[name]
        assert turn(stack(), text) == message

    @pytest.mark.parametrize(
        "text",
        [
            "settings: {colour: red, pace: 0, once: 0, heartbeat: 3, patience: 100}",
            "steps: [{submit: 3, of_kind: poison, at: 1s}]",
        ],
    )
    def test_what_they_cover_is_no_error(self, stack, text):
        assert turn(stack(), text) == ""

    def test_one_that_came_from_no_file_is_named(self, stack):
        scenario = Scenario.model_validate({"name": "mine", "about": "x", "settings": {"shape": 1}})
        with pytest.raises(ModelError, match=r"^the scenario mine: the setting shape of compose/one says nothing"):
            model_settings(stack(), scenario)

    def test_what_the_stack_leaves_open_a_scenario_may_say(self, stack):
        files = stack((", PACE=0.1..0.2", ""))
        assert turn(files, "") == (
            "ModelError compose/one/compose.yaml:36:3: worker.job_duration is not said: PACE is not set in the "
            "environment of worker. State here what the application does without it"
        )
        assert turn(files, "settings: {pace: 1}") == ""

    def test_a_unit_is_reckoned_in_seconds(self, stack):
        scenario = Scenario.model_validate({"name": "s", "about": "x", "settings": {"patience": 1500}})
        assert model_settings(stack(), scenario).producer.confirm_timeout == 1.5


class TestSearchable:
    def test_values_that_mean_the_same_are_not_tried_twice(self, stack):
        files = stack(("model: worker.job_duration", "search: [0.10..0.2, 0.3], model: worker.job_duration"))
        assert searchable(files) == {
            "heartbeat": ["10"],
            "once": ["1"],
            "pace": ["0.1..0.2", "0.3"],
            "patience": ["20000"],
        }

    def test_a_stack_that_the_models_do_not_cover_has_none(self, stack):
        with pytest.raises(ModelError, match="the models do not cover compose/one"):
            searchable(stack((STACK[STACK.index("  model:\n") :], "")))


def test_the_example_of_the_documentation_is_covered(tmp_path):
    """A stack without a producer, as a reader of the page on stacks would put it down."""
    page = (ROOT / "docs/stacks.md").read_text()
    (text,) = re.findall(r"<!-- compose -->\n```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "compose.yaml").write_text(text)
    (tmp_path / "schema.sql").write_text("")
    settings = model_settings(load_stack(str(tmp_path), root=ROOT))
    assert (settings.nodes, settings.worker.deduplicate, settings.producer.window) == (1, "none", 1)


def test_what_the_page_says_that_files_show_is_what_they_show(stack):
    """The table on the page and the code agree on which model settings are read from the files themselves."""
    page = (ROOT / "docs/stacks.md").read_text()
    rows = page[page.index("| What the files show |") :].split("\n\n")[0].splitlines()[2:]
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    files = stack(
        ("submit: {service: producer}", "submit: {body: x}\n  deploy: {environment: R, command: ['{revision}']}"),
        ("max_connections=40", "max_connections=40 -c superuser_reserved_connections=1 -c synchronous_commit=on"),
    )
    assert {fact.model for fact in facts(Sources(files), files.description)} == documented
