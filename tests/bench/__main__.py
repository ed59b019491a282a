"""Runs the benchmarks: every module beside this one that has `run() -> list[Figure]`."""

import argparse
import compileall
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import msgspec

import backend_stub
import foundry_tui
import tests.bench
from tests.bench.figure import Figure


def modules(wanted: str | None) -> Iterator[tuple[str, Callable[[], list[Figure]]]]:
    """The benchmarks by name, sorted; a module without `run` is none."""
    for found in sorted(pkgutil.iter_modules(tests.bench.__path__), key=lambda module: module.name):
        if found.name.startswith("__") or (wanted is not None and wanted != found.name):
            continue
        module: ModuleType = importlib.import_module(f"tests.bench.{found.name}")
        run = getattr(module, "run", None)
        if callable(run):
            yield found.name, run


def line_of(figure: Figure) -> str:
    """A figure for people: what, how much, against what, and whether the budget holds."""
    floor = "" if figure.floor is None else f"floor {figure.floor:,.3f} {figure.unit}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}×"
    unit = "×" if figure.ratio is not None else f" {figure.unit}"
    budget = "" if figure.budget is None else f"≤ {figure.budget:g}{unit}"
    verdict = {True: "held", False: "MISSED", None: ""}[figure.held]
    columns = f"{figure.name:<58} {figure.value:>12,.3f} {figure.unit:<5} {floor:<24} {ratio:>8} {budget:<12} {verdict}"
    return f"{columns.rstrip()}  {figure.note}".rstrip()


def main() -> int:
    """Exit code 1 when a budget was missed, 2 when there is no such benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", nargs="?", help="run this one only")
    parser.add_argument("--json", action="store_true", help="one JSON array of figures")
    arguments = parser.parse_args()
    # byte code that is missing or stale is made again by each process, where the machine keeps none
    for package in (foundry_tui, backend_stub):
        compileall.compile_dir(package.__path__[0], quiet=2)
    figures: list[Figure] = []
    found = False
    for name, run in modules(arguments.name):
        found = True
        if not arguments.json:
            print(f"{name}", flush=True)
        for figure in run():
            figures.append(figure)
            if not arguments.json:
                print(f"  {line_of(figure)}", flush=True)
    if not found:
        print(f"no benchmark named {arguments.name}", file=sys.stderr)
        return 2
    if arguments.json:
        print(msgspec.json.encode(figures).decode())
    return 1 if any(figure.held is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
