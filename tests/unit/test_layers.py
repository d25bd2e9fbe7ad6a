"""The layers hold: a package imports only from those to its left, the pure ones from nothing that acts."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "parity"

#: From left to right, as the architecture page draws them. A name may import its own group and all before it.
LAYERS = [
    {"errors", "__init__"},
    {"scenario", "history"},
    {"model", "check"},
    {"cluster", "sim", "stack", "aws"},
    {"run", "service"},
    {"report"},
    {"cli", "pytest_plugin", "__main__"},
]
#: What the pure core must not touch: engines, networks, clocks, chance.
IMPURE = {
    "asyncio",
    "docker",
    "http",
    "httpx",
    "pika",
    "psycopg",
    "random",
    "requests",
    "secrets",
    "socket",
    "subprocess",
    "testcontainers",
    "time",
    "urllib",
}
#: Ways of `datetime`, which is for reckoning with times, to ask a clock.
CLOCKS = {"now", "today", "utcnow"}
PURE = {"scenario", "history", "model", "check"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def layer_of(name: str) -> int:
    for index, names in enumerate(LAYERS):
        if name in names:
            return index
    raise AssertionError(f"parity/{name} is in no layer: add it to LAYERS and to the architecture page")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_in(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name if is_module(name) else str(node.module) for name in inner]
    return found


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def clocks_asked(text: str) -> list[str]:
    """Calls such as `datetime.now()`."""
    calls = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    asked = [call for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCKS]
    return [ast.unparse(call) for call in asked if ast.unparse(call.value).rpartition(".")[2] in {"datetime", "date"}]


def wrong_layers(part: str, imports: list[str]) -> list[str]:
    own = layer_of(part)
    parts = {name.split(".")[1] for name in imports if name.startswith("parity.") and name.count(".") >= 1}
    known = {part for part in parts if (PACKAGE / part).exists() or (PACKAGE / f"{part}.py").exists()}
    return sorted(other for other in known if layer_of(other) > own)


def impure(part: str, imports: list[str]) -> list[str]:
    return sorted({name for name in imports if name.split(".")[0] in IMPURE}) if part in PURE else []


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_its_left(path: Path) -> None:
    imports = imports_in(path.read_text())
    assert wrong_layers(part_of(path), imports) == []
    assert impure(part_of(path), imports) == []
    assert part_of(path) not in PURE or clocks_asked(path.read_text()) == []


def test_the_rule_sees_a_wrong_import() -> None:
    """The test above can fail: a check that imports the stack, or a clock, is found."""
    imports = imports_in("from parity.stack.engine import engine\nimport time\n")
    assert wrong_layers("check", imports) == ["stack"]
    assert impure("check", imports) == ["time"]
    assert clocks_asked("a = datetime.now(UTC)\nb = datetime.datetime.today()\nnow()") == [
        "datetime.now",
        "datetime.datetime.today",
    ]


def test_no_module_imports_itself_in_a_circle() -> None:
    """Modules form no cycle, whatever their layers."""
    known = {name_of(path) for path in modules()}
    graph = {name_of(path): {name for name in imports_in(path.read_text()) if name in known} for path in modules()}
    assert find_cycle(graph) == []


def test_the_cycle_search_finds_a_cycle() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert find_cycle({"a": {"b"}, "b": set()}) == []


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ()) - {name}):
            cycle = visit(other, [*trail, name])
            if cycle:
                return cycle
        done.add(name)
        return []

    for name in sorted(graph):
        cycle = visit(name, [])
        if cycle:
            return cycle
    return []
