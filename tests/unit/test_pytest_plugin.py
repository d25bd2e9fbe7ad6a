"""The pytest plugin without a Docker engine: what is collected, what is refused, and what becomes of it."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from parity.check.verdict import Finding, Judgement, Tally, Verdict
from parity.errors import SourceError
from parity.pytest_plugin.explain import explain
from parity.pytest_plugin.live import ParityStack, run_scenario
from parity.run.result import Result
from parity.scenario.scenario import Expectation, Scenario

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PLUGIN = ("-p", "no:parity", "-p", "parity.pytest_plugin")

TWO_STACKS = """
about: A worker dies while it holds a job.
stacks:
  - stack: compose/rabbitmq
  - {stack: compose/rabbitmq+automatic-acknowledgement, expect: {violated: [no_job_lost]}, suite: all}
steps:
  - {kill: worker holding a job, at: delivery 5..30}
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with the reference stack and a folder for scenarios."""
    (pytester.path / "compose").symlink_to(ROOT / "compose")
    pytester.mkdir("scenarios")
    return pytester


def write(project: pytest.Pytester, name: str, text: str) -> Path:
    path = project.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def collected(project: pytest.Pytester, *arguments: str) -> list[str]:
    result = project.runpytest(*PLUGIN, "--collect-only", "-q", *arguments)
    assert result.ret == pytest.ExitCode.OK, result.outlines
    return [line for line in result.outlines if "::" in line]


class TestCollection:
    def test_a_scenario_is_a_test_for_each_stack_of_the_default_suite(self, project):
        write(project, "scenarios/killed.yaml", TWO_STACKS)

        assert collected(project) == ["scenarios/killed.yaml::compose/rabbitmq"]

    def test_the_suite_all_has_the_known_bad_stacks_too(self, project):
        write(project, "scenarios/killed.yaml", TWO_STACKS)

        assert collected(project, "--parity-all") == [
            "scenarios/killed.yaml::compose/rabbitmq",
            "scenarios/killed.yaml::compose/rabbitmq+automatic-acknowledgement",
        ]

    def test_a_file_that_is_named_runs_on_all_its_stacks(self, project):
        write(project, "scenarios/killed.yaml", TWO_STACKS)

        assert len(collected(project, "scenarios/killed.yaml")) == 2

    def test_a_test_is_found_by_the_id_that_was_printed(self, project):
        write(project, "scenarios/killed.yaml", TWO_STACKS)
        node_id = "scenarios/killed.yaml::compose/rabbitmq+automatic-acknowledgement"

        assert collected(project, node_id) == [node_id]

    def test_one_stack_can_be_asked_for_whatever_the_file_names(self, project):
        write(project, "scenarios/killed.yaml", TWO_STACKS)

        assert collected(project, "--parity-stack", "compose/rabbitmq+no-confirms") == [
            "scenarios/killed.yaml::compose/rabbitmq+no-confirms"
        ]

    def test_other_files_are_left_alone(self, project):
        write(project, "settings.yaml", "colour: red")
        write(project, "scenarios/notes.txt", "not a scenario")
        write(project, "test_one.py", "def test_one(): pass")

        assert collected(project) == ["test_one.py::test_one"]

    def test_a_file_elsewhere_is_collected_when_it_is_named(self, project):
        write(project, "chaos/killed.yaml", TWO_STACKS)

        assert collected(project, "chaos/killed.yaml", "--parity-stack=compose/rabbitmq") == [
            "chaos/killed.yaml::compose/rabbitmq"
        ]

    def test_the_ini_option_says_where_scenarios_are(self, project):
        project.makeini("[pytest]\nparity_scenarios = chaos/*.yaml")
        write(project, "chaos/killed.yaml", TWO_STACKS)
        write(project, "scenarios/other.yaml", TWO_STACKS)

        assert collected(project) == ["chaos/killed.yaml::compose/rabbitmq"]

    def test_the_marker_selects_scenarios(self, project):
        write(project, "scenarios/killed.yaml", TWO_STACKS)
        write(project, "test_one.py", "def test_one(): pass")

        assert collected(project, "-m", "parity") == ["scenarios/killed.yaml::compose/rabbitmq"]


class TestBadInput:
    def test_a_wrong_key_is_an_error_with_file_line_and_column(self, project):
        write(project, "scenarios/killed.yaml", TWO_STACKS + "wrokers: 3\n")

        result = project.runpytest(*PLUGIN)

        assert result.ret == pytest.ExitCode.INTERRUPTED
        result.stdout.fnmatch_lines(
            ["scenarios/killed.yaml:8:1: unknown key 'wrokers'; did you mean 'workers'?", "*1 error*"]
        )
        result.stdout.no_fnmatch_line("*Traceback*")

    def test_a_stack_that_is_not_there_is_an_error(self, project):
        write(project, "scenarios/killed.yaml", TWO_STACKS.replace("compose/rabbitmq\n", "compose/rabitmq\n"))

        result = project.runpytest(*PLUGIN)

        assert result.ret == pytest.ExitCode.INTERRUPTED
        result.stdout.fnmatch_lines(["*compose/rabitmq: no such folder; *"])

    def test_a_setting_that_the_stack_lacks_is_an_error(self, project):
        write(project, "scenarios/killed.yaml", TWO_STACKS + "settings: {job_duraton: 1}\n")

        result = project.runpytest(*PLUGIN)

        result.stdout.fnmatch_lines(["*job_duraton*did you mean 'job_duration'?*"])

    def test_the_fixture_asks_for_its_marker(self, project):
        write(project, "test_one.py", "def test_one(parity_stack): pass")

        result = project.runpytest(*PLUGIN)

        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["parity_stack needs to know its stack: mark the test with @pytest.mark.parity*"])

    @pytest.mark.parametrize(
        ("step", "message"),
        [
            ({"kil": "any worker"}, "did you mean 'kill'"),
            ({"kill": "any wroker"}, "did you mean 'any worker'"),
            ({"kill": "any worker", "at": "1s"}, "leave 'at' out"),
            ({"pause": "any worker", "for": "1s"}, "leave 'for' out"),
            ({"delay": "any worker"}, "delay needs `by`"),
            ({"scale": 3}, "scale is no fault: use `change`"),
            ({"kill": object()}, "expected plain values"),
        ],
    )
    def test_a_fault_that_is_none_is_refused_as_in_a_scenario(self, step, message):
        with pytest.raises(SourceError, match=message), live().fault(step):
            pass

    def test_a_fault_is_no_change(self):
        with pytest.raises(SourceError, match="kill is a fault: use `fault`"):
            live().change({"kill": "any worker"})

    def test_a_kind_of_job_that_the_stack_lacks_is_refused(self):
        with pytest.raises(SourceError, match="did you mean 'poison'"):
            live().submit(kind="poisson")

    def test_an_event_that_the_stack_does_not_tell_of_is_refused(self):
        with pytest.raises(SourceError, match="did you mean 'committed'"):
            live().wait_for_events("comitted", 3)

    def test_a_property_that_is_none_is_refused(self):
        with pytest.raises(SourceError, match="did you mean 'no_job_lost'"):
            live().drain(no_jobs_lost=True)

    def test_a_keyword_that_the_marker_lacks_is_refused(self):
        with pytest.raises(SourceError, match="unknown keyword 'wrokers'; did you mean 'workers'"):
            run_scenario("test_one", "compose/rabbitmq", about="A test.", keywords={"wrokers": 3})

    def test_a_value_that_the_marker_cannot_have_is_refused(self):
        with pytest.raises(SourceError, match=r"^@pytest.mark.parity: workers: expected a whole number"):
            run_scenario("test_one", "compose/rabbitmq", about="A test.", keywords={"workers": "many"})


def live() -> ParityStack:
    """A live stack as far as it gets before anything is done to it."""
    scenario = Scenario(name="test-one", about="A test.")
    log = SimpleNamespace(points={"committed": "", "acknowledged": ""})
    run = SimpleNamespace(scenario=scenario, description=SimpleNamespace(kinds=("poison", "crash"), log=log))
    return ParityStack(run, seed=1)


class TestSeed:
    def test_a_given_seed_stands_in_the_header(self, project):
        result = project.runpytest(*PLUGIN, "--parity-seed", "4711")

        result.stdout.fnmatch_lines(["parity: seed 4711"])

    def test_a_fresh_seed_stands_in_the_header(self, project):
        result = project.runpytest(*PLUGIN)

        result.stdout.re_match_lines([r"parity: seed \d+$"])


@pytest.fixture
def without_engine(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project on a machine whose Docker engine does not answer and where there is no compose tool."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    monkeypatch.delenv("CI", raising=False)
    write(project, "scenarios/killed.yaml", TWO_STACKS)
    write(
        project,
        "test_one.py",
        'import pytest\n@pytest.mark.parity("compose/rabbitmq")\ndef test_one(parity_stack): pass\n',
    )
    return project


class TestWithoutEngine:
    def test_it_is_skipped_by_name(self, without_engine):
        result = without_engine.runpytest_subprocess(*PLUGIN, "-rs")

        result.assert_outcomes(skipped=2)
        for name in ("scenarios/killed.yaml::compose/rabbitmq", "test_one.py::test_one"):
            result.stdout.fnmatch_lines([f"SKIPPED * {name} needs a Docker engine: no Docker engine answers: *"])

    def test_it_fails_in_ci(self, without_engine, monkeypatch):
        monkeypatch.setenv("CI", "true")

        result = without_engine.runpytest_subprocess(*PLUGIN)

        result.assert_outcomes(errors=2)
        result.stdout.fnmatch_lines(["test_one.py::test_one needs a Docker engine: *", "CI is set, *"])

    def test_other_tests_run(self, without_engine):
        write(without_engine, "test_two.py", "def test_two(): pass")

        without_engine.runpytest_subprocess(*PLUGIN).assert_outcomes(skipped=2, passed=1)

    def test_the_rule_of_this_project_is_the_same(self, without_engine):
        # Given this project's own conftest, and a test marked as its tests are.
        write(without_engine, "conftest.py", (ROOT / "tests" / "conftest.py").read_text())
        without_engine.makeini("[pytest]\nmarkers = docker: needs a Docker engine")
        write(without_engine, "test_one.py", "import pytest\n@pytest.mark.docker\ndef test_one(): pass\n")

        result = without_engine.runpytest_subprocess("-p", "no:parity", "-rs", "test_one.py")

        result.assert_outcomes(skipped=1)
        result.stdout.fnmatch_lines(["SKIPPED * test_one.py::test_one needs a Docker engine: *"])

    def test_scenarios_that_can_share_a_stack_follow_one_another(self, without_engine):
        # Given two scenarios that each run on the same two stacks.
        write(without_engine, "scenarios/again.yaml", TWO_STACKS)

        result = without_engine.runpytest_subprocess(*PLUGIN, "--parity-all", "-v", "scenarios")

        # I expect one stack's tests before the other's. Without a compose tool a stack is told by its name.
        order = [line.partition(" SKIPPED")[0] for line in result.outlines if " SKIPPED" in line]
        assert order == [
            "scenarios/again.yaml::compose/rabbitmq",
            "scenarios/killed.yaml::compose/rabbitmq",
            "scenarios/again.yaml::compose/rabbitmq+automatic-acknowledgement",
            "scenarios/killed.yaml::compose/rabbitmq+automatic-acknowledgement",
        ]


class TestOnTheSimulator:
    #: Jobs that are long enough to be killed in the middle.
    LONG_JOBS = f"{TWO_STACKS}settings: {{job_duration: 0.3}}\n"

    def test_scenarios_need_no_engine_and_are_judged_as_expected(self, without_engine):
        write(without_engine, "scenarios/killed.yaml", self.LONG_JOBS)

        result = without_engine.runpytest_subprocess(
            *PLUGIN, "--parity-all", "--parity-on", "sim", "--parity-seed", "7", "scenarios"
        )

        result.assert_outcomes(passed=2)
        result.stdout.fnmatch_lines(["parity: seed 7", "parity: scenarios run on the simulator, *"])

    def test_a_failure_names_the_runtime_and_is_replayed_there(self, without_engine):
        write(without_engine, "scenarios/killed.yaml", self.LONG_JOBS.replace("{violated: [no_job_lost]}", "holds"))

        result = without_engine.runpytest_subprocess(
            *PLUGIN, "--parity-all", "--parity-on", "sim", "--parity-seed", "7", "scenarios"
        )

        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(
            ["killed on compose/rabbitmq+automatic-acknowledgement (sim): violated, *", "again: *--parity-on sim"]
        )

    def test_a_test_with_a_live_stack_needs_its_engine_all_the_same(self, without_engine):
        result = without_engine.runpytest_subprocess(*PLUGIN, "--parity-on", "sim", "test_one.py")

        result.assert_outcomes(skipped=1)


def result_of(judgement: Judgement | None, *, violated: tuple[str, ...] = (), error: str = "") -> Result:
    return Result(
        scenario="killed",
        stack="compose/rabbitmq",
        runtime="docker",
        seed=7,
        expectation=Expectation(violated=violated),
        judgement=judgement,
        seconds=1.0,
        faults_s=0.0,
        record=Path("out/killed"),
        error=error,
    )


class TestExplanation:
    def test_it_names_verdicts_reasons_witnesses_record_and_replay(self):
        lost = Finding(
            property="no_job_lost", verdict=Verdict.VIOLATED, reason="3 are gone", count=3, witnesses=(4, 5, 9)
        )
        holds = Finding(property="no_phantom", verdict=Verdict.HOLDS, reason="none")

        text = explain(result_of(Judgement(findings=(holds, lost), tally=Tally())), again="pytest x --parity-seed 7")

        assert text.splitlines() == [
            "killed on compose/rabbitmq (docker): violated, expected holds, seed 7",
            "    no_job_lost: violated: 3 are gone (jobs 4, 5, 9)",
            "    no_phantom: holds: none",
            "record: out/killed",
            "again:  pytest x --parity-seed 7",
        ]

    def test_a_run_that_broke_off_says_why(self):
        text = explain(result_of(None, error="the worker died\nits last words"), again="pytest x")

        assert text.splitlines()[:4] == [
            "killed on compose/rabbitmq (docker): unknown, expected holds, seed 7",
            "the run broke off:",
            "    the worker died",
            "    its last words",
        ]


def test_a_parametrised_test_has_a_name_that_a_scenario_can_have():
    scenario = run_scenario("test_one[\N{SNOWMAN} 3s-" + "x" * 300, "compose/rabbitmq", about="A test.", keywords={})

    assert scenario.name == "test-one-3s-" + "x" * 88


def test_the_documented_commands_find_the_documented_scenario(project):
    page = (ROOT / "docs" / "pytest.md").read_text()
    write(project, "scenarios/killed.yaml", page.partition("```yaml\n")[2].partition("```")[0])
    console = page.partition("```console\n")[2].partition("```")[0]
    commands = [line.removeprefix("$ pytest ").split() for line in console.splitlines()]

    assert len(commands) == 2
    for arguments in commands:
        assert collected(project, *arguments) == ["scenarios/killed.yaml::compose/rabbitmq"]


def test_nothing_is_started_by_asking_for_help(project):
    result = project.runpytest(*PLUGIN, "--help")

    assert result.ret == os.EX_OK
    result.stdout.fnmatch_lines(["*--parity-seed*", "*parity_scenarios*"])
