"""Rules made of conditions, with conditions made for the purpose."""

import itertools

import pytest

from flowserver.domain import rules
from flowserver.errors import Invalid
from flowserver.text import Text


class Says:
    """A condition that answers what it is told."""

    def __init__(self, settings):
        self.answer = settings["answer"]

    @classmethod
    def load(cls, raw, revision=1):
        if "answer" not in raw:
            raise Invalid({"answer": [Text("Say what")]})
        return dict(raw)

    def holds(self, item, ctx):
        return self.answer

    def question(self, names):
        return Text("Is it %(answer)s?", answer=self.answer)


KNOWN = {"says": Says}


def says(answer):
    return {"type": "says", "answer": answer}


def holds(raw):
    return rules.parse(raw, KNOWN).holds(None, None)


@pytest.mark.parametrize("answers", list(itertools.product([True, False], repeat=3)))
def test_all_any_and_not(answers):
    parts = [says(answer) for answer in answers]
    assert holds(parts[0]) is answers[0]
    assert holds({"all": parts}) is all(answers)
    assert holds({"any": parts}) is any(answers)
    assert holds({"not": parts[0]}) is not answers[0]
    assert holds({"not": {"any": parts}}) is not any(answers)
    assert holds({"all": [{"any": parts[:2]}, {"not": parts[2]}]}) is (any(answers[:2]) and not answers[2])


def test_every_condition_is_found_in_order():
    rule = rules.parse({"all": [says(1), {"any": [says(2), says(3)]}, {"not": says(4)}]}, KNOWN)
    assert [condition.answer for condition in rule.conditions()] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        (None, {"_": ["Choose what to ask"]}),
        ([], {"_": ["Choose what to ask"]}),
        ({"type": "sings"}, {"type": ["There is no condition “sings”"]}),
        ({"type": "says"}, {"answer": ["Say what"]}),
        ({"any": None}, {"any": ["Ask 1 to 10 things"]}),
        ({"any": []}, {"any": ["Ask 1 to 10 things"]}),
        ({"any": [says(1)] * 11}, {"any": ["Ask 1 to 10 things"]}),
        ({"not": None}, {"not": ["Choose what to ask"]}),
        ({"not": [says(1)]}, {"not": ["Choose what to ask"]}),
        ({"all": [says(1), {"type": "says"}, None]}, {"all": {1: {"answer": ["Say what"]}, 2: ["Choose what to ask"]}}),
        ({"not": {"not": {"not": says(1)}}}, {"not": {"not": ["Conditions can be grouped once"]}}),
    ],
)
def test_mistakes_have_the_shape_of_the_rule(raw, wrong):
    with pytest.raises(Invalid) as error:
        rules.parse(raw, KNOWN)
    assert error.value.messages == wrong


def test_the_question_can_be_translated():
    question = rules.parse({"any": [{"not": says("late")}, says("early")]}, KNOWN).question(None)
    assert question == "Not: Is it late? Or 1 more"
    assert question.msgid == "%(first)s Or %(n)s more"
    assert question.params["first"].params["question"].msgid == "Is it %(answer)s?"
