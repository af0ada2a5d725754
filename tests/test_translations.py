"""The catalogues: compiled as they are written, and every translation keeps the places of its sentence."""

import io
import re
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from flask_babel import gettext, ngettext

from flowserver.blueprints import console
from flowserver.blueprints.say import say
from flowserver.text import Text

FOLDER = Path(console.__file__).parents[1] / "translations"
LANGUAGES = sorted(path.parent.parent.name for path in FOLDER.glob("*/LC_MESSAGES/messages.po"))


def catalogue(language):
    return read_po(io.BytesIO((FOLDER / language / "LC_MESSAGES/messages.po").read_bytes()), locale=language)


def forms(value):
    return list(value) if isinstance(value, tuple | list) else [value]


def translated(found):
    """``{forms of the sentence: forms of its translation}``, without what the compiler fills with English."""
    pairs = [(forms(one.id), forms(one.string)) for one in found if one.id and any(forms(one.string))]
    return {tuple(id): said for id, said in pairs if len(id) == 1 or not set(said) <= set(id)}


def test_every_language_people_can_choose_has_a_catalogue():
    assert sorted({*LANGUAGES, "en"}) == sorted(console.LOCALES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_compiled_as_it_is_written(language):
    compiled = read_mo(io.BytesIO((FOLDER / language / "LC_MESSAGES/messages.mo").read_bytes()))
    assert translated(compiled) == translated(catalogue(language)), "run pybabel compile"


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_the_places_of_their_sentence(language):
    places = re.compile(r"%\(\w+\)[sd]|%%")
    for message in catalogue(language):
        wanted = set(places.findall(forms(message.id)[-1]))
        for said in filter(None, forms(message.string)):
            assert set(places.findall(said)) == wanted, message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_frame_and_the_door_are_translated(app, workspace, language):
    page = app.test_client().get("/login", headers={"Accept-Language": language}).text
    assert f'<html lang="{language}"' in page
    for english in ("Log in", "E-mail address", "I forgot my password"):
        assert english not in page


def test_texts_of_services_are_translated_where_they_are_shown(app):
    with app.test_request_context("/"):
        console.speak("it")
        assert say(Text("Use at least %(least)s characters for the password", least=10)).startswith("Usa almeno 10")
        assert say(Text("Nobody translated this %(n)s", n=1)) == "Nobody translated this 1"
        assert gettext("Nothing is known here") == "Nothing is known here"
        assert ngettext("%(num)s strange thing", "%(num)s strange things", 2) == "2 strange things"
