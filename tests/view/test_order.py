"""The order list: what was touched one by one stands as if everything had been read anew."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.task_words import Group
from foundry_tui.view.groups import Grouping, Heading, Sorting
from foundry_tui.view.order import TaskOrder
from tests.app.factories import NOW, make_task, task_id

Tasks = dict[str, TaskSummary]


def order_of(tasks: Tasks) -> TaskOrder:
    return TaskOrder(lambda: tasks, lambda _: False)


def world(*tasks: TaskSummary) -> Tasks:
    return {task.task_id: task for task in tasks}


def headings(order: TaskOrder) -> list[tuple[str, int]]:
    return [(line.label, line.count) for line in order.lines if isinstance(line, Heading)]


def test_groups_stand_in_the_order_of_urgency_newest_first() -> None:
    tasks = world(
        make_task(1, TaskStatus.ARCHIVED),
        make_task(2, TaskStatus.IDLE),
        make_task(3, TaskStatus.RUNNING, needs_input=2),
        make_task(4, TaskStatus.ERROR),
        make_task(5, TaskStatus.QUEUED, created_at=NOW - 10),
        make_task(6, TaskStatus.QUEUED, created_at=NOW - 5),
        make_task(7, TaskStatus.KILLING),
    )
    order = order_of(tasks)
    assert headings(order) == [("Needs input", 1), ("Working", 2), ("Ready", 1), ("Failed", 1), ("Done", 2)]
    assert order.ids() == [task_id(number) for number in (3, 6, 5, 2, 4, 1, 7)]
    assert order.lines[2] is None, "a blank line stands above each heading but the first"


def test_an_ended_task_no_longer_asks() -> None:
    order = order_of(world(make_task(1, TaskStatus.KILLED, needs_input=1)))
    assert headings(order) == [("Done", 1)]


def test_grouping_by_repository() -> None:
    tasks = world(make_task(1, repo_label="b"), make_task(2, repo_label="a"), make_task(3, repo_label="b"))
    order = order_of(tasks)
    order.regroup(Grouping.REPO, Sorting.NEWEST)
    assert headings(order) == [("a", 1), ("b", 2)]


def test_sorting_by_title_and_change() -> None:
    tasks = world(
        make_task(1, title="beta", status_since=NOW - 1),
        make_task(2, title="Alpha", status_since=NOW - 3),
        make_task(3, title="gamma", status_since=NOW - 2),
    )
    order = order_of(tasks)
    order.regroup(Grouping.STATE, Sorting.TITLE)
    assert order.ids() == [task_id(2), task_id(1), task_id(3)]
    order.regroup(Grouping.STATE, Sorting.CHANGED)
    assert order.ids() == [task_id(1), task_id(3), task_id(2)]


def test_a_change_that_moves_nothing_asks_for_no_new_order() -> None:
    tasks = world(make_task(1, TaskStatus.RUNNING), make_task(2, TaskStatus.RUNNING))
    order = order_of(tasks)
    tasks[task_id(1)] = replace(tasks[task_id(1)], revision=9, title="another title")
    assert order.touch([task_id(1)]) is False
    tasks[task_id(1)] = replace(tasks[task_id(1)], status=TaskStatus.IDLE)
    assert order.touch([task_id(1)]) is True


def test_what_the_filter_hides_moves_nothing() -> None:
    tasks = world(make_task(1, TaskStatus.RUNNING, title="alpha"), make_task(2, TaskStatus.RUNNING, title="beta"))
    order = order_of(tasks)
    order.filter("alpha")
    tasks[task_id(2)] = replace(tasks[task_id(2)], status=TaskStatus.IDLE)
    assert order.touch([task_id(2)]) is False
    assert order.counts[Group.READY] == 1, "but it is counted"
    tasks[task_id(2)] = replace(tasks[task_id(2)], title="alphabet")
    assert order.touch([task_id(2)]) is True
    order.arrange()
    assert order.shown == 2


def test_nearest_is_the_task_below_or_else_above() -> None:
    order = order_of(world(make_task(1, TaskStatus.RUNNING), make_task(2, TaskStatus.IDLE)))
    assert [type(line).__name__ for line in order.lines] == ["Heading", "str", "NoneType", "Heading", "str"]
    assert order.nearest(0) == task_id(1)
    assert order.nearest(2) == task_id(2)
    assert order.nearest(99) == task_id(2)
    assert order_of({}).nearest(0) is None


steps = st.tuples(
    st.sampled_from(["put", "put", "put", "remove", "touch", "touch", "filter", "group", "arrange"]),
    st.integers(0, 8),
    st.sampled_from(list(TaskStatus)),
    st.sampled_from(["", "alpha", "status:failed", "!alpha", "repo:a"]),
)


@given(st.lists(steps, max_size=30))
@settings(max_examples=200)
def test_touching_ends_where_reading_anew_would(story: list[tuple[str, int, TaskStatus, str]]) -> None:
    tasks: Tasks = {}
    unheard: set[str] = set()
    order = order_of(tasks)
    for verb, number, status, query in story:
        id_ = task_id(number)
        if verb == "put":
            title = "alpha" if number % 2 else "beta"
            repo = "ab"[number % 2]
            tasks[id_] = make_task(number, status, title=title, repo_label=repo, needs_input=number % 3)
            unheard.add(id_)
        elif verb == "remove":
            tasks.pop(id_, None)
            unheard.add(id_)
        elif verb == "touch":
            order.touch(unheard)
            unheard.clear()
        elif verb == "filter":
            order.filter(query)
        elif verb == "group":
            order.regroup(list(Grouping)[number % 2], list(Sorting)[number % 4])
        else:
            order.arrange()
    order.touch(unheard)
    order.arrange()
    fresh = order_of(tasks)
    fresh.regroup(order.grouping, order.sorting)
    fresh.filter(order.query)
    assert order.lines == fresh.lines
    assert order.position == fresh.position
    assert order.counts == fresh.counts
    assert (order.shown, order.total) == (fresh.shown, fresh.total)


def test_a_task_gone_from_the_store_between_frames_breaks_no_filter() -> None:
    tasks = world(make_task(1), make_task(2))
    order = order_of(tasks)
    order.filter("login")
    del tasks[task_id(1)]
    order.filter("login re")
    order.touch([task_id(1)])
    order.arrange()
    assert order.ids() == [task_id(2)]


def test_a_host_has_a_column_while_tasks_live_on_several() -> None:
    tasks = world(make_task(1, host="build-7"), make_task(2, TaskStatus.KILLED, host="former"), make_task(3))
    order = order_of(tasks)
    assert order.needs.host == 0
    tasks["elsewhere"] = make_task(4, host="ci")
    order.touch(["elsewhere"])
    assert order.needs.host == 7
    tasks["elsewhere"] = make_task(4, TaskStatus.KILLED, host="ci")
    order.touch(["elsewhere"])
    assert order.needs.host == 0
