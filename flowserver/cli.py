"""The ``flowserver`` command. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from flowserver.errors import FlowserverError, Invalid, flat


def _config(**overrides: Any):
    """The settings from the environment. Mistakes are told all together, exit code 2."""
    from flowserver import config

    try:
        return config.read(**{key: value for key, value in overrides.items() if value})
    except Invalid as error:
        click.echo("These settings in the environment need mending:", err=True)
        for text in flat(error.messages):
            click.echo(f"  - {text}", err=True)
        sys.exit(2)
    except OSError as error:
        click.echo(f"The data folder cannot be used: {error}", err=True)
        sys.exit(2)


def _app(pages: bool = False, **overrides: Any):
    """The application for a command, logs set up; with ``pages`` it answers requests and speaks the clients' languages."""
    from flowserver import create_app
    from flowserver.runtime import logging

    config = _config(**overrides)
    logging.set_up(config.log_level)
    return create_app(config, pages=pages)


def _fail(text: str, code: int = 1) -> NoReturn:
    """End with words and a code: 1 it did not work, 2 it was asked wrongly."""
    click.echo(text, err=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flowserver")
def main() -> None:
    """flowserver: marketing automation for an agency and all its clients."""


_data = click.option("--data", metavar="DIR", help="The data folder (FLOWSERVER_DATA).")


@main.command()
@click.option("--host", help="Address to listen on (FLOWSERVER_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (FLOWSERVER_PORT, 8000).")
@_data
def up(host: str | None, port: int | None, data: str | None) -> None:
    """Start everything on this machine; Ctrl-C stops it again."""
    if sys.platform == "win32":
        _fail("`flowserver up` needs Linux or macOS. On Windows use WSL.")
    from flowserver.runtime.supervisor import Supervisor

    sys.exit(Supervisor(_config(host=host, port=port, data=data)).run())


@main.command()
@click.option("--host", help="Address to listen on (FLOWSERVER_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (FLOWSERVER_PORT, 8000).")
@click.option("--fd", type=int, hidden=True, help="A socket that listens already.")
@_data
def serve(host: str | None, port: int | None, fd: int | None, data: str | None) -> None:
    """Serve the web pages (waitress). For more processes see gunicorn in docs/operations.md."""
    from flowserver.runtime import leash, web

    leash.hold_on()
    app = web.behind_proxies(_app(pages=True, host=host, port=port, data=data))
    config = app.extensions["config"]
    web.serve(app, _listener(fd, config.host, config.port))


def _listener(fd: int | None, host: str, port: int):
    import socket

    if fd is not None:
        return socket.socket(fileno=fd)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        _fail(f"Cannot listen on {host} port {port}: {error.strerror or error}. Choose another one with --port.")


@main.command()
@click.option("--no-bulk", is_flag=True, help="Leave imports and other long work to other workers.")
@click.option("--queues", help="Only these, separated by commas: events, advance, deliver, bulk.")
@_data
def worker(no_bulk: bool, queues: str | None, data: str | None) -> None:
    """Run jobs until SIGTERM; the job in hand is finished first."""
    from flowserver import jobqueue
    from flowserver.runtime import leash
    from flowserver.runtime.worker import work

    leash.hold_on()
    names = [name.strip() for name in queues.split(",")] if queues else list(jobqueue.QUEUES)
    unknown = [name for name in names if name not in jobqueue.QUEUES]
    if unknown:
        _fail(f"There is no queue {unknown[0]!r}. Choose from: {', '.join(jobqueue.QUEUES)}.", 2)
    work(_app(pages=True, data=data), [name for name in names if not (no_bulk and name == "bulk")])


@main.command()
@_data
def clock(data: str | None) -> None:
    """Look once a second for what is due and wake the workers. Two clocks do no harm."""
    from flowserver.runtime import leash
    from flowserver.runtime.worker import tick_forever

    leash.hold_on()
    tick_forever(_app(pages=True, data=data))


@main.command()
@_data
def migrate(data: str | None) -> None:
    """Bring the database to this version."""
    app = _app(data=data)
    with app.app_context():
        _upgrade()
    click.echo("The database is up to date.")


def _upgrade() -> None:
    """Migrate; a database that cannot be opened is told in one line."""
    from sqlalchemy.exc import DBAPIError

    from flowserver.services.operations import schema

    try:
        schema.upgrade()
    except DBAPIError as error:
        _fail(f"The database cannot be used: {str(error.orig).strip()} (see DATABASE_URL, or `flowserver doctor`)")


@main.command(hidden=True)
def prepare() -> None:
    """Migrate and print what `up` must know: ``{"first_run": address or ""}``."""
    from flowserver.services.accounts import setup

    app = _app()
    with app.app_context():
        _upgrade()
        token = getattr(setup, "first_run_token", lambda: "")()
    url = app.extensions["config"].url
    click.echo(json.dumps({"first_run": f"{url}/setup?token={token}" if token else ""}))


@main.command()
@click.option("--agency", required=True, help="Name of the agency.")
@click.option("--client", required=True, help="Name of the first client.")
@click.option("--time-zone", required=True, help="Time zone of the client, such as Europe/Rome.")
@click.option("--email", required=True, help="E-mail address of the first user, an agency admin.")
@click.option(
    "--password-file",
    required=True,
    type=click.Path(path_type=Path),
    help="File with the password; - reads it from standard input.",
)
@click.option("--name", default="", help="Name of the first user.")
@click.option("--sender", default="", help="Sender address of the client; the user's address unless given.")
@click.option("--country", default="", help="Country of the client for national phone numbers, such as IT.")
@_data
def setup(password_file: Path, data: str | None, **answers: str) -> None:
    """Set up without a browser, once. Prints {"workspace": id, "api_key": "..."} as JSON."""
    from flowserver.services.accounts import setup as service

    try:
        password = (sys.stdin.read() if str(password_file) == "-" else password_file.read_text()).rstrip("\r\n")
    except OSError as error:
        _fail(f"The password file cannot be read: {error}", 2)
    app = _app(data=data)
    with app.app_context():
        _upgrade()
        try:
            made = service.first_run(password=password, with_api_key=True, **answers)
        except FlowserverError as error:
            messages = error.messages if isinstance(error, Invalid) else {}
            click.echo(json.dumps({"error": str(error), **({"errors": messages} if messages else {})}, default=str))
            sys.exit(1)
    click.echo(json.dumps({"workspace": made["workspace"], "api_key": made["api_key"]}))


@main.command()
@click.option("--once", is_flag=True, help="Do nothing when it is loaded already.")
@_data
def demo(once: bool, data: str | None) -> None:
    """Load demo data: two clients, 2,000 contacts, flows with weeks of history."""
    from flowserver.errors import Conflict
    from flowserver.services.operations import demo as service

    app = _app(pages=True, data=data)
    with app.app_context():
        _upgrade()
        try:
            made = service.load()
        except Conflict as error:
            if once:
                return
            _fail(str(error))
    click.echo("The demo data is loaded.")
    if made["password"]:
        click.echo(f"Log in as {made['email']} with the password {made['password']}")


@main.command()
@_data
def judge(data: str | None) -> None:
    """Judge stored opens and clicks again, by today's rules: who was a person, who a program."""
    from flowserver.services.messages import evidence

    app = _app(data=data)
    with app.app_context():
        click.echo(f"{evidence.judge_all()} messages count differently now.")


@main.group()
def keys() -> None:
    """Keys of the JSON API: make, list and revoke them."""


_of = click.option("--client", metavar="SLUG", help="The client, as in its addresses /c/<slug>/; none: the agency.")


@keys.command("make")
@click.option("--name", required=True, help="The program that will use it.")
@click.option("--scope", "scopes", multiple=True, help="read, write, contacts:read, coupons:write … (read and write)")
@_of
@_data
def keys_make(name: str, scopes: tuple[str, ...], client: str | None, data: str | None) -> None:
    """Make a key. Prints {"id": …, "api_key": "…"} as JSON; the key is shown this once."""
    from flowserver.services.accounts import agency_keys, api_keys

    wanted = scopes or api_keys.EVERYTHING
    with _client(client, data) as workspace_id, _told():
        make = agency_keys.make if workspace_id is None else lambda *args: api_keys.make(workspace_id, *args)
        row, secret = make(name, wanted)
        click.echo(json.dumps({"id": row.id, "api_key": secret}))


@keys.command("list")
@_of
@_data
def keys_list(client: str | None, data: str | None) -> None:
    """List the keys that work, as JSON, one a line."""
    from flowserver.services.accounts import agency_keys, api_keys

    with _client(client, data) as workspace_id:
        for row in agency_keys.keys() if workspace_id is None else api_keys.keys():
            used = row.last_used_at.isoformat() if row.last_used_at else None
            words = {"name": row.name, "key": f"{row.prefix}…", "scopes": row.scopes, "last_used_at": used}
            click.echo(json.dumps({"id": row.id, **words}, ensure_ascii=False))


@keys.command("revoke")
@click.argument("key_id", type=int)
@_of
@_data
def keys_revoke(key_id: int, client: str | None, data: str | None) -> None:
    """Make a key useless from now on."""
    from flowserver.services.accounts import agency_keys, api_keys

    with _client(client, data) as workspace_id, _told():
        row = (agency_keys if workspace_id is None else api_keys).revoke(key_id)
        click.echo(f"The key “{row.name}” opens nothing any more.")


@main.group("flows")
def flow_files() -> None:
    """Flows as text files: export them, plan what files would change, apply them."""


_in = click.option("--client", required=True, metavar="SLUG", help="The client, as in its addresses /c/<slug>/.")
_files = click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))


@flow_files.command("export")
@click.argument("names", nargs=-1)
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write <name>.yaml files there.")
@_in
@_data
def flows_export(names: tuple[str, ...], folder: Path | None, client: str, data: str | None) -> None:
    """Print flows (all unless named) as YAML, or write each into a file. The same flow is always the same bytes."""
    from flowserver.services.accounts.clients import slug_of
    from flowserver.services.flows import texts

    with _client(client, data), _told():
        wanted = [(texts.by_name(name).id, name) for name in names] if names else texts.everything()
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        for number, (flow_id, name) in enumerate(wanted):
            text = texts.export(flow_id)
            if folder:
                path = folder / f"{slug_of(name)}.yaml"
                path.write_text(text, "utf-8")
                click.echo(path)
            else:
                click.echo(("---\n" if number else "") + text, nl=False)


@flow_files.command("plan")
@_files
@_in
@_data
def flows_plan(files: tuple[Path, ...], client: str, data: str | None) -> None:
    """Say what `apply` would change, and who is inside. Changes nothing."""
    from flowserver.services.flows import texts

    with _client(client, data):
        for path in files:
            with _told(f"{path}: "):
                found = texts.plan(path.read_text("utf-8"))
            words = {"create": "would be made", "change": "would change", "nothing": "stays as it is"}[found.action]
            inside = f" ({found.state}, {found.inside} inside)" if found.flow_id else ""
            click.echo(f"{path}: “{found.name}” {words}{inside}")
            for line in found.diff:
                click.echo("  " + line)
            for finding in found.findings:
                click.echo(f"  {finding.kind}: {finding.text}")


@flow_files.command("apply")
@_files
@click.option("--publish", is_flag=True, help="Go live with what is not live yet. People inside finish their version.")
@_in
@_data
def flows_apply(files: tuple[Path, ...], publish: bool, client: str, data: str | None) -> None:
    """Make the flows of these files, or change the drafts of those that have their names."""
    from flowserver.services.flows import texts

    with _client(client, data):
        for path in files:
            with _told(f"{path}: "):
                flow, action = texts.apply(path.read_text("utf-8"), publish=publish)
            done = {"create": "made", "change": "changed", "nothing": "as it was"}[action]
            click.echo(f"{path}: “{flow.name}” {done}, {flow.state}")


@contextmanager
def _client(slug: str | None, data: str | None) -> Iterator[int | None]:
    """The application with a client opened by its slug; ``None``: with none."""
    from flowserver import extensions
    from flowserver.services.accounts import accounts

    app = _app(data=data)
    with app.app_context():
        if not slug:
            yield None
            return
        with _told():
            workspace_id = accounts.by_slug(slug).id
        with extensions.workspace(workspace_id):
            yield workspace_id


@contextmanager
def _told(where: str = "") -> Iterator[None]:
    """Mistakes of the caller end the command in words, each with its place."""
    try:
        yield
    except Invalid as error:
        lines = [f"{key}: {text}" for key, part in error.messages.items() for text in flat(part)]
        _fail("\n".join(where + line.removeprefix("_: ") for line in lines))
    except FlowserverError as error:
        _fail(where + str(error))
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{where}{error}")


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure this machine with the real product beside its baselines."""
    from flowserver.bench import main as run

    sys.exit(run(list(arguments)))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@_data
def doctor(as_json: bool, data: str | None) -> None:
    """Say what is wrong with this installation and how to mend it. Exit code 1 when something is."""
    from flowserver import config
    from flowserver.runtime import logging
    from flowserver.services.operations import doctor as service

    folder = config.data_dir(data or os.environ.get("FLOWSERVER_DATA", ""))
    if not folder.is_dir() and not os.environ.get("DATABASE_URL"):  # looking must not make one
        _fail(f"Nothing is installed in {folder}. Name the data folder with --data or FLOWSERVER_DATA.", 2)
    app = _app(data=data)
    logging.set_up("CRITICAL")
    with app.app_context():
        checks = service.examine()
    click.echo(service.as_json(checks) if as_json else service.as_text(checks))
    sys.exit(1 if any(check.bad for check in checks) else 0)


@main.command("new-node")
@click.argument("kind", type=click.Choice(["action", "condition", "trigger"]))
@click.argument("name")
def new_node(kind: str, name: str) -> None:
    """Write a new kind of step, question or start and its test, to be filled in: `new-node action call_back`."""
    from string import Template

    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        _fail("Name it with small letters, digits and underscores, such as call_back.", 2)
    words = {"name": name, "title": name.replace("_", " ").capitalize(), "class_name": name.title().replace("_", "")}
    package = Path(__file__).parent
    if not (package.parent / "tests").is_dir():
        _fail("This writes into a clone of the repository; here flowserver is installed without one.")
    files = {
        f"{kind}.py.txt": package / "nodes" / f"{kind}s" / f"{name}.py",
        f"{kind}_test.py.txt": package.parent / "tests" / "nodes" / f"{kind}s" / f"test_{name}.py",
    }
    for path in files.values():
        if path.exists():
            _fail(f"{path} is there already.")
    for template, path in files.items():
        text = Template((package / "nodes" / "templates" / template).read_text()).substitute(words)
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "__init__.py").touch()
        path.write_text(text)
        click.echo(path)


@main.command(hidden=True)
@click.option("--fd", type=int, required=True)
def mailbox(fd: int) -> None:
    """The local mail server of `up`."""
    from flowserver.runtime import leash, logging
    from flowserver.runtime.mailbox import serve as serve_mail

    leash.hold_on()
    config = _config()
    logging.set_up(config.log_level)
    serve_mail(config, _listener(fd, "", 0))


@main.command(hidden=True)
@click.option("--fd", type=int, required=True)
def phone(fd: int) -> None:
    """The pretend phone of `up`."""
    from flowserver.runtime import leash, logging
    from flowserver.runtime.phone import serve as serve_phone

    leash.hold_on()
    config = _config()
    logging.set_up(config.log_level)
    serve_phone(config, _listener(fd, "", 0))
