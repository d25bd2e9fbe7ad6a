"""The pages under docs/ say what the code says: names, keys, defaults, tables and examples are read from both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
import test_layers
import typer
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from parity.check.verdict import Tally, Verdict
from parity.cli.app import app
from parity.history.events import Event, FaultPhase, Outcome, PhaseName
from parity.model.contract import BRANCHES, RULES
from parity.model.settings import ModelSettings
from parity.report import comparison
from parity.run.fits import check_fits
from parity.scenario.properties import PROPERTY_NAMES, Properties
from parity.scenario.scenario import OnStack, Scenario, Workload, load_scenario
from parity.scenario.steps import GROUP_KINDS, KINDS, NODES, TARGETS, WORKERS, Kind, Step
from parity.sim import faults as sim_faults
from parity.stack import amis, compose, instances, launch, modelled, owner, submitter
from parity.stack.description import EVENT_NAMES, Description, load_stack
from parity.stack.setting import Setting

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
REFERENCE = "compose/rabbitmq"
OVERLAYS = ROOT / REFERENCE / "overlays"


@cache
def page(name: str) -> str:
    return (DOCS / name).read_text()


def section(name: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", page(name), re.MULTILINE)
    assert found, f"{name} has no heading {heading!r}"
    rest = page(name)[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row, without headers and rules."""
    lines = text.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        is_header = below.startswith("|--")
        if line.startswith("|") and not line.startswith("|--") and not is_header:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def table(text: str) -> dict[str, list[str]]:
    """Rows by each name that their first cell has in backticks."""
    return {name: cells for cells in rows(text) for name in spans(cells[0])}


def own_table(name: str, heading: str) -> dict[str, list[str]]:
    """The rows of a section, without those of the sections below it."""
    return table(re.split(r"^#", section(name, heading), maxsplit=1, flags=re.MULTILINE)[0])


class Example(NamedTuple):
    """A fenced YAML block with the mark in the comment above it."""

    mark: str
    text: str


def examples() -> list[Any]:
    found = []
    for path in PAGES:
        blocks = re.finditer(r"(?:<!-- (.*?) -->\n)?```yaml\n(.*?)```", path.read_text(), re.DOTALL)
        for number, block in enumerate(blocks, 1):
            found.append(pytest.param(Example(block[1] or "", block[2]), id=f"{path.name}-{number}"))
    return found


# Keys and their defaults.


def keys(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def default_in_words(field: Any) -> list[str]:
    """What the row of a key must have in its last cell; empty where no one word says it."""
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return ["must be given"]
    if isinstance(default, bool):
        return [f"`{str(default).lower()}`"]
    if isinstance(default, float) and "BeforeValidator" in repr((field.annotation, field.metadata)):
        return [f"`{default:g}s`"]
    if isinstance(default, int | float) or (isinstance(default, str) and default):
        return [f"`{default:g}`" if isinstance(default, float) else f"`{default}`"]
    if isinstance(default, BaseModel) and type(default).__name__ == "IntRange":
        return [f"`{default.model_dump()}`"]
    return []


def check_keys(documented: dict[str, list[str]], model: type[BaseModel]) -> None:
    assert set(documented) == set(keys(model))
    for name, field in keys(model).items():
        for word in default_in_words(field):
            assert word in documented[name][-1], f"the default of {name} is {word}"


@pytest.mark.parametrize(
    ("about", "model"),
    [(None, Scenario), ("`workload`:", Workload), ("`properties`. ", Properties)],
    ids=["scenario", "workload", "properties"],
)
def test_keys_of_a_scenario(about: str | None, model: type[BaseModel]) -> None:
    """The three tables under `Keys` have every key and no other, with their defaults."""
    text = section("scenarios.md", "Keys")
    text = text if about is None else text[text.index(f"\n{about}") + 1 :]
    documented = table(re.split(r"\n\n(?=`(?:workload|properties)`)", text)[0])
    if model is Scenario:
        # It must be there, but `load_scenario` takes the file's where it is not given.
        assert documented["name"][-1] == "the file's name without `.yaml`"
        documented["name"] = ["", "must be given"]
    check_keys(documented, model)


def test_keys_of_an_entry_in_stacks() -> None:
    check_keys(own_table("scenarios.md", "Stacks, expectations and suites"), OnStack)


def test_keys_of_a_step() -> None:
    """Every key beside the kind's own."""
    assert set(own_table("scenarios.md", "Steps")) == set(keys(Step)) - {"kind", "target"}


def x_parity() -> list[Any]:
    """Each section of `x-parity` that is a model, by its name; a mapping's values count as one."""

    def models(annotation: Any) -> Iterator[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        for argument in get_args(annotation):
            yield from models(argument)

    return [
        pytest.param(name, model, id=name)
        for name, field in keys(Description).items()
        for model in models(field.annotation)
    ]


def test_keys_of_x_parity() -> None:
    check_keys(own_table("stacks.md", "The section `x-parity`"), Description)


@pytest.mark.parametrize(("name", "model"), x_parity())
def test_keys_of_a_section_of_x_parity(name: str, model: type[BaseModel]) -> None:
    text = section("stacks.md", f"`{name}`")
    documented = table(text[text.index("| Key |") :].split("\n\n")[0])
    if model.__name__ == "SubmitSection":
        assert documented.pop("service")[-1] == "this or `body`"
        assert documented.pop("body")[-1] == "this or `service`"
        documented |= {name: ["", "must be given"] for name in ("service", "body")}
    check_keys(documented, model)


def test_the_walk_over_x_parity_reaches_its_sections() -> None:
    names = {parameter.values[0] for parameter in x_parity()}
    assert names == {"balancer", "broker", "database", "worker", "group", "submit", "queues", "effects"} | {
        "log",
        "deploy",
        "settings",
        "model",
    }


@pytest.mark.parametrize("name", ["broker", "producer", "worker", "database"])
def test_keys_of_a_section_of_the_models(name: str) -> None:
    """Every model setting has its row, with its default and all the words it takes."""
    model = ModelSettings.model_fields[name].annotation
    assert isinstance(model, type)
    documented = own_table("stacks.md", f"`model.{name}`")
    check_keys(documented, model)
    for key, field in keys(model).items():
        words = {word for word in get_args(field.annotation) if isinstance(word, str)}
        assert words <= set(spans(documented[key][1])), key
        assert ("Must be said" in documented[key][1]) == (f"{name}.{key}" in modelled._MUST_BE_SAID)


def test_placeholders_of_the_environment() -> None:
    source = (ROOT / "parity/stack/stack.py").read_text()
    (pattern,) = re.findall(r'r"\\\{\(([a-z_|]+)\)\\\}"', source)
    assert set(own_table("stacks.md", "`environment`")) == {f"{{{name}}}" for name in pattern.split("|")}


# Steps and targets.

FAULTS = {name: kind for name, kind in KINDS.items() if kind.fault}
CHANGES = {name: kind for name, kind in KINDS.items() if not kind.fault}
LASTS = {"required": "must", "optional": "may", "no": "never"}


@cache
def fault_rows() -> dict[str, list[str]]:
    return {
        name: cells
        for heading in ("Processes", "Network", "Broker and database", "The group's surroundings")
        for name, cells in own_table("scenarios.md", heading).items()
    }


def targets_in(cell: str) -> set[str]:
    if cell.startswith("as "):
        return targets_in(fault_rows()[spans(cell)[0]][2])
    groups = {"workers": WORKERS, "nodes": NODES}
    words = re.sub(r"`[^`]+`", "", cell).replace(",", " ").split()
    return {name for word in words for name in groups[word]} | set(spans(cell))


def test_every_kind_of_step_has_its_row() -> None:
    assert set(fault_rows()) == set(FAULTS)
    assert set(own_table("scenarios.md", "Changes")) == set(CHANGES)


@pytest.mark.parametrize(("name", "kind"), FAULTS.items(), ids=FAULTS)
def test_a_fault_as_documented(name: str, kind: Kind) -> None:
    """Targets, parameters and whether it lasts are the code's; what it does, its proof and its end are told."""
    _, does, targets, parameters, lasts, proved, heals = fault_rows()[name]
    assert targets_in(targets) == set(kind.targets)
    assert set(spans(parameters)) == {*kind.needs, *kind.takes}
    assert LASTS[lasts] == kind.lasts
    assert does
    assert proved
    assert heals


@pytest.mark.parametrize(("name", "kind"), CHANGES.items(), ids=CHANGES)
def test_a_change_as_documented(name: str, kind: Kind) -> None:
    _, does, operand, others, proved = own_table("scenarios.md", "Changes")[name]
    assert spans(operand) == list(kind.needs)
    assert set(spans(others)) == set(kind.takes)
    assert does
    assert proved


def test_events_that_a_moment_can_name() -> None:
    text = section("scenarios.md", "Moments")
    assert set(table(text[text.index("| Event |") :])) - {"committed"} == set(EVENT_NAMES)


def test_every_target_has_its_row() -> None:
    assert set(own_table("scenarios.md", "Targets")) == set(TARGETS)


# The commands.


def commands() -> dict[str, set[str]]:
    """Each command's options."""
    group: Any = typer.main.get_command(app)
    return {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        for name, command in group.commands.items()
    }


def test_every_command_and_option() -> None:
    """`run` and its options have a section, the others a row each."""
    options = commands()
    assert set(own_table("scenarios.md", "Running scenarios")) == options.pop("run")
    places = section("stacks.md", "Keeping a stack") + section("scenarios.md", "Reports")
    simulated = section("simulator.md", "Explore, shrink, replay")
    places += simulated[: simulated.index("| Exit status")]
    documented = {cells[0]: cells[1] for cells in rows(places)}
    named = {words.strip("`").split()[1]: text for words, text in documented.items()}
    assert named.keys() == options.keys()
    for name, wanted in options.items():
        assert {span for span in spans(named[name]) if span.startswith("--")} == wanted, name


# Submitting, events, verdicts.


def test_submit_words() -> None:
    """The words of the protocol and the outcomes they stand for, on both pages."""
    words: dict[str, str] = dict(submitter._WORDS)
    spoken = own_table("stacks.md", "By a command")
    assert {line.split()[0]: cells[1] for line, cells in spoken.items()} == words
    outcomes = own_table("verdicts.md", "Outcomes of a submit")
    assert {spans(cells[1])[0]: outcome for outcome, cells in outcomes.items()} == words
    assert set(outcomes) == set(get_args(Outcome))


def test_events() -> None:
    documented = own_table("verdicts.md", "The events")
    assert set(documented) == {event.__struct_config__.tag for event in get_args(Event)}
    assert set(get_args(PhaseName)) == set(spans(documented["phase"][1]))
    assert set(get_args(FaultPhase)) == set(spans(documented["fault"][1]))


def test_phases() -> None:
    assert list(own_table("architecture.md", "Life of a run"))[: len(get_args(PhaseName))] == list(get_args(PhaseName))


def test_verdicts_properties_and_tally() -> None:
    assert set(own_table("verdicts.md", "The three verdicts")) == {verdict.value for verdict in Verdict}
    assert tuple(re.findall(r"^### `(\w+)`$", page("verdicts.md"), re.MULTILINE)) == PROPERTY_NAMES
    assert set(own_table("verdicts.md", "The tally")) == set(Tally.__struct_fields__)


@pytest.mark.parametrize("name", PROPERTY_NAMES)
def test_a_property_says_when_it_is_what_and_what_it_reads(name: str) -> None:
    told = {cells[0]: cells[1] for cells in rows(section("verdicts.md", f"`{name}`"))}
    assert {"violated", "unknown", "reads"} <= told.keys()
    known = {event.__struct_config__.tag for event in get_args(Event)}
    assert set(spans(told["reads"])) <= known


def test_the_rules_and_branches_of_the_contract() -> None:
    rules = own_table("verdicts.md", "The rules")
    assert {name: tuple(cells[-2:]) for name, cells in rules.items()} == {
        name: (rule.says, rule.source) for name, rule in RULES.items()
    }
    branches = own_table("verdicts.md", "The branches")
    assert {name: tuple(cells[-2:]) for name, cells in branches.items()} == {
        name: (branch.says, branch.source) for name, branch in BRANCHES.items()
    }


# The simulator.


def test_the_times_of_the_models() -> None:
    """The table says what stands beside each constant: the real thing, the model, the source."""
    source = (ROOT / "parity/model/constants.py").read_text()
    told = {}
    for comment, names in re.findall(r"((?:^#:.*\n)+)((?:^[A-Z_]+ = .*\n)+)", source, re.MULTILINE):
        text = " ".join(line.removeprefix("#:").strip() for line in comment.splitlines())
        parts = re.fullmatch(r"Real: (.*?) Ours: (.*?) Why: .*? Source: (.*)", text)
        assert parts, text
        told |= {name: list(parts.groups()) for name in re.findall(r"^([A-Z_]+) =", names, re.MULTILINE)}
    documented = own_table("simulator.md", "Where the times come from")
    assert {name: cells[1:] for name, cells in documented.items()} == told, "copy what constants.py says into the table"


def test_every_kind_of_step_is_modelled() -> None:
    """As the page says, none is passed over."""
    assert set(FAULTS) == set(sim_faults.FAULTS)
    assert set(CHANGES) == {"submit", "scale", "set_policy", "call", "deploy"}


def test_what_the_parity_report_compares() -> None:
    text = section("simulator.md", "Both runtimes")
    assert set(comparison.KINDS) | set(comparison.REMARKED) <= set(spans(text))


# Known-bad stacks.


def known_bad() -> dict[str, list[str]]:
    return own_table("verdicts.md", "Known-bad stacks")


def test_every_overlay_has_its_row() -> None:
    first = {spans(cells[0])[0] for cells in known_bad().values()}
    assert first == {path.stem for path in OVERLAYS.glob("*.yaml")}


def test_overlays_violate_what_their_rows_say() -> None:
    """What scenarios expect of an overlay stands in its row, and its control is beside it in the same scenario."""
    seen = set()
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        scenario = load_scenario(path)
        holding = {on.stack for on in scenario.stacks if not on.expect.violated}
        for on in scenario.stacks:
            if on.expect.violated:
                _, _, violates, control = known_bad()[on.stack.partition("+")[2]]
                assert set(on.expect.violated) <= set(spans(violates)), path.name
                assert {name.rpartition("+")[2] for name in holding} & set(spans(control)), path.name
                seen.add(on.stack)
    assert seen, "some scenario runs on a known-bad stack"


# Stacks and their containers.


def test_keys_of_a_service_that_a_worker_follows() -> None:
    told = {cells[0]: set(spans(cells[1])) for cells in rows(section("stacks.md", "What a compose file may state"))}
    assert told["followed"] == set(launch._SAME_NAME) | launch._HANDLED
    assert told["passed over"] - {"x-"} | told["followed at a stop"] == launch._PASSED_OVER


def test_keys_of_a_service_that_is_not_kept() -> None:
    (left_out,) = re.findall(r"^- (`build`.*?)are left out", page("stacks.md"), re.MULTILINE | re.DOTALL)
    assert set(spans(left_out)) - {"resources"} == set(compose._NOT_KEPT)


def test_images_that_can_be_replaced() -> None:
    named = set(re.findall(r"\$\{(PARITY_\w+)", (ROOT / REFERENCE / "compose.yaml").read_text()))
    assert {name for name in own_table("stacks.md", "Images") if name.startswith("PARITY_")} == named


def test_settings_and_kinds_of_the_reference_stack() -> None:
    description = load_stack(REFERENCE, root=ROOT).description
    assert set(own_table("stacks.md", "The reference stack")) == set(description.settings)
    assert set(description.kinds) <= set(spans(section("stacks.md", "The reference stack")))


def test_labels() -> None:
    labels = {
        value
        for module in (owner, instances, amis)
        for name, value in vars(module).items()
        if name.startswith("LABEL_")
    }
    assert set(own_table("architecture.md", "What is left behind")) == labels


def test_files_of_a_record() -> None:
    text = section("architecture.md", "Life of a run")
    files = table(text[text.index("| File |") :])
    writers = [*(ROOT / "parity/run").glob("*.py"), ROOT / "parity/report/__init__.py"]
    source = "".join(path.read_text() for path in writers)
    for name in files:
        assert f'"{name.rstrip("/")}"' in source, name
    written = set(re.findall(r'"([a-z]+\.(?:json|jsonl|yaml|txt|html|xml))"', source))
    assert written <= set(files)


# Architecture and glossary.


def test_the_layers_are_those_that_are_held() -> None:
    drawing = re.search(r"<!-- layers -->\n((?: {4}.*\n)+)", page("architecture.md"))
    assert drawing
    layers = [{name.strip() for name in group.split(",")} for group in drawing[1].split("<-")]
    assert layers == test_layers.LAYERS


def test_every_part_has_its_row() -> None:
    documented = {name.removesuffix(".py") for name in own_table("architecture.md", "Layers")}
    parts = {path.relative_to(ROOT / "parity").parts[0].removesuffix(".py") for path in test_layers.modules()}
    assert parts - documented - {"__init__", "__main__"} == set()
    assert {name.partition("/")[0] for name in documented} <= set().union(*test_layers.LAYERS)


def test_the_glossary_is_in_order_and_has_the_verdicts_words() -> None:
    terms = [cells[0] for cells in rows(page("glossary.md"))]
    assert terms == sorted(set(terms), key=str.casefold)
    words = {"lost", "stuck", "late", "dead-lettered", "duplicated", "redelivered", "refused"}
    assert words | set(get_args(Outcome)) | {verdict.value for verdict in Verdict} <= set(terms)


# Examples and links.


@pytest.mark.parametrize("example", examples())
def test_an_example_loads(example: Example, tmp_path: Path) -> None:
    """Every YAML block says what it is, and is that."""
    kind, _, place = example.mark.partition(": ")
    if kind == "verbatim":
        assert example.text == (ROOT / place).read_text()
    elif kind == "steps":
        steps = yaml.safe_load(example.text)
        group = {"group": {}} if any(kind in step for step in steps for kind in GROUP_KINDS) else {}
        steps = ({"at": "0s"} | steps[0], *steps[1:])
        scenario = Scenario(name="example", about="An example.", steps=steps, **group)
        check_fits(scenario, load_stack(REFERENCE, root=ROOT))
    elif kind == "compose":
        write_own_stack(tmp_path)
        assert load_stack(str(tmp_path), root=ROOT).description.version == 1
    elif kind == "part of x-parity":
        part = yaml.safe_load(example.text)["x-parity"]
        assert {name: Setting.model_validate(setting).models for name, setting in part.pop("settings").items()}
        assert ModelSettings.model_validate(part.pop("model"))
        assert not part
    elif kind == "scenario":
        path = tmp_path / "scenario.yaml"
        path.write_text(example.text)
        check_fits(load_scenario(path), load_stack(REFERENCE, root=ROOT))
    else:
        assert kind == "scenario on the stack above"
        path = tmp_path / "scenario.yaml"
        path.write_text(example.text)
        write_own_stack(tmp_path)
        check_fits(load_scenario(path), load_stack(str(tmp_path), root=ROOT))


def write_own_stack(folder: Path) -> None:
    """The example of one's own application, as a reader would put it down."""
    composes = [parameter.values[0].text for parameter in examples() if parameter.values[0].mark == "compose"]
    (schema,) = re.findall(r"```sql\n(.*?)```", page("stacks.md"), re.DOTALL)
    (folder / "compose.yaml").write_text(composes[0])
    (folder / "schema.sql").write_text(schema)


def test_the_own_stack_is_one_that_workers_can_be_made_from(tmp_path: Path) -> None:
    """Its worker states nothing that would be refused, and its pattern finds the job in its body."""
    write_own_stack(tmp_path)
    services = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]
    assert set(services["worker"]) <= set(launch._SAME_NAME) | launch._HANDLED | launch._PASSED_OVER
    assert all("image" in service for service in services.values())
    description = load_stack(str(tmp_path), root=ROOT).description
    assert description.submit.body is not None
    found = re.search(description.queues.job_id, description.submit.body.replace("{job}", "job-000001"))
    assert found
    assert found["job"] == "job-000001"


def anchors(text: str) -> set[str]:
    """What headings can be linked by: lower case, without punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_resolves(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        assert linked.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(linked.read_text()), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_path_of_some_machine(path: Path) -> None:
    assert re.findall(r"(?<![\w.:/}])/(?:home|root|tmp|usr|var|work|mnt|opt)\b\S*", path.read_text()) == []
