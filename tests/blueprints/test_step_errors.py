"""What is wrong with a step's settings is said at the field that asks for them, also where the names differ."""

import pytest

from flowserver.services.flows import flows


@pytest.mark.parametrize(
    ("step", "posted", "field", "words", "typed"),
    [
        (
            {"type": "wait", "for": {"days": 1}},
            {"kind": "date", "date": "31/02/2026", "time": "09:00"},
            "date",
            "Enter a date such as 2026-12-01",
            "31/02/2026",
        ),
        (
            {"type": "wait", "for": {"days": 1}},
            {"kind": "time", "time": "9 am"},
            "time",
            "Enter a time such as 09:00",
            "9 am",
        ),
        (
            {"type": "wait", "for": {"days": 1}},
            {"kind": "weekday", "weekday": "someday", "time": "09:00"},
            "weekday",
            "Choose a day of the week",
            "",
        ),
        (
            {"type": "wait", "for": {"days": 1}},
            {"kind": "for", "for-amount": "-1", "for-unit": "days"},
            "for",
            "The waiting time cannot be below 0",
            'value="-1"',
        ),
        (
            {"type": "set_field", "field": "first_name", "value": "x"},
            {"field": "last_name", "way": "add", "value": "many"},
            "value",
            "Enter a whole number",
            "many",
        ),
    ],
)
def test_a_mistake_stands_at_its_field_and_what_was_typed_is_kept(
    login, bob, workspace, step, posted, field, words, typed
):
    trigger = {"type": "list_joined", "scope": "any"}
    flow = flows.create({"name": "Flow", "trigger": trigger, "steps": [{"key": "one", **step}]})
    answer = login(bob).post(f"/c/caffe-lume/flows/{flow.id}/steps/one", data=posted)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    start = page.index(f'id="{field}-e"')
    assert words in page[start : start + 600]
    assert typed in page
    assert flows.get(flow.id).draft["steps"][0] == {"key": "one", **step}
