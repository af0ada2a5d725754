"""What holds for every page: who may open it, its headers, its errors, its words."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask, abort, g, render_template_string
from werkzeug.routing import AnyConverter, IntegerConverter

from flowserver import errors
from flowserver.blueprints import console, fieldkit
from flowserver.blueprints.errors import problem
from flowserver.blueprints.limits import limiter
from flowserver.blueprints.say import message, say
from flowserver.blueprints.scope import _ALWAYS, PUBLIC
from flowserver.text import N_, Text
from tests.conftest import make_user


def first_part(rule):
    return rule.rule.strip("/").split("/")[0]


def fitting(converter):
    if isinstance(converter, IntegerConverter):
        return 1
    return min(converter.items) if isinstance(converter, AnyConverter) else "x"


def address(app, rule):
    """An address that fits a rule: numbers are 1, words x or one of those there are, the client is Caffè Lume."""
    values = {name: fitting(converter) for name, converter in rule._converters.items()}
    if "client" in values:
        values["client"] = "caffe-lume"
    return app.url_map.bind("").build(rule.endpoint, values)


def guarded(app):
    return [rule for rule in app.url_map.iter_rules() if first_part(rule) not in PUBLIC | _ALWAYS]


def of_clients(app):
    return [rule for rule in guarded(app) if rule.rule.startswith("/c/<client>")]


def calls(app, rules, browser):
    """Every rule with every method: ``(method, rule, answer)``."""
    for rule in rules:
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            yield method, rule, browser.open(address(app, rule), method=method)


# --- who may -------------------------------------------------------------------------------------------


def test_every_address_that_is_not_listed_needs_a_log_in(app, client, workspace):
    app.config["WTF_CSRF_ENABLED"] = False
    rules = guarded(app)
    assert len(rules) > 30
    for method, rule, answer in calls(app, rules, client):
        assert answer.status_code == 303 and answer.headers["Location"].startswith("/login"), f"{method} {rule}"


def test_a_stranger_finds_nothing_of_another_client(app, login, carol):
    rules = of_clients(app)
    assert len(rules) > 15
    for method, rule, answer in calls(app, rules, login(carol)):
        assert answer.status_code == 404, f"{method} {rule}"
        assert "Caffè Lume" not in answer.text


def test_a_client_user_changes_nothing(app, login, workspace):
    browser = login(make_user("client", "cleo@lume.example", workspace))
    for rule in guarded(app):
        for method in rule.methods - {"GET", "HEAD", "OPTIONS"}:
            if first_part(rule) not in ("profile", "logout"):
                assert browser.open(address(app, rule), method=method).status_code == 403, f"{method} {rule}"


def test_a_client_that_is_archived_is_not_found(login, bob, workspace, clock, db):
    workspace.archived_at = clock.now
    db.session.commit()
    assert login(bob).get("/c/caffe-lume/start").status_code == 404


def test_programs_are_told_to_log_in(client, workspace):
    answer = client.get("/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json["detail"]) == (403, "Log in first")


def test_links_inside_a_client_stay_inside(app, login, bob):
    page = login(bob).get("/c/caffe-lume/settings").text
    assert 'href="/c/caffe-lume/settings/connections"' in page


# --- CSRF ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/login",
        "/logout",
        "/reset",
        "/profile",
        "/profile/password",
        "/team",
        "/agency",
        "/c/caffe-lume/settings",
        "/c/caffe-lume/settings/keys",
    ],
)
def test_a_post_without_the_token_is_refused(app, login, alice, path):
    browser = login(alice)
    app.config["WTF_CSRF_ENABLED"] = True
    answer = browser.post(path, data={"email": "alice@agency.example", "password": "correct horse battery"})
    assert answer.status_code == 400
    assert "This page was open for too long" in answer.text and "Nothing was saved" in answer.text


def test_the_token_of_the_page_is_taken(app, client, bob):
    page = client.get("/login").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page).group(1)
    data = {"email": "bob@agency.example", "password": "correct horse battery", "csrf_token": token}
    assert client.post("/login", data=data).status_code == 303


def test_the_token_of_another_visitor_is_refused(app, bob):
    one, other = app.test_client(), app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', one.get("/login").text).group(1)
    other.get("/login")
    data = {"email": "bob@agency.example", "password": "correct horse battery", "csrf_token": token}
    assert other.post("/login", data=data).status_code == 400


# --- headers and markup --------------------------------------------------------------------------------


def test_pages_carry_the_content_policy_and_its_friends(login, bob):
    headers = login(bob).get("/").headers
    assert headers["Content-Security-Policy"].startswith("default-src 'self'; ")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "private, no-store"
    assert "Strict-Transport-Security" not in headers


def test_errors_carry_them_too(client, workspace):
    assert "default-src 'self'" in client.get("/nowhere").headers["Content-Security-Policy"]


def test_a_page_may_relax_one_directive(app):
    assert "frame-ancestors *;" in console.policy(frame_ancestors="*") + ";"
    assert "default-src 'self'" in console.policy(frame_ancestors="*")


def test_files_may_be_kept_by_browsers(client, workspace):
    assert "no-store" not in client.get("/static/app.css").headers.get("Cache-Control", "")


def test_no_page_has_scripts_styles_or_handlers_inline_or_files_from_elsewhere(app, login, alice):
    browser, seen = login(alice), 0
    for rule in app.url_map.iter_rules():
        if "GET" not in rule.methods or first_part(rule) in ("static", "bootstrap", "api", "metrics"):
            continue
        answer = browser.get(address(app, rule))
        if answer.mimetype != "text/html":
            continue
        seen += 1
        for tag in re.findall(r"<[a-z][^>]*>", answer.text):
            assert not re.search(r"\s(style|on[a-z]+)=", tag), f"{rule}: {tag}"
            assert not re.search(r"\s(src|href)=\"(https?:)?//", tag) or tag.startswith("<a "), f"{rule}: {tag}"
        assert not re.search(r"<script(?![^>]*\ssrc=)", answer.text) and "<style" not in answer.text, str(rule)
    assert seen > 20


def test_ids_on_a_page_are_unique(login, alice):
    for path in ("/", "/team", "/profile", "/sending", "/c/caffe-lume/settings", "/c/caffe-lume/settings/sending"):
        ids = re.findall(r'\sid="([^"]+)"', login(alice).get(path).text)
        assert len(ids) == len(set(ids)), path


# --- errors --------------------------------------------------------------------------------------------


def broken(app: Flask, error):
    """An address that raises ``error``."""
    app._got_first_request = False

    def view():
        raise error

    app.add_url_rule("/healthz/broken", f"broken{id(error)}", view)
    app._got_first_request = True
    return "/healthz/broken"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (errors.NotFound("caffe-lume"), 404, "This page does not exist"),
        (errors.NotFound(N_("This link was used already")), 404, "This link was used already"),
        (errors.Forbidden("Ask Alice"), 403, "Ask Alice"),
        (errors.Conflict(Text("“%(name)s” is in use", name="City")), 409, "“City” is in use"),
        (errors.TooLarge("At most 100 MB"), 413, "At most 100 MB"),
        (errors.Invalid({"name": ["Enter a name"], "steps": {"2": {"text": ["Write a text"]}}}), 422, "Write a text"),
        (errors.ProviderUnavailable("Mail server away"), 503, "Mail server away"),
    ],
)
def test_our_errors_become_pages_and_problems(app, client, workspace, error, status, words):
    path = broken(app, error)
    page = client.get(path)
    assert (page.status_code, page.mimetype) == (status, "text/html")
    assert words in page.text and "caffe-lume" not in page.text
    answer = client.get(path, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["type"] == f"urn:flowserver:problem:{error.slug}" and answer.json["status"] == status


def test_invalid_input_is_listed_by_field_for_programs(app, client, workspace):
    path = broken(app, errors.Invalid({"name": [N_("Enter a name")], "n": {"a": [Text("At most %(n)s", n=3)]}}))
    body = client.get(path, headers={"Accept": "application/json"}).json
    assert body["errors"] == {"name": ["Enter a name"], "n": {"a": ["At most 3"]}}


def test_a_bug_is_a_500_with_a_reference_and_no_secrets(app, client, workspace):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = client.get(broken(app, ZeroDivisionError("password hunter2")))
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text and "hunter2" not in answer.text
    assert re.search(r"<code>[0-9a-f]{8}</code>", answer.text)
    body = client.get("/healthz/broken", headers={"Accept": "application/json"}).json
    assert re.fullmatch("[0-9a-f]{8}", body["reference"])


def test_a_database_that_is_away_still_gets_a_page_in_words(app, login, bob, monkeypatch):
    from sqlalchemy.exc import OperationalError

    def away(*_):
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    app.config["PROPAGATE_EXCEPTIONS"] = False
    browser = login(bob)
    monkeypatch.setattr(app.login_manager, "_user_callback", away)
    answer = browser.get("/")
    assert answer.status_code == 500 and "Something broke on our side" in answer.text


def test_a_broken_transaction_is_rolled_back(app, login, bob, db):
    from flowserver.models import User

    app._got_first_request = False

    @app.get("/healthz/half")
    def half():
        db.session.add(User(email="half@x.example", role="admin"))
        db.session.flush()
        raise errors.Conflict("no")

    app._got_first_request = True
    assert login(bob).get("/healthz/half").status_code == 409
    assert db.session.query(User).filter_by(email="half@x.example").count() == 0


def test_a_wrong_method_is_named(login, bob):
    answer = login(bob).get("/logout")
    assert answer.status_code == 405 and "Allow" in answer.headers


def test_errors_stand_in_the_console_for_who_is_logged_in(login, bob, client):
    assert 'aria-label="Main"' in login(bob).get("/nowhere").text
    assert 'aria-label="Main"' not in client.get("/nowhere").text


def test_a_page_may_be_too_large(app, login, bob):
    app.config["MAX_CONTENT_LENGTH"] = 1000
    answer = login(bob).post("/profile", data={"name": "x" * 5000})
    assert answer.status_code == 413 and "This is too large" in answer.text


def test_a_problem_leaves_out_what_is_empty(app):
    with app.test_request_context("/"):
        assert problem(404, "not-found", "Gone").json == {
            "type": "urn:flowserver:problem:not-found",
            "title": "Gone",
            "status": 404,
        }


# --- limits --------------------------------------------------------------------------------------------


def test_too_many_wrong_log_ins_have_to_wait(app, client, bob):
    app.config["WTF_CSRF_ENABLED"] = False
    limits_on(app)
    tries = [client.post("/login", data={"email": f"{n}@x.example", "password": "x"}).status_code for n in range(25)]
    assert tries[:20] == [422] * 20 and tries[20:] == [429] * 5
    answer = client.post("/login", data={})
    assert "Too many tries" in answer.text and int(answer.headers["Retry-After"]) <= 60


def test_one_address_is_guessed_thirty_times_an_hour_from_anywhere(app, client, bob):
    app.config["WTF_CSRF_ENABLED"] = False
    limits_on(app)
    data = {"email": "Bob@agency.example ", "password": "x"}
    tries = [
        client.post("/login", data=data, environ_base={"REMOTE_ADDR": f"10.0.0.{n}"}).status_code for n in range(35)
    ]
    assert tries[:30] == [422] * 30 and set(tries[30:]) == {429}
    other = {"email": "alice@agency.example", "password": "x"}
    assert client.post("/login", data=other, environ_base={"REMOTE_ADDR": "10.0.0.1"}).status_code == 422


def test_without_redis_this_process_counts_alone(app, client, bob, tmp_path):
    app.config["WTF_CSRF_ENABLED"] = False
    limits_on(app, f"redis+unix://{tmp_path}/nobody.sock")
    tries = [client.post("/login", data={"email": f"{n}@x.example", "password": "x"}).status_code for n in range(22)]
    assert tries.count(422) == 20 and tries.count(429) == 2


def limits_on(app, uri="memory://"):
    app._got_first_request = False
    app.config.update(RATELIMIT_ENABLED=True, RATELIMIT_STORAGE_URI=uri)
    limiter._storage_uri = None
    limiter.init_app(app)
    limiter.reset() if uri == "memory://" else None
    app._got_first_request = True


# --- words ---------------------------------------------------------------------------------------------


def test_texts_are_said_with_their_values(app):
    with app.test_request_context("/"):
        assert say(Text("Wait %(n)s days", n=3)) == "Wait 3 days"
        assert say(Text("At %(step)s", step=Text("step %(n)s", n=2))) == "At step 2"
        assert say("100 %") == "100 %" and say(None) == "" and say(7) == "7"
        assert message("100 %%", {}) == "100 %%"
        assert message("“%(flow)s” is paused", {"flow": "A"}) == "“A” is paused"


@pytest.mark.parametrize(("locale", "shown"), [("en", "4,218"), ("it", "4.218"), ("pl", "4218")])
def test_numbers_are_written_as_the_language_does(app, locale, shown):
    with app.test_request_context("/"):
        console.speak(locale)
        assert console.number(4218) == shown
        assert console.number(None) == console.percent(None) == "–"


def test_times_are_shown_on_the_clients_clock(app, workspace, clock):
    moment = datetime(2026, 5, 14, 22, 30, tzinfo=UTC)
    with app.test_request_context("/"):
        g.workspace = workspace
        assert console.when(moment) == "15 May 2026, 00:30"
        assert console.hour(moment) == "00:30" and console.day(moment) == "Friday 15 May"
        assert console.day(date(2025, 5, 15)) == "Thursday 15 May 2025"
        assert console.ago(clock.now - timedelta(minutes=3)) == "3 minutes ago"
        console.speak("it")
        assert console.when(moment) == "15 mag 2026, 00:30"
        assert console.day(moment) == "venerdì 15 maggio"


def test_shares_and_spans_are_short(app):
    with app.test_request_context("/"):
        assert console.percent(0.462, 1) == "46.2 %" and console.percent(1) == "100 %"
        assert [console.seconds(value) for value in (4, 300, 7200)] == ["4 s", "5 min", "2 h"]
        assert [console.initials(name) for name in ("Caffè Lume", "bob@x.example", "X", "")] == ["CL", "BX", "X", "?"]


@pytest.mark.parametrize(("header", "locale"), [("pl,en;q=0.5", "pl"), ("it-IT", "it"), ("de", "en"), ("", "en")])
def test_strangers_are_addressed_in_their_browsers_language(client, workspace, header, locale):
    assert f'<html lang="{locale}"' in client.get("/login", headers={"Accept-Language": header}).text


def test_every_locale_is_known_everywhere():
    from flowserver.services.accounts import accounts

    assert tuple(console.LOCALES) == accounts.LOCALES


def test_nested_errors_are_listed_once_in_page_order(app):
    with app.test_request_context("/"):
        assert fieldkit.error_texts({"a": ["x", "x"], "b": {"c": ["y"]}}) == ["x", "y"]
        assert fieldkit.error_list({"a": ["x"], "_": ["all"]}) == [("a", "x"), ("", "all")]
        assert fieldkit.error_list(None) == []


def test_the_page_list_knows_which_pages_exist(app, workspace):
    with app.test_request_context("/"):
        g.workspace = workspace
        assert console.page_if("/c/%s/start") == "/c/caffe-lume/start"
        assert console.page_if("/c/%s/moonbase") == ""
        assert "/c/caffe-lume/settings" in [row[3] for row in console.client_nav()]


def test_strange_statuses_keep_their_own_words(app, client, workspace):
    app._got_first_request = False
    app.add_url_rule("/healthz/teapot", "teapot", lambda: abort(418))
    app._got_first_request = True
    assert client.get("/healthz/teapot").status_code == 418


def test_templates_count_in_words_and_escape_what_they_fill_in(app):
    with app.test_request_context("/"):
        words = "{{ ngettext('%(n)s of <b>', '%(n)s of <i>', 2, n=name) }} {{ _('50 %% of %(n)s', n=name) }}"
        assert render_template_string(words, name="<s>") == "&lt;s&gt; of <i> 50 % of &lt;s&gt;"
        assert render_template_string("{{ ngettext('%(num)s day', '%(num)s days', 1) }}") == "1 day"
