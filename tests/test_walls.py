"""The code has no cycle: none among modules, none among the modules and packages that stand side by side."""

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

PACKAGES = ("backend_stub", "foundry_tui")

CYCLES_LEFT: tuple[frozenset[str], ...] = (
    frozenset({"foundry_tui.app", "foundry_tui.screens"}),
    frozenset({"foundry_tui.client", "foundry_tui.settings"}),
    frozenset({"foundry_tui.client.connection", "foundry_tui.client.tls"}),
    frozenset({"foundry_tui.settings.config", "foundry_tui.settings.keyring"}),
    frozenset({"foundry_tui.cli.commands", "foundry_tui.cli.parameters"}),
)
"""Cycles that are still to be dissolved: imports between what stands in one of these, or below it, are passed over."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES)


def is_left(importer: str, imported: str) -> bool:
    return any(_is_in(importer, cycle) and _is_in(imported, cycle) for cycle in CYCLES_LEFT)


def _is_in(module: str, names: Iterable[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def cycle_of(imports: dict[str, set[str]]) -> list[str]:
    """Some cycle of the graph, or nothing."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def imports_of(graph: grimp.ImportGraph) -> dict[str, set[str]]:
    return {
        module: {each for each in graph.find_modules_directly_imported_by(module) if not is_left(module, each)}
        for module in graph.modules
    }


def test_no_modules_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    assert cycle_of(imports_of(graph)) == []


def test_nothing_that_stands_side_by_side_imports_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    imports = imports_of(graph)
    packages = {module.rpartition(".")[0] for module in graph.modules} - {""}
    cycles = {package: cycle_of(_siblings(package, imports)) for package in packages}
    assert {package: cycle for package, cycle in cycles.items() if cycle} == {}


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
