"""CSV import: upload, say what the columns hold, watch it come in, fetch what was refused."""

from __future__ import annotations

from typing import Any

import wtforms
from flask import Blueprint, Response, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.exceptions import RequestEntityTooLarge
from wtforms import SelectChoice

from flowserver.blueprints.fieldkit import add_errors, sent
from flowserver.blueprints.places import countries
from flowserver.blueprints.say import say
from flowserver.blueprints.scope import me
from flowserver.domain import csvfile
from flowserver.errors import Invalid, TooLarge
from flowserver.services.people import contacts, fields, imports, lists

bp = Blueprint("imports", __name__, url_prefix="/c/<client>/contacts/import")

SEPARATORS = ((",", _l("Comma")), (";", _l("Semicolon")), ("\t", _l("Tab")), ("|", _l("Vertical bar")))


class UploadForm(wtforms.Form):
    file = wtforms.FileField(_l("CSV file"), render_kw={"accept": ".csv,.txt,text/csv,text/plain"})


class ReadForm(wtforms.Form):
    """How the file was written; changed only when the preview looks wrong."""

    encoding = wtforms.SelectField(
        _l("Encoding"), choices=[SelectChoice(key, name) for key, name in csvfile.ENCODINGS], validate_choice=False
    )
    separator = wtforms.SelectField(_l("Separator"), validate_choice=False)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.separator.choices = [SelectChoice(_SIGNS[key], str(name)) for key, name in SEPARATORS]


_SIGNS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_BACK = {word: sign for sign, word in _SIGNS.items()}


class OptionsForm(wtforms.Form):
    list_id = wtforms.SelectField(_l("Put everybody on the list"), validate_choice=False)
    new_list = wtforms.StringField(_l("Or make a new list"), render_kw={"maxlength": 120, "autocomplete": "off"})
    country = wtforms.SelectField(_l("Country of phone numbers, dates and decimals"), validate_choice=False)
    email_consent = wtforms.BooleanField(_l("These people agreed to get e-mails"))
    sms_consent = wtforms.BooleanField(_l("These people agreed to get SMS"))
    consent_words = wtforms.TextAreaField(_l("Where and how they agreed"), render_kw={"rows": 2, "maxlength": 2000})
    leave_known = wtforms.BooleanField(_l("Leave contacts we know as they are"))
    start_flows = wtforms.BooleanField(_l("Start flows for these contacts"))


# --- upload ----------------------------------------------------------------------------------------------


@bp.errorhandler(RequestEntityTooLarge)
def _too_large(_error: RequestEntityTooLarge) -> ResponseReturnValue:
    """The server stopped reading; say the limit instead of a bare 413."""
    return _upload_page(UploadForm(), {"file": [imports.too_large().args[0]]}), 413


@bp.route("", methods=["GET", "POST"])
def upload() -> ResponseReturnValue:
    if request.method == "GET":
        return _upload_page(UploadForm())
    file = request.files.get("file")
    try:
        if file is None or not file.filename:
            raise Invalid({"file": [_("Choose a CSV file")]})
        row = imports.start(file.stream, file.filename, me().id)
    except Invalid as error:
        return _upload_page(UploadForm(), error.messages), 422
    except TooLarge as error:
        return _upload_page(UploadForm(), {"file": [error.args[0]]}), 413
    return redirect(url_for(".show", import_id=row.id), 303)


def _upload_page(form: UploadForm, messages: dict[str, Any] | None = None) -> str:
    add_errors(form, messages or {})
    most = imports.most_bytes() // (1024 * 1024)
    return render_template("contacts/import.html", form=form, recent=imports.recent(), most=most)


# --- columns and progress --------------------------------------------------------------------------------


@bp.get("/<int:import_id>")
def show(import_id: int) -> ResponseReturnValue:
    row = imports.get(import_id)
    if row.state == "uploaded":
        return _mapping_page(row)
    return render_template("contacts/progress.html", row=row)


@bp.post("/<int:import_id>/read")
def read(import_id: int) -> ResponseReturnValue:
    form = _read_form(imports.get(import_id))
    try:
        imports.reread(import_id, form.encoding.data or "", _BACK.get(form.separator.data or "", ""))
    except (Invalid, TooLarge) as error:
        add_errors(form, getattr(error, "messages", None) or {"encoding": [error.args[0]]})
        return _mapping_page(imports.get(import_id), read=form), 422
    return redirect(url_for(".show", import_id=import_id), 303)


@bp.post("/<int:import_id>/start")
def start(import_id: int) -> ResponseReturnValue:
    form = _options_form()
    mapping = {column: request.form.get(f"column-{column}", "") for column in range(csvfile.MOST_COLUMNS)}
    try:
        imports.begin(import_id, mapping, {**form.data, "new_fields": True})
    except Invalid as error:
        columns = {key: texts for key, texts in error.messages.items() if key.startswith("column-")}
        add_errors(form, {key: texts for key, texts in error.messages.items() if key not in columns})
        return _mapping_page(imports.get(import_id), options=form, chosen=mapping, wrong=columns), 422
    return redirect(url_for(".show", import_id=import_id), 303)


@bp.post("/<int:import_id>/stop")
def stop(import_id: int) -> ResponseReturnValue:
    row = imports.stop(import_id)
    if row.state == "stopped":
        flash(_("The import is stopped. What came in stays."))
    return redirect(url_for(".show", import_id=import_id), 303)


@bp.get("/<int:import_id>/refused.csv")
def refused(import_id: int) -> Response:
    path = imports.refused_file(import_id)
    name = f"refused-{imports.get(import_id).filename}"
    return send_file(path, mimetype="text/csv", as_attachment=True, download_name=name, max_age=0)


def _mapping_page(row: Any, **more: Any) -> str:
    wrong: dict[str, Any] = more.get("wrong", {})
    options = more.get("options") or _options_form(row)
    read_form = more.get("read") or _read_form(row)
    preview = imports.preview(row)
    errors = {**wrong, **{key: texts for form in (options, read_form) for key, texts in form.errors.items() if key}}
    return render_template(
        "contacts/mapping.html",
        row=row,
        preview=preview,
        chosen=more.get("chosen") or preview.guess,
        targets=_targets(),
        new_fields={target: fields.TYPES[type] for target, type in imports.NEW_FIELDS.items()},
        form=options,
        read=read_form,
        wrong=wrong,
        errors=errors,
        encodings=dict(csvfile.ENCODINGS),
    )


def _targets() -> list[tuple[str, str]]:
    own = [(f"field:{key}", spec.label) for key, spec in contacts.book().specs.items()]
    return [*((key, str(say(name))) for key, name in _NAMES.items()), *own]


_NAMES = {
    "email": _l("E-mail address"),
    "phone": _l("Mobile number"),
    "first_name": _l("First name"),
    "last_name": _l("Last name"),
    "full_name": _l("First and last name"),
    "external_id": _l("Customer number"),
    "locale": _l("Language"),
    "tags": _l("Tags"),
}


def _read_form(row: Any) -> ReadForm:
    return ReadForm(sent(), data={"encoding": row.encoding, "separator": _SIGNS.get(row.separator, "comma")})


def _options_form(row: Any = None) -> OptionsForm:
    given = request.form if request.method == "POST" and row is None else None
    form = OptionsForm(given, data={"country": row.options.get("country", "")} if row is not None else None)
    choices = [SelectChoice(str(number), name) for number, name in lists.choices()]
    form.list_id.choices = [SelectChoice("", _("No list")), *choices]
    form.country.choices = countries()
    return form
