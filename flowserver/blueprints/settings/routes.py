"""A client's settings: what it is, how it sends, its own fields, keys for programs, addresses left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flowserver.blueprints import keykit
from flowserver.blueprints.fieldkit import add_errors, page, sent
from flowserver.blueprints.keykit import KeyForm
from flowserver.blueprints.places import countries, time_zones
from flowserver.blueprints.say import say
from flowserver.blueprints.scope import me
from flowserver.blueprints.settings.forms import (
    ConnectionForm,
    FieldForm,
    GeneralForm,
    ReasonForm,
    SendingForm,
    SuppressionForm,
    provider_form,
    provider_settings,
    whole,
)
from flowserver.errors import Conflict, Invalid, ProviderError
from flowserver.services.accounts import api_keys, settings
from flowserver.services.messages import connections
from flowserver.services.people import fields, suppressions

bp = Blueprint("settings", __name__, url_prefix="/c/<client>/settings")

TABS = (
    ("general", "settings.general"),
    ("sending", "settings.sending"),
    ("connections", "settings.connection_list"),
    ("fields", "settings.field_list"),
    ("keys", "settings.key_list"),
    ("suppressions", "settings.suppression_list"),
)


@bp.context_processor
def _tabs() -> dict[str, Any]:
    if g.workspace is None:  # an error page on the way in
        return {}
    words = {
        "general": _("General"),
        "sending": _("Sender and limits"),
        "connections": _("Connections"),
        "fields": _("Contact fields"),
        "keys": _("API keys"),
        "suppressions": _("Do not contact"),
    }
    tabs = [(words[key], url_for(endpoint), key) for key, endpoint in TABS]
    return {"settings_tabs": tabs, "hook_address": connections.hook_address}


def _saved(form: Any, save: Callable[..., Any], template: str, back: str, **values: Any) -> ResponseReturnValue:
    """Show a form; on POST save its data. Mistakes come back at their fields."""
    if request.method == "POST":
        try:
            save(g.workspace, **{name: value if value is not None else "" for name, value in form.data.items()})
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The settings are saved."))
            return redirect(url_for(back), 303)
    return page(template, form, **values)


@bp.route("", methods=["GET", "POST"])
def general() -> ResponseReturnValue:
    form = GeneralForm(sent(), obj=g.workspace)
    form.time_zone.choices, form.country.choices = time_zones(g.workspace.time_zone), countries()
    return _saved(form, settings.save_general, "settings/general.html", "settings.general")


@bp.route("/sending", methods=["GET", "POST"])
def sending() -> ResponseReturnValue:
    form = SendingForm(sent(), obj=g.workspace)
    return _saved(form, settings.save_sending, "settings/sending.html", "settings.sending")


# --- connections ---------------------------------------------------------------------------------------


def _offered(channel: str) -> dict[str, Any]:
    """The providers a person may choose; the one that keeps messages in memory is for tests."""
    return {name: cls for name, cls in connections.providers(channel).items() if name != "memory"}


@bp.get("/connections")
def connection_list() -> str:
    rows = connections.listing()
    waiting = {row.id: connections.waiting([row.id]) for row in rows}
    offered = [(channel, name, cls) for channel in connections.CHANNELS for name, cls in _offered(channel).items()]
    titles = {(channel, name): cls.title for channel, name, cls in offered}
    return render_template("settings/connections.html", rows=rows, waiting=waiting, offered=offered, titles=titles)


@bp.route("/connections/new/<channel>/<provider>", methods=["GET", "POST"])
def new_connection(channel: str, provider: str) -> ResponseReturnValue:
    if channel not in connections.CHANNELS or provider not in _offered(channel):
        abort(404)
    cls = connections.provider_class(channel, provider)
    form = provider_form(cls)(sent(), data={"name": str(say(cls.title)), **_defaults(cls)})
    return _connection_page(form, cls, None)


@bp.route("/connections/<int:connection_id>", methods=["GET", "POST"])
def connection(connection_id: int) -> ResponseReturnValue:
    row = connections.get(connection_id)
    cls = connections.provider_class(row.channel, row.provider)
    kept = {f"set_{name}": value for name, value in connections.masked(row).items()}
    form = provider_form(cls)(
        sent(), data={**_defaults(cls), **kept, "name": row.name, "per_minute": row.per_minute or ""}
    )
    return _connection_page(form, cls, row)


def _defaults(cls: Any) -> dict[str, Any]:
    return {f"set_{name}": value for name, value in cls.load({}).items() if value is not None} if _loads(cls) else {}


def _loads(cls: Any) -> bool:
    try:
        cls.load({})
    except Invalid:
        return False
    return True


def _connection_page(form: ConnectionForm, cls: Any, row: Any) -> ResponseReturnValue:
    if request.method == "POST":
        try:
            _save_connection(form, cls, row)
        except Invalid as error:
            add_errors(form, error.messages)
        except ProviderError as error:
            add_errors(form, {"_": [_("It did not work: %(reason)s", reason=say(error.args[0] if error.args else ""))]})
            return page("settings/connection.html", form, provider=cls, row=row, refused=True)
        else:
            flash(_("The connection is saved."))
            return redirect(url_for("settings.connection_list"), 303)
    return page("settings/connection.html", form, provider=cls, row=row)


def _save_connection(form: ConnectionForm, cls: Any, row: Any) -> None:
    values, mistakes = provider_settings(cls, form)
    per_minute, wrong = whole(form.per_minute.data)
    if wrong or mistakes:
        raise Invalid({**mistakes, **({"per_minute": wrong} if wrong else {})})
    try_out = "untried" not in request.form
    common: dict[str, Any] = {"name": form.name.data or "", "per_minute": per_minute, "try_out": try_out}
    try:
        if row:
            connections.save(row.id, values, **common)
        else:
            connections.add(cls.channel, cls.name, values, **common)
    except Invalid as error:
        own = {f"set_{name}" if f"set_{name}" in form else name: texts for name, texts in error.messages.items()}
        raise Invalid(own) from None


@bp.post("/connections/<int:connection_id>/<act>")
def change_connection(connection_id: int, act: str) -> ResponseReturnValue:
    if act == "check":
        _try_out(connection_id)
    elif act == "pause":
        connections.pause(connection_id, _("Paused by %(name)s", name=me().name or me().email))
        flash(_("Nothing leaves through this connection until you resume it. Messages wait."), "warn")
    elif act == "resume":
        connections.resume(connection_id)
        flash(_("Messages leave again."))
    elif act == "default":
        connections.make_default(connection_id)
        flash(_("New messages go through this connection from now on."))
    elif act == "remove":
        return _remove_connection(connection_id)
    else:
        abort(404)
    return redirect(url_for("settings.connection_list"), 303)


def _try_out(connection_id: int) -> None:
    try:
        connections.check(connection_id)
    except ProviderError as error:
        flash(_("It did not work: %(reason)s", reason=say(error.args[0] if error.args else "")), "bad")
    else:
        flash(_("The connection works."))


def _remove_connection(connection_id: int) -> ResponseReturnValue:
    try:
        connections.remove(connection_id)
    except Conflict as error:
        flash(str(say(error.args[0])), "bad")
    else:
        flash(_("The connection is deleted."))
    return redirect(url_for("settings.connection_list"), 303)


# --- fields --------------------------------------------------------------------------------------------


def _field_page(form: FieldForm) -> ResponseReturnValue:
    return page("settings/fields.html", form, rows=fields.listing(), types=fields.TYPES)


@bp.get("/fields")
def field_list() -> ResponseReturnValue:
    return _field_page(FieldForm())


@bp.post("/fields")
def add_field() -> ResponseReturnValue:
    form = FieldForm(sent())
    try:
        row = fields.add(
            label=form.label.data or "", type=form.type.data or "", choices=(form.choices.data or "").splitlines()
        )
    except Invalid as error:
        add_errors(form, error.messages)
        return _field_page(form)
    flash(_("The field “%(label)s” is ready.", label=row.label))
    return redirect(url_for("settings.field_list"), 303)


@bp.route("/fields/<int:field_id>", methods=["GET", "POST"])
def field(field_id: int) -> ResponseReturnValue:
    row = fields.get(field_id)
    form = FieldForm(sent(), data={"label": row.label, "type": row.type, "choices": "\n".join(row.choices)})
    if request.method == "POST":
        try:
            fields.change(field_id, label=form.label.data or "", choices=(form.choices.data or "").splitlines())
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The field is saved."))
            return redirect(url_for("settings.field_list"), 303)
    return page("settings/field.html", form, row=row, types=fields.TYPES)


@bp.post("/fields/<int:field_id>/delete")
def delete_field(field_id: int) -> ResponseReturnValue:
    try:
        fields.remove(field_id)
    except Conflict as error:
        flash(str(say(error.args[0])), "bad")
    else:
        flash(_("The field and its values are deleted."))
    return redirect(url_for("settings.field_list"), 303)


# --- keys ----------------------------------------------------------------------------------------------


def _key_page(form: KeyForm, **values: Any) -> ResponseReturnValue:
    return page("settings/keys.html", form, rows=api_keys.keys(), **keykit.shown(), **values)


@bp.get("/keys")
def key_list() -> ResponseReturnValue:
    return _key_page(KeyForm())


@bp.post("/keys")
def add_key() -> ResponseReturnValue:
    """The one answer to a POST that is a page: the secret must not travel through an address or a cookie."""
    form = KeyForm(sent())
    try:
        row, secret = api_keys.make(g.workspace.id, form.name.data or "", form.wanted())
    except Invalid as error:
        add_errors(form, error.messages)
        return _key_page(form)
    return _key_page(KeyForm(), made=row, secret=secret)


@bp.post("/keys/<int:key_id>/revoke")
def revoke_key(key_id: int) -> ResponseReturnValue:
    row = api_keys.revoke(key_id)
    flash(_("The key “%(name)s” opens nothing any more.", name=row.name))
    return redirect(url_for("settings.key_list"), 303)


# --- suppression list ----------------------------------------------------------------------------------


def _suppression_page(form: SuppressionForm) -> ResponseReturnValue:
    q, channel = request.args.get("q", ""), request.args.get("channel", "")
    found = suppressions.listing(q, channel, request.args.get("before", type=int))
    after = url_for("settings.suppression_list", q=q or None, channel=channel or None, before=found.after)
    return page(
        "settings/suppressions.html",
        form,
        found=found,
        after=after if found.after else None,
        q=q,
        channel=channel,
        reasons=suppressions.REASONS,
        changes=suppressions.changes(),
    )


@bp.get("/suppressions")
def suppression_list() -> ResponseReturnValue:
    return _suppression_page(SuppressionForm())


@bp.post("/suppressions")
def add_suppression() -> ResponseReturnValue:
    form = SuppressionForm(sent())
    try:
        suppressions.add(
            me(),
            g.workspace,
            channel=form.channel.data or "",
            address=form.address.data or "",
            reason=form.reason.data or "",
        )
    except Invalid as error:
        add_errors(form, error.messages)
        return _suppression_page(form)
    flash(_("Nothing is sent to this address any more."))
    return redirect(url_for("settings.suppression_list"), 303)


@bp.route("/suppressions/<int:suppression_id>/remove", methods=["GET", "POST"])
def remove_suppression(suppression_id: int) -> ResponseReturnValue:
    row, form = suppressions.get(suppression_id), ReasonForm(sent())
    if request.method == "POST":
        try:
            suppressions.remove(me(), suppression_id, reason=form.reason.data or "")
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The address is off the list."))
            return redirect(url_for("settings.suppression_list"), 303)
    return page("settings/suppression.html", form, row=row, reasons=suppressions.REASONS)
