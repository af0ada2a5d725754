"""Signed tokens: for one purpose, by one of our keys, unforgeable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowserver.domain.tokens import Signer, number, short

SIGNER = Signer(["first key", "older key"])


@given(st.integers(0, 2**59))
def test_numbers_come_back(value):
    token = SIGNER.sign("track", short(value))
    assert number(SIGNER.open("track", token)) == value


@given(st.text(max_size=60))
def test_nothing_else_opens(text):
    assert SIGNER.open("track", text) is None


def test_a_token_is_good_for_its_purpose_only():
    token = SIGNER.sign("track", "77")
    assert SIGNER.open("leave", token) is None
    assert SIGNER.open("track", token) == "77"


@pytest.mark.parametrize(
    "change", [lambda t: "8" + t[1:], lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"), lambda t: t + "0"]
)
def test_a_changed_token_does_not_open(change):
    assert SIGNER.open("track", change(SIGNER.sign("track", "77"))) is None


def test_keys_can_be_changed():
    before, after = Signer(["older key"]), Signer(["new key"])
    assert SIGNER.open("track", before.sign("track", "1")) == "1"
    assert SIGNER.open("track", after.sign("track", "1")) is None
    assert SIGNER.salt != before.salt


@pytest.mark.parametrize("text", ["", "-1", "0x10", "g", "1" * 16, "٣", " 1", "1_0"])
def test_what_is_no_number(text):
    assert number(text) is None


def test_a_signer_needs_a_key():
    with pytest.raises(ValueError):
        Signer([])
    with pytest.raises(ValueError):
        Signer(["good", ""])
