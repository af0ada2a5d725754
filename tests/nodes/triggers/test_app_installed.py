"""Installing an app."""

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.app_installed import AppInstalled

from ..kit import NOW, mistakes, names

SAMPLES = [{}, {"app": "Lume"}]


def test_it_admits_the_app_by_its_name():
    assert AppInstalled({}).admits(Fact("app_installed", NOW, ""))
    assert AppInstalled({"app": "lume"}).admits(Fact("app_installed", NOW, "Lume"))
    assert not AppInstalled({"app": "lume"}).admits(Fact("app_installed", NOW, ""))


def test_once_is_the_default_because_people_install_an_app_again():
    assert AppInstalled.reentry == "once"


def test_bad_answers_are_refused_at_their_field():
    assert mistakes(AppInstalled, {"app": "x" * 121}) == {"app": ["Use 120 characters at most"]}


def test_it_says_how_the_flow_starts():
    assert AppInstalled({}).sentence(names) == "When a contact installs the app"
    assert AppInstalled({"app": "Lume"}).sentence(names) == "When a contact installs Lume"
