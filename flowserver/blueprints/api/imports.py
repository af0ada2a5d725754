"""Imports: many contacts at once, read in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import send_file, url_for

from flowserver.blueprints.api import body as bodies
from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import imports as schemas
from flowserver.blueprints.say import say
from flowserver.services.people import import_jobs, imports

resource = Resource(
    "Imports", 15, "Many contacts at once, from a file or as rows, read in the background.", part="contacts"
)

ONE = f"/imports/{ID % 'import_id'}"
ROWS = {"rows": [{"email": "ada@example.com", "fields": {"city": "Roma"}}, {"email": "not an address"}]}
FILE = "E-mail,First name,City\r\nada@example.com,Ada,Roma\r\n"
EXAMPLE = {
    "id": 1,
    "filename": "customers.csv",
    "state": "done",
    "reason": None,
    "rows": 2,
    "done": 2,
    "created": 1,
    "updated": 0,
    "refused": 1,
    "list_id": 1,
    "columns": {"email": "email", "field:city": "field:city"},
    "created_at": "2026-05-04T09:00:00Z",
    "finished_at": "2026-05-04T09:00:02Z",
    "updated_at": "2026-05-04T09:00:02Z",
}
BEGUN = {**EXAMPLE, "state": "running", "done": 0, "created": 0, "refused": 0, "finished_at": None}


def show(row: Any) -> dict[str, Any]:
    """An import as the API shows it."""
    return {
        "id": row.id,
        "filename": row.filename,
        "state": row.state,
        "reason": str(say(row.reason)) or None,
        "rows": row.rows,
        "done": row.done,
        "created": row.made,
        "updated": row.changed,
        "refused": row.refused,
        "list_id": row.options.get("list_id"),
        "columns": {row.columns[int(number)]: target for number, target in row.mapping.items()},
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "updated_at": row.updated_at,
    }


def one(import_id: int) -> dict[str, Any]:
    """An import of the present client. Raises ``NotFound``."""
    return show(imports.get(import_id))


@resource.reads("/imports", query=paging.SyncQuery, shows=schemas.ImportPage, example={"data": [EXAMPLE], "next": None})
def list_imports(query: Mapping[str, Any]) -> Any:
    """List the imports, those of the console too."""
    return paging.page(import_jobs.listing(query["cursor"], query["limit"], query.get("updated_since")), show)


@resource.writes(
    "POST",
    "/imports",
    query=schemas.ImportOptions,
    takes=schemas.ImportIn,
    body_example=ROWS,
    uploads=(bodies.CSV, FILE),
    shows=schemas.Import,
    example=BEGUN,
    status=202,
    tagged=True,
)
def start_import(query: Mapping[str, Any], body: Mapping[str, Any]) -> Any:
    """Import contacts from rows, or from a CSV file.

    The body is JSON with up to 50,000 `rows`, or a CSV file sent as `text/csv`: up to a million rows, any usual encoding
    and separator. The answer comes at once, the rows are read in the background: ask for the import to see how far it
    is. A body that does not hold rows as described here is answered with 422 and nothing is read; of those that do, each is taken
    or refused on its own. No flow starts unless `start_flows=true`.
    """
    options: dict[str, Any] = {"filename": "API", **query}
    if options.get("list", "").isdecimal():
        options["list"] = int(options["list"][:18])
    file = bodies.upload()
    if file is None:
        file, options["columns"] = import_jobs.as_file(body.get("rows") or [])
    made = import_jobs.submit(file, options.pop("filename"), options)
    return Answer(show(made), 202, {"Location": url_for(".get_import", import_id=made.id)})


@resource.reads(ONE, shows=schemas.Import, example=EXAMPLE, tagged=True)
def get_import(import_id: int) -> Any:
    """Get an import: its state, and how far it is."""
    return one(import_id)


@resource.writes(
    "POST", f"{ONE}/stop", shows=schemas.Import, example={**EXAMPLE, "state": "stopped"}, tagged=True, if_match=True
)
def stop_import(import_id: int) -> Any:
    """Stop an import.

    What came in stays. One that is over stays as it is.
    """
    unchanged("import", import_id, lambda: one(import_id))
    imports.stop(import_id)
    return one(import_id)


@resource.reads(
    f"{ONE}/refused",
    media=bodies.CSV,
    shows=bodies.TEXT,
    example="Line,Column,Problem,email\r\n3,email,Enter an e-mail address like name@example.com,not an address\r\n",
)
def get_refused_rows(import_id: int) -> Any:
    """Download the rows that were refused, as CSV.

    Each as it came, with its line, column and what is wrong. 404 when there are none. Kept for 30 days.
    """
    name = f"import-{import_id}-refused.csv"
    return send_file(imports.refused_file(import_id), mimetype=bodies.CSV, as_attachment=True, download_name=name)
