"""Templates: the fast path says what the engine says, limits hold, mistakes have lines."""

import liquid as engine
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowserver.domain import liquid
from flowserver.errors import Invalid

PIECES = [
    "text ",
    " <b>&amp;</b>\n",
    "{{ contact.first_name }}",
    "{{contact.first_name|default:'you'}}",
    '{{ contact.missing | default: "no <one> & more" }}',
    "{{ contact.n }}",
    "{{ contact.yes }}",
    "{{ contact.first_name | upcase | append: '!' }}",
    "{% if contact.n > 2 %}many {{ contact.first_name }}{% else %}few{% endif %}",
    "{% unless contact.no %}{{ contact.missing | default: 'x' }}{% endunless %}",
    "{% for i in (1..3) %}{{ i }}{{ contact.n }}{% if i == 2 %}{% break %}{% endif %}{% endfor %}",
    "{% case contact.plan %}{% when 'pro' %}P{% else %}F{% endcase %}",
    "{% assign word = contact.first_name | downcase %}",
    "{{ word }}",
    "{{ word | default: 'unset' }}",
    "{% assign one = contact %}{{ one.first_name }}",
    "{% capture box %}[{{ contact.plan }}]{% endcapture %}",
    "{{ box }}",
    " {{- contact.n -}} ",
    "\n{%- if contact.yes -%} tight {%- endif -%}\n",
    "{% comment %}{% if %} nothing{% endcomment %}",
    "{% raw %}{{ contact.n }}{% endraw %}",
    "{% increment c %}",
    "{% cycle 'a', 'b' %}",
    "{{ contact.size }}",
    "{{ contact.tags | join: ',' }}",
]
VALUES = st.fixed_dictionaries(
    {
        "first_name": st.one_of(st.text(max_size=8), st.sampled_from(["", "Zoë <b>", 'O\'Neil & "Sons"'])),
        "n": st.one_of(st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False, width=16), st.none()),
        "plan": st.sampled_from(["pro", "free", "", None]),
        "yes": st.booleans(),
        "no": st.sampled_from([False, None, 0, 1]),
        "tags": st.lists(st.text(max_size=3), max_size=3),
    }
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=7), VALUES, st.booleans())
def test_the_fast_path_says_what_the_engine_says(pieces, contact, escape):
    source = "".join(pieces)
    whole = engine.Environment(autoescape=escape).from_string(source).render(contact=contact)
    made = liquid.compile(source, escape=escape).render({"contact": contact})
    assert made.rstrip("\n") == whole.rstrip("\n")  # the engine swallows a last line feed after a trimmed tag
    again = liquid.compile(source, escape=escape)
    assert again.render({"contact": contact}) == again.render({"contact": contact})


def test_remembered_results_do_not_mix_up_values_that_look_alike():
    template = liquid.compile("{% if true %}{{ contact.v }}{% endif %}")
    said = [template.render({"contact": {"v": v}}) for v in (True, 1, 1.0, "1", False, 0, None, "true")]
    assert said == ["true", "1", "1.0", "1", "false", "0", "", "true"]


def test_plain_variables_need_no_engine():
    assert liquid.compile("Hi {{ contact.first_name | default: 'you' }}, {{ workspace.name }}").plain
    assert not liquid.compile("Hi {{ contact.first_name | upcase }}").plain


def test_constants_are_written_into_the_text():
    template = liquid.compile("{{ workspace.name }}: hi", escape=True, constants={"workspace": {"name": "A & B"}})
    assert template.parts == ("A &amp; B: hi",)


def test_html_is_escaped_and_text_is_not():
    values = {"contact": {"first_name": "<b>&'\""}}
    assert liquid.compile("{{ contact.first_name }}", escape=True).render(values) == "&lt;b&gt;&amp;&#39;&#34;"
    assert liquid.compile("{{ contact.first_name }}").render(values) == "<b>&'\""
    assert liquid.compile("{{ contact.first_name | append: '' }}", escape=True).render(values).startswith("&lt;b&gt;")


def test_it_names_variables_and_those_without_a_fallback():
    source = (
        "{{ contact.first_name }} {{ contact.last_name | default: 'x' }}"
        "{% if contact.city %}{{ contact.city }}{% endif %}{{ contact.plan | upcase }}"
    )
    template = liquid.compile(source)
    assert template.variables == {"contact.first_name", "contact.last_name", "contact.city", "contact.plan"}
    assert template.bare == {"contact.first_name", "contact.plan"}


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{{ contact.x | }}", 1),
        ("one\ntwo {% if contact.x %}\nthree", 3),
        ("a\n{% nosuch %}", 2),
        ("a\n\n{{ contact.x", 3),
        ("{% if %}x{% endif %}", 1),
        ("a\n{{ contact.x | nosuch }}", 2),
        ("{% if contact.never %}\n{{ contact.x | nosuch }}{% endif %}", 2),
        ("{% include 'secret' %}", 1),
        ("{{ contact.x | safe }}", 1),
    ],
)
def test_mistakes_are_named_with_the_text_they_stand_in(source, line):
    with pytest.raises(Invalid) as caught:
        liquid.compile(source, field="body")
    assert f"“{source.splitlines()[line - 1]}”" in str(caught.value.messages["body"][0])


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..100000000) %}x{% endfor %}",
        "{% for i in (1..5000) %}{% for j in (1..5000) %}x{% endfor %}{% endfor %}",
        "{% assign x = 'aaaaaaaaaa' %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}",
    ],
)
def test_a_template_cannot_run_away(source):
    with pytest.raises(Invalid):
        liquid.compile(source).render({"contact": {}})


def test_a_very_long_template_is_refused():
    with pytest.raises(Invalid):
        liquid.compile("x" * (liquid.LONGEST + 1))
