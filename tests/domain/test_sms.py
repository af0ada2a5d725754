"""Segments, senders, stop words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowserver.domain import sms
from flowserver.errors import Invalid


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments", "left"),
    [
        ("", "GSM-7", 0, 0, 160),
        ("a" * 160, "GSM-7", 160, 1, 0),
        ("a" * 161, "GSM-7", 161, 2, 145),
        ("a" * 306, "GSM-7", 306, 2, 0),
        ("a" * 307, "GSM-7", 307, 3, 152),
        ("€" * 80, "GSM-7", 160, 1, 0),  # an extended character counts twice
        ("€" * 81, "GSM-7", 162, 2, 143),
        ("a" * 152 + "€" + "a" * 10, "GSM-7", 164, 2, 141),  # and is never cut in two
        ("ą" * 70, "UCS-2", 70, 1, 0),
        ("ą" * 71, "UCS-2", 71, 2, 63),
        ("ą" * 134, "UCS-2", 134, 2, 0),
        ("ą" * 135, "UCS-2", 135, 3, 66),
        ("😀" * 35, "UCS-2", 70, 1, 0),
        ("😀" * 36, "UCS-2", 72, 2, 61),  # 33 of them fit into 67 units
        ("@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\n", "GSM-7", 43, 1, 117),
    ],
)
def test_segments(text, encoding, units, segments, left):
    found = sms.count(text)
    assert (found.encoding, found.units, found.segments, found.left) == (encoding, units, segments, left)


@given(st.text(max_size=400))
def test_a_longer_text_never_takes_fewer_segments(text):
    assert sms.count(text).segments <= sms.count(text + "a").segments
    assert sms.count(sms.plain(text)).units >= 0


@pytest.mark.parametrize(
    ("char", "plain"),
    [("’", "'"), ("“", '"'), ("–", "-"), ("ł", "l"), ("ą", "a"), ("ê", "e"), ("😀", None), ("я", None)],
)
def test_it_names_the_character_and_a_plain_way_to_write_it(char, plain):
    found = sms.count(f"ok {char} ok")
    assert (found.culprit, found.replacement) == (char, plain)
    if plain is not None:
        assert sms.count(sms.plain(f"ok {char} ok")).encoding == "GSM-7"


@pytest.mark.parametrize(
    ("sender", "good"),
    [
        ("CaffeLume", True),
        ("Caffe Lume", True),
        ("A1", True),
        ("+393331234567", True),
        ("12345", False),
        ("TwelveLetter", False),
        ("Caffè", False),
        ("", False),
        (" A", False),
        ("+0123456", False),
        ("A\nB", False),
    ],
)
def test_who_may_be_the_sender(sender, good):
    assert sms.is_sender(sender) == good


@pytest.mark.parametrize(
    ("name", "sender"),
    [
        ("Caffè Lume", "Caffe Lume"),
        ("Kino Pod Lipą", "Kino Pod Li"),
        ("Łódź", "Lodz"),
        ("123", "Info"),
        ("漢字", "Info"),
    ],
)
def test_a_sender_is_made_of_the_clients_name(name, sender):
    assert sms.sender_from(name) == sender


@pytest.mark.parametrize(
    "text", ["STOP", "stop", " Stop. ", "STOP please", "Basta!", "rezygnuję", "opt-out", "Stop all"]
)
def test_words_that_mean_stop(text):
    assert sms.is_stop(text)


@pytest.mark.parametrize(
    "text", ["", "Yes", "I do not want to stop", "Stop sending so many of these mails", "non-stop"]
)
def test_words_that_do_not(text):
    assert not sms.is_stop(text)


def test_a_text_reads_the_contact_and_escapes_nothing():
    template = sms.compile_sms(
        {"text": " Hi {{ contact.first_name | default: 'you' }} & {{ workspace.name }}"}, "CaffeLume"
    )
    assert template.render({"first_name": "<Ada>"}, {"name": "L"}) == "Hi <Ada> & L"
    with pytest.raises(Invalid) as caught:
        sms.compile_sms({"text": "x", "sender": "TwelveLetters"}, "CaffeLume")
    assert "sender" in caught.value.messages


def test_what_deserves_a_look():
    assert list(sms.checks("plain")) == []
    assert "“’”" in next(sms.checks("it’s"))
    assert "2 segments" in next(iter(sms.checks("a" * 200)))
