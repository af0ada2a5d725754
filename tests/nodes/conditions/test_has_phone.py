"""Has a mobile number."""

import pytest

from flowserver.nodes.conditions.has_phone import HasPhone

from ..kit import holds, mistakes, names, person

SAMPLES = [{}]


@pytest.mark.parametrize(("phone", "answer"), [("+393331234567", True), (None, False), ("", False)])
def test_a_number_is_there_or_not(phone, answer):
    assert holds(HasPhone, {}, person(phone=phone, sms_consent="withdrawn")) is answer


def test_it_takes_no_settings():
    assert mistakes(HasPhone, {"phone": "x"}) == {"phone": ["Unknown setting"]}
    assert HasPhone({}).question(names) == "Has a mobile number?"
