"""What a question asks and what it was answered with, as lines."""

from foundry_tui.contract.questions import FieldChoice, FieldType, FormField
from foundry_tui.view.questions import field_name, field_title


def _asked_twice() -> list[FormField]:
    """The fields that claude asks two questions with: each has one for an answer of one's own."""
    choices = (FieldChoice(value="a", name="A"),)
    return [
        field
        for place, title in enumerate(("Database", "Cache"))
        for field in (
            FormField(name=f"question_{place}", title=title, type=FieldType.SELECT, choices=choices),
            FormField(name=f"question_{place}_custom", title="Other", type=FieldType.STRING),
        )
    ]


def test_fields_that_are_called_the_same_say_what_they_belong_to() -> None:
    fields = _asked_twice()
    told = ["Database", "Other (Database)", "Cache", "Other (Cache)"]
    assert [field_title(field, fields) for field in fields] == told
    assert field_name(fields[1], fields, named=True) == "Other (Database) (question_0_custom)"


def test_a_field_that_alone_is_called_so_is_called_so() -> None:
    fields = _asked_twice()[:2]
    assert [field_title(field, fields) for field in fields] == ["Database", "Other"]


def test_of_fields_that_belong_to_none_the_name_tells_them_apart() -> None:
    fields = [FormField(name=name, title="Size", type=FieldType.INTEGER) for name in ("width", "height")]
    assert [field_title(field, fields) for field in fields] == ["Size (width)", "Size (height)"]
