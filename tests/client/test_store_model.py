"""The store against a model of server, network and user: whatever happened, after quiet it is what the server is."""

import os
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.client.model import Counts, StoreModel

SEED = int(os.environ.get("FOUNDRY_TEST_SEED", "20261123"))


@pytest.mark.parametrize(("examples", "steps"), [(60, 2_000), pytest.param(250, 10_000, marks=pytest.mark.slow)])
def test_store_equals_the_server_after_quiet(tell: Callable[[str], None], examples: int, steps: int) -> None:
    """As many examples are tried, and together they make as many steps at least."""
    StoreModel.counts = counts = Counts()
    machine = hypothesis.seed(SEED)(StoreModel)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=60,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
    tell(
        f"store model: seed {SEED}, {counts.runs} runs, {counts.steps} steps, {counts.faults} faults, "
        f"{counts.comparisons} comparisons with the server; "
        + ", ".join(f"{name} {count}" for name, count in sorted(counts.by_rule.items()))
    )
    assert counts.steps >= steps


def test_older_ones_are_counted_when_what_was_held_is_gone_and_others_have_come() -> None:
    model = StoreModel()
    model.begun(seed=0, tasks=0, ended=5)
    model.connection_is_cut(pick=0)
    model.quiet_comes(chance=0)
    model.connection_is_cut(pick=0)
    model.somebody_prunes(pick=0)
    model.backend_restarts(chance=0, forget=True)
    model.some_come_and_end(pick=0, times=3)
    model.somebody_prunes(pick=100)
    model.somebody_prunes(pick=56)
    model.quiet_comes(chance=0)
