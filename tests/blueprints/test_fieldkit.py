"""What the summary of a form's errors says."""

from __future__ import annotations

import pytest
import wtforms

from flowserver.blueprints.fieldkit import error_list


@pytest.mark.parametrize(
    ("label", "text", "said"),
    [
        ("Tag", "Choose a tag", "Choose a tag"),
        ("Tag", "Choose a stage", "Tag: Choose a stage"),
        ("Price", "Write a number", "Price: Write a number"),
        ("Name of the list", "Enter a name", "Enter a name"),
    ],
)
def test_an_error_names_its_field_where_it_does_not_say_which_one_is_meant(app, label, text, said):
    class Page(wtforms.Form):
        one = wtforms.StringField(label)

    form = Page()
    form.one.errors = [text]
    with app.test_request_context():
        assert error_list(form) == [("one", said)]
