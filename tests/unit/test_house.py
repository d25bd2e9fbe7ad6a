"""The house's rules, held: each banned thing is named with what takes its place."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LINES_MAX = 500

#: What must not stand in files whose path matches, and what does instead. Words are split so that this file passes.
BANNED = {
    "a bare except": (r"^parity/.*\.py$", r"except\s*:", "name the exceptions, or `except Exception` with its reason"),
    "print": (r"^parity/.*\.py$", r"(?<![\w.])print\(", "Screen for people, sys.stdout.write for JSON"),
    "a sleep in a test": (r"^tests/.*\.py$", r"\bsleep" + r"\(", "wait for a state: a condition, an event, wait_for"),
    "an unfinished thought": (
        r"\.(py|yaml|md|toml|sh|conf|sql)$|Dockerfile$|Makefile$",
        r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b",
        "do it, or open an issue",
    ),
    "a path of one machine": (
        r"^(parity|scenarios|compose|docs)/|^README\.md$",
        r"(?<![\w.~$}])/(work|root|home|tmp)/",
        "tempfile, the user's folder, or a path relative to the project",
    ),
    "the time of day as a stopwatch": (r"^parity/.*\.py$", r"\btime\.clock\(", "time.monotonic()"),
    "a blanket type: ignore": (r"^parity/.*\.py$", r"#\s*type:\s*ignore(?!\[)", "type: ignore[the-error]"),
    "a blanket noqa": (r"^parity/.*\.py$", r"#\s*noqa\s*(?:$|[^:\s])", "noqa: THE-RULE"),
}


def tracked() -> list[Path]:
    """Every file of the project, as git lists it; the tree where this is no checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:
        skipped = {".venv", ".git", "out"}
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if not skipped & set(p.relative_to(ROOT).parts)]
    return [ROOT / name for name in sorted(names) if (ROOT / name).is_file()]


def found(pattern: str, banned: str, files: list[Path]) -> list[str]:
    """Where the banned thing stands, a line each."""
    hits = []
    for path in files:
        name = str(path.relative_to(ROOT))
        if re.search(pattern, name):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            hits += [
                f"{name}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if re.search(banned, line)
            ]
    return hits


@pytest.mark.parametrize("what", BANNED)
def test_what_is_banned_stands_nowhere(what):
    pattern, banned, instead = BANNED[what]
    assert found(pattern, banned, tracked()) == [], f"{what}; instead: {instead}"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a bare except", "    except:"),
        ("print", "    print(x)"),
        ("a sleep in a test", "time.sleep" + "(1)"),
        ("an unfinished thought", "# TO" + "DO later"),
        ("a path of one machine", 'Path("/' + 'tmp/x")'),
        ("a path of one machine", "see /" + "work/main"),
    ],
)
def test_the_rules_see_what_they_ban(what, line):
    """The test above can fail."""
    assert re.search(BANNED[what][1], line)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("print", "self._errors.print(x)"),
        ("print", "    screen._print(x)"),
        ("a bare except", "    except OSError:"),
        ("a path of one machine", "- ./x:/var/tmp/x"),
    ],
)
def test_the_rules_pass_what_only_looks_like_it(what, line):
    assert not re.search(BANNED[what][1], line)


def test_no_module_is_longer_than_a_reader_bears():
    long = {
        str(path.relative_to(ROOT)): count(path) for path in (ROOT / "parity").rglob("*.py") if count(path) > LINES_MAX
    }
    assert long == {}, f"split them: at most {LINES_MAX} lines"


def count(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_every_scenario_says_what_must_hold_and_why():
    for path in (ROOT / "scenarios").glob("*.yaml"):
        about = yaml.safe_load(path.read_text()).get("about", "")
        assert len(about.split()) >= 8, f"{path.name}: `about` says what must hold and why, in a sentence or two"


def test_every_overlay_says_what_anomaly_it_brings():
    for path in (ROOT / "compose").rglob("overlays/*.yaml"):
        assert re.search(r"^# Anomaly", path.read_text(), re.MULTILINE), f"{path.name}: say `# Anomaly...:` and which"


def test_every_page_is_found_from_the_readme():
    readme = ROOT / "README.md"
    text = readme.read_text()
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in text]
    assert missing == [], "link them from README.md"


def test_every_link_of_the_readme_leads_somewhere():
    readme = ROOT / "README.md"
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", readme.read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_test_file_is_one_that_pytest_collects():
    """A test in a file whose name pytest does not look for tests nothing."""
    helpers = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")]
    tests = re.compile(r"^\s*(?:async )?def test_|^class Test", re.MULTILINE)
    assert [path.name for path in helpers if tests.search(path.read_text())] == []


def test_what_the_benchmarks_need_is_there() -> None:
    """Peers are libraries that nothing else needs, so nothing else would miss them."""
    asked = [sys.executable, "-m", "bench", "none"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("no benchmark is called 'none'; there are check, ")
