"""Filling in a form."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.form_filled import FormFilled

from ..kit import NOW, mistakes, names

SAMPLES = [{"scope": "any"}, {"scope": "form", "form": 3}, {"form": 3}]


def test_it_is_any_form_or_that_one():
    one, any_ = FormFilled(FormFilled.load({"form": 3})), FormFilled(FormFilled.load({}))
    assert one.admits(Fact("form_filled", NOW, "3")) and not one.admits(Fact("form_filled", NOW, "33"))
    assert any_.admits(Fact("form_filled", NOW, "33")) and FormFilled.reentry == "after_finish"


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"scope": "form"}, {"form": ["Choose the form"]}),
        ({"scope": "any", "form": 3}, {"form": ["Choose “one form” to name a form"]}),
        ({"scope": "all"}, {"scope": ["Choose any form or one form"]}),
        ({"form": -1}, {"form": ["Choose one"]}),
    ],
)
def test_bad_answers_are_refused(raw, wrong):
    assert mistakes(FormFilled, raw) == wrong


def test_the_form_sends_a_form_only_with_one_form():
    assert FormFilled.Form(data={"scope": "any", "form": 3}).to_settings() == {"scope": "any"}
    assert FormFilled.Form(data={"scope": "form", "form": 3}).to_settings() == {"scope": "form", "form": 3}


def test_it_says_how_the_flow_starts():
    assert FormFilled({"scope": "any"}).sentence(names) == "When a contact fills in any form"
    assert FormFilled({"scope": "form", "form": 3}).sentence(names) == "When a contact fills in the form the form 3"
