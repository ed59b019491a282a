"""What is being named where the cursor stands, and what a text that is sent names."""

import pytest
from hypothesis import given, settings

from foundry_tui.contract.file_names import written
from foundry_tui.view.mentions import Naming, Query, mention_of, mentioned, query_of
from tests.contract.test_file_names import NAMES


@pytest.mark.parametrize(
    ("line", "first", "query"),
    [
        ("/", True, Query(Naming.COMMAND, 0, "")),
        ("/rev", True, Query(Naming.COMMAND, 0, "rev")),
        ("/rev", False, None),
        ("/rev it", True, None),
        (" /rev", True, None),
        ("see @", True, Query(Naming.FILE, 4, "")),
        ("see (@a/b", False, Query(Naming.FILE, 5, "a/b")),
        ("@", False, Query(Naming.FILE, 0, "")),
        ('in @"my fi', True, Query(Naming.FILE, 3, "my fi")),
        ('in @"my file" ', True, None),
        ("/rev @a", True, Query(Naming.FILE, 5, "a")),
        ("me@example", True, None),
        ("@a b", True, None),
    ],
)
def test_what_is_being_named(line: str, first: bool, query: Query | None) -> None:
    assert query_of(line, first=first) == query


KNOWN = frozenset({"a.py", "src/b.py", "my file.txt", "what?", "a.py."})


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("@a.py and @src/b.py", ("a.py", "src/b.py")),
        ("(@a.py), @a.py!", ("a.py",)),
        ("@a.py.", ("a.py.",)),
        ("is it @what??", ("what?",)),
        ('@"my file.txt"; @my file.txt', ("my file.txt",)),
        ("me@a.py or @nothing or a.py", ()),
        ('line\n@a.py\n@"src/b.py"', ("a.py", "src/b.py")),
    ],
)
def test_what_a_text_names(text: str, paths: tuple[str, ...]) -> None:
    assert mentioned(text, KNOWN, 20) == paths


def test_no_more_are_named_than_a_prompt_may_have() -> None:
    assert mentioned("@a.py @src/b.py @what?", KNOWN, 2) == ("a.py", "src/b.py")


@given(NAMES.filter(lambda name: "\0" not in name))
@settings(max_examples=100)
def test_whatever_a_file_is_called_its_mention_names_it(name: str) -> None:
    path = written(name)
    mention = mention_of(path)
    assert mention.isprintable()
    assert mentioned(f"look at {mention} now", {path}, 20) == (path,)
    assert mentioned(mention, {path}, 20) == (path,)
