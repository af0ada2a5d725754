"""Definitions as canonical text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowserver.domain import flowtext
from flowserver.errors import Invalid

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(words, values, max_size=4))
def test_what_was_written_is_read_as_it_was_and_written_as_the_same_bytes(definition):
    text = flowtext.dump(definition)
    assert flowtext.load(text) == definition
    assert flowtext.dump(flowtext.load(text)) == text


@pytest.mark.parametrize(
    "value", ["a\r\nb", "\x85", "\n\x89", "a\u2028b", "\ufeff", "a \n b", "\n", "x\n\n", " a", "#x", "a: b"]
)
def test_odd_texts_come_back(value):
    text = flowtext.dump({"a": value, "b": [{value: 1}]})
    assert flowtext.load(text) == {"a": value, "b": [{value: 1}]} and flowtext.dump(flowtext.load(text)) == text


def test_words_and_dates_are_text():
    read = flowtext.load("name: yes\nno: on\nday: 2026-12-01\nat: 09:00\nlist: '12'\nid: 12\n")
    assert read == {"name": "yes", "no": "on", "day": "2026-12-01", "at": "09:00", "list": "12", "id": 12}


def test_texts_of_several_lines_are_readable():
    text = flowtext.dump({"name": "Two", "text": "Hello\nthere"})
    assert text == "name: Two\ntext: |-\n  Hello\n  there\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1\nb: *x\n", "Line 1 uses an alias, an anchor or a tag"),
        ("a: !!binary aGk=\n", "Line 1 uses"),
        ("a: !x {b: 1}\n", "Line 1 uses"),
        ("a: 1\na: 2\n", "Line 2 is no YAML"),
        ("a: [1\n", "is no YAML"),
        ("- a\n", "must hold one flow"),
        ("", "must hold one flow"),
        ("--- {a: 1}\n--- {b: 2}\n", "is no YAML"),
        ("a: " + "x" * 512 * 1024, "more than 524,288 characters"),
        ("a: \0\n", "is no YAML"),
        ("[" * 100_000, "at most 64 deep"),
        ("{" * 100_000, "at most 64 deep"),
        ("- " * 10_000, "at most 64 deep"),
        ("? " * 10_000, "at most 64 deep"),
        ('name: "a\\0b"\n', "Leave out the character NUL"),
        ('a: [{b: "\\ud800"}]\n', "halves of characters"),
        ('"\\ud800": 1\n', "every key as a plain word"),
        ("? [a]\n: 1\n", "every key as a plain word"),
        (f"a: {10**40}\n", "Use a smaller number"),
        ("a: .nan\n", "Use a smaller number"),
        ("a: -.inf\n", "Use a smaller number"),
    ],
)
def test_what_is_no_definition_is_told_with_its_line(text, said):
    with pytest.raises(Invalid) as caught:
        flowtext.load(text)
    assert said in str(caught.value)
