"""The code has no cycle: none among modules, none among what stands side by side; and no module is too long to read."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

PACKAGES = ("backend_stub", "foundry_tui")
ROOT = Path(__file__).parent.parent
MOST_LINES = 500


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES)


def cycle_of(imports: dict[str, set[str]]) -> list[str]:
    """Some cycle of the graph, or nothing."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def imports_of(graph: grimp.ImportGraph) -> dict[str, set[str]]:
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_modules_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    assert cycle_of(imports_of(graph)) == []


def test_nothing_that_stands_side_by_side_imports_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    imports = imports_of(graph)
    packages = {module.rpartition(".")[0] for module in graph.modules} - {""}
    cycles = {package: cycle_of(_siblings(package, imports)) for package in packages}
    assert {package: cycle for package, cycle in cycles.items() if cycle} == {}


def test_no_module_is_longer_than_one_can_be() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert len(lengths) > 100
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def _siblings(package: str, imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """What the parts of a package import of each other, whole parts taken together."""
    found: dict[str, set[str]] = {}
    for importer, imported in imports.items():
        part = _part_of(package, importer)
        others = {_part_of(package, each) for each in imported} - {part, None}
        if part is not None:
            found.setdefault(part, set()).update(each for each in others if each is not None)
    return found


def _part_of(package: str, module: str) -> str | None:
    """The part of the package that the module is or is in; None for a module outside, or for the package itself."""
    if not module.startswith(f"{package}."):
        return None
    return f"{package}.{module.removeprefix(f'{package}.').partition('.')[0]}"
