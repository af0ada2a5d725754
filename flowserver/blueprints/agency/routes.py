"""The agency: all clients at a glance, whether messages leave, the team."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import SelectChoice

from flowserver import clock
from flowserver.blueprints import keykit
from flowserver.blueprints.agency.forms import ROLE_NOTES, AccessForm, AgencyForm, ClientForm, InviteForm
from flowserver.blueprints.console import local, page_if
from flowserver.blueprints.fieldkit import add_errors, page, sent
from flowserver.blueprints.keykit import KeyForm
from flowserver.blueprints.limits import limiter
from flowserver.blueprints.places import countries, time_zones
from flowserver.blueprints.scope import admin_only, me
from flowserver.errors import Invalid, ProviderError
from flowserver.services.accounts import accounts, agency_keys, clients, overview, settings, team

bp = Blueprint("agency", __name__)


@bp.get("/")
def index() -> str:
    found = overview.agency(me(), _midnight())
    wanted = request.args.get("q", "").strip().casefold()
    shown = [client for client in found.clients if wanted in client.workspace.name.casefold()]
    return render_template("agency/index.html", agency=found, shown=shown, q=request.args.get("q", "").strip())


def _midnight() -> datetime:
    return local(clock.now()).replace(hour=0, minute=0, second=0, microsecond=0)


@bp.get("/c/<client>/")
def client_home() -> ResponseReturnValue:
    return redirect(page_if("/c/%s/flows") or url_for("setup.next_steps"), 303)


@bp.post("/alerts/<int:alert_id>/dismiss")
def dismiss(alert_id: int) -> ResponseReturnValue:
    overview.dismiss(me(), alert_id)
    flash(_("Taken off the list."))
    return redirect(url_for("agency.index"), 303)


@bp.get("/sending")
def sending() -> str:
    return render_template("agency/sending.html", sending=overview.sending(me()))


# --- clients -------------------------------------------------------------------------------------------


@bp.route("/clients/new", methods=["GET", "POST"])
@admin_only
def new_client() -> ResponseReturnValue:
    form = ClientForm(sent())
    form.time_zone.choices, form.country.choices = time_zones(), countries()
    if request.method == "POST":
        try:
            made = clients.add(me(), **{name: value or "" for name, value in form.data.items()})
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("%(client)s is ready.", client=made.name))
            return redirect(url_for("setup.next_steps", client=made.slug), 303)
    return page("agency/client.html", form)


@bp.route("/agency", methods=["GET", "POST"])
@admin_only
def agency() -> ResponseReturnValue:
    found = accounts.agency()
    form = AgencyForm(sent(), data={"name": found.name, "time_zone": accounts.home_zone()} if found else {})
    form.time_zone.choices = time_zones(accounts.home_zone() if found else "")
    if request.method == "POST":
        try:
            settings.save_agency(me(), name=form.name.data or "", time_zone=form.time_zone.data or "")
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The agency’s settings are saved."))
            return redirect(url_for("agency.agency"), 303)
    return page("agency/agency.html", form)


# --- keys ----------------------------------------------------------------------------------------------


def _key_page(form: KeyForm, **values: Any) -> ResponseReturnValue:
    keys, uses = agency_keys.keys(), agency_keys.uses()
    return page("agency/keys.html", form, rows=keys, uses=uses, **keykit.shown(), **values)


@bp.get("/keys")
@admin_only
def key_list() -> ResponseReturnValue:
    return _key_page(KeyForm())


@bp.post("/keys")
@admin_only
def add_key() -> ResponseReturnValue:
    """The one answer to a POST that is a page: the secret must not travel through an address or a cookie."""
    form = KeyForm(sent())
    try:
        row, secret = agency_keys.make(form.name.data or "", form.wanted(), by=me())
    except Invalid as error:
        add_errors(form, error.messages)
        return _key_page(form)
    return _key_page(KeyForm(), made=row, secret=secret)


@bp.post("/keys/<int:key_id>/revoke")
@admin_only
def revoke_key(key_id: int) -> ResponseReturnValue:
    row = agency_keys.revoke(key_id)
    flash(_("The key “%(name)s” opens nothing any more.", name=row.name))
    return redirect(url_for("agency.key_list"), 303)


# --- team ----------------------------------------------------------------------------------------------


def _with_clients(form: Any) -> Any:
    form.workspaces.choices = [SelectChoice(one.id, one.name) for one in accounts.workspaces(me())]  # type: ignore[arg-type]
    return form


def _team_page(form: InviteForm) -> ResponseReturnValue:
    return page("agency/team.html", form, members=team.members(), invitations=team.invitations(), notes=ROLE_NOTES)


@bp.get("/team")
@admin_only
def team_page() -> ResponseReturnValue:
    return _team_page(_with_clients(InviteForm()))


@bp.post("/team")
@admin_only
@limiter.limit("30 per hour")
def invite() -> ResponseReturnValue:
    form = _with_clients(InviteForm(sent()))
    try:
        found = team.invite(
            me(), email=form.email.data or "", role=form.role.data or "", workspace_ids=form.workspaces.data or []
        )
    except Invalid as error:
        add_errors(form, error.messages)
        return _team_page(form)
    except ProviderError:
        return _not_mailed()
    flash(_("An invitation is on its way to %(email)s. It is good for 7 days.", email=found.email))
    return redirect(url_for("agency.team_page"), 303)


def _not_mailed() -> ResponseReturnValue:
    flash(_("The mail server did not take the invitation, so it is withdrawn. Try again in a few minutes."), "bad")
    return redirect(url_for("agency.team_page"), 303)


@bp.post("/team/invitations/<int:invitation_id>/<act>")
@admin_only
@limiter.limit("30 per hour")
def invitation(invitation_id: int, act: str) -> ResponseReturnValue:
    if act == "withdraw":
        team.withdraw(invitation_id)
        flash(_("The invitation is withdrawn. Its link opens nothing any more."))
    elif act == "resend":
        try:
            team.resend(me(), invitation_id)
        except ProviderError:
            return _not_mailed()
        flash(_("The invitation was sent again."))
    else:
        abort(404)
    return redirect(url_for("agency.team_page"), 303)


@bp.route("/team/<int:user_id>", methods=["GET", "POST"])
@admin_only
def member(user_id: int) -> ResponseReturnValue:
    user = team.member(user_id)
    form = _with_clients(AccessForm(sent(), data={"role": user.role, "workspaces": team.access_of(user)}))
    if request.method == "POST":
        try:
            team.change(me(), user_id, role=form.role.data or "", workspace_ids=form.workspaces.data or [])
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("Role and clients of %(name)s are saved.", name=user.name or user.email))
            return redirect(url_for("agency.team_page"), 303)
    return page("agency/member.html", form, member=user, notes=ROLE_NOTES)


@bp.post("/team/<int:user_id>/<act>")
@admin_only
def change_member(user_id: int, act: str) -> ResponseReturnValue:
    acts = {
        "deactivate": (team.deactivate, _("This person cannot log in any more.")),
        "activate": (team.activate, _("This person can log in again.")),
        "log-out": (team.end_sessions, _("All log-ins of this person ended.")),
    }
    if act not in acts:
        abort(404)
    do, said = acts[act]
    do(me(), user_id)
    flash(said)
    return redirect(url_for("agency.member", user_id=user_id), 303)
