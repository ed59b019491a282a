"""The rules of forms: what each field takes, and what a person means by what is written."""

import pytest

from foundry_tui.contract import forms
from foundry_tui.contract.questions import FieldChoice, FieldType, FormField

AB = (FieldChoice(value="a", name="Alpha"), FieldChoice(value="b", name="Beta"))


def _field(type_: str, **rules: object) -> FormField:
    return FormField(name="f", type=FieldType(type_), **rules)  # type: ignore[arg-type]  # as a test gives them


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (_field("string", min=2, max=3), ["ab", "abc"], ["a", "abcd", 1, ["a"]]),
        (_field("string", pattern=r"^v\d+$"), ["v1"], ["1", "v"]),
        (_field("string", pattern=r"^(a+)+$"), ["a" * 60 + "!"], []),
        (_field("string", pattern="^" + "(a|a)" * 40 + "$"), ["a" * 40 + "!"], []),
        (_field("string", pattern="a?" * 40 + "a" * 40 + "$"), ["a" * 39 + "!"], []),
        (_field("string", pattern="^[a-z]+[a-z]+[a-z]+$"), ["a" * 9_000 + "!"], ["a" * 60 + "!"]),
        (_field("string", pattern=r"^\d+\.\d+\.\d+$"), ["1.20.3"], ["1.20", "v1.2.3"]),
        (_field("string", pattern="(?x)(a+) +b"), ["a" * 40], []),
        (_field("string", pattern="(a+)(?#c)+b"), ["a" * 40], []),
        (_field("string", pattern="(?P<a>a*)(?P=a)(?P=a)b"), ["a" * 9_000], []),
        (_field("string", pattern="(?u)a"), ["b"], []),
        (_field("string", pattern="a" * 1_001), ["b"], []),
        (_field("string", pattern="^(?:a|b)(?=c)(?!d)"), ["ac"], ["a", "ad"]),
        (_field("string", pattern="("), ["what Python does not know is not judged here"], []),
        (_field("string", format="email"), ["a@b.c"], ["a", "@b", "a b@c"]),
        (_field("string", format="uri"), ["https://a", "mailto:a@b"], ["a", "a b:c"]),
        (_field("string", format="date"), ["2026-08-31"], ["2026-8-31", "20260831", "2026-02-30", "2026-W35-1"]),
        (_field("string", format="date-time"), ["2026-08-31T12:00:00Z"], ["2026-08-31", "now"]),
        (_field("string", format="made-up"), ["anything"], []),
        (_field("number", min=0), [0, 0.5, 10**15], [-0.1, "1", True, float("inf"), float("nan"), 10**400]),
        (_field("integer", max=3), [3, 2.0, -1], [4, 2.5, "2", False]),
        (_field("boolean"), [True, False], ["true", 1, 0]),
        (_field("select", choices=AB), ["a"], ["Alpha", "c", ["a"], 1]),
        (_field("multiselect", choices=AB, min=1), [["a"], ["b", "a"], ("a",)], [[], "a", ["c"], ["a", "a"], [["a"]]]),
        (_field("colour"), ["what a newer backend asks for it judges itself"], []),
        (_field("string", required=True), [""], [None]),
    ],
)
def test_what_a_field_takes(field: FormField, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if forms.why_wrong(field, value) is not None] == []
    assert [value for value in bad if forms.why_wrong(field, value) is None] == []


def test_each_wrong_field_is_named() -> None:
    fields = (_field("string", required=True), _field("number"))
    assert set(forms.wrong_values(fields, {"f": "x", "g": 1})) == {"f", "g"}
    assert set(forms.wrong_values(fields[:1], {})) == {"f"}


@pytest.mark.parametrize(
    ("type_", "written", "meant"),
    [
        ("string", " as it is ", " as it is "),
        ("integer", " 4 ", 4),
        ("number", "4.5", 4.5),
        ("number", "four", "four"),
        ("boolean", "YES", True),
        ("boolean", "maybe", "maybe"),
        ("select", "beta", "b"),
        ("select", "b", "b"),
        ("multiselect", "Alpha", ("a",)),
    ],
)
def test_what_is_meant_by_what_is_written(type_: str, written: str, meant: object) -> None:
    assert forms.read_value(_field(type_, choices=AB), written) == meant


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (_field("string", min=3), "text, at least 3 characters"),
        (_field("string", max=1, format="email"), "text, email, at most 1 character"),
        (_field("integer", min=0, max=5), "a whole number, 0 to 5"),
        (_field("number", max=0), "a number, at most 0"),
        (_field("multiselect", min=2, max=2), "any of, exactly 2 choices"),
    ],
)
def test_what_a_field_takes_is_said(field: FormField, words: str) -> None:
    assert forms.needs(field) == words
