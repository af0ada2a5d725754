"""Remarks on the text of a message: what is broken is blamed on its own words."""

from flowserver.domain import content_checks


def _fixes(**content):
    return [(one.field, str(one.text)) for one in content_checks.email(content) if one.kind == "fix"]


def test_what_is_left_open_is_blamed_on_its_own_words_and_each_piece_is_told():
    body = [{"type": "text", "text": "Hello {{ contact.foo | default: 'x' "}]
    assert _fixes(subject="{% if", body=body) == [
        ("subject", "“{% if” cannot be read: missing tag name or closing delimiter"),
        ("body", "“Hello {{ contact.foo | default: 'x'” cannot be read: expected '}}', found end of file"),
    ]
    across = [{"type": "text", "text": "{% if contact.first_name %}Hi"}, {"type": "text", "text": "{% endif %}"}]
    assert _fixes(subject="A", body=across) == []


def test_a_text_that_repeats_too_much_is_a_finding_and_no_surprise():
    loop = "{% for i in (1..99999999) %}x{% endfor %}"
    assert _fixes(subject=loop, body=[{"type": "text", "text": "x"}]) == [
        ("subject", "The template repeats or produces too much")
    ]
    found = content_checks.text_message({"text": loop})
    assert [(one.kind, one.field) for one in found] == [("fix", "text")]
