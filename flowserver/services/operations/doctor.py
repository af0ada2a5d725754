"""What is wrong with this installation, and how to mend it."""

from __future__ import annotations

import json
import os
import shutil
import smtplib
import ssl
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import redis
import sqlalchemy as sa
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from flowserver import clock
from flowserver.config import Config
from flowserver.extensions import db, every_workspace, read_only
from flowserver.models import Connection, Enrollment, Workspace
from flowserver.services.messages import phone
from flowserver.services.operations import health, schema

LOW_DISK = 1024**3  # bytes
LATE = timedelta(minutes=5)
_PATIENCE = 10.0  # seconds for a mail server to answer


@dataclass(frozen=True)
class Check:
    """One finding. ``state``: ok, warn (works, deserves a look), bad (does not work). ``mend``: what to do about it."""

    name: str
    state: str
    text: str
    mend: str = ""

    @property
    def bad(self) -> bool:
        """Whether this keeps the installation from working."""
        return self.state == "bad"


def ok(name: str, text: str) -> Check:
    """All is well with it."""
    return Check(name, "ok", text)


def warn(name: str, text: str, mend: str = "") -> Check:
    """It works but deserves a look."""
    return Check(name, "warn", text, mend)


def bad(name: str, text: str, mend: str) -> Check:
    """It does not work."""
    return Check(name, "bad", text, mend)


def examine() -> list[Check]:
    """Look at everything, in the order in which one would mend it. Changes nothing; needs an app context."""
    config: Config = current_app.extensions["config"]
    read_only(True)
    found = [*_folder(config), *_database(config)]
    reachable = not any(check.bad for check in found if check.name in ("database", "migrations"))
    found += _redis(config)
    if reachable:
        with every_workspace():
            for look in (_processes, _work, _connections, _zones):
                found += look()
    found += [*_mail(config), *_sms(config), *_address(config)]
    db.session.rollback()
    return found


def as_json(checks: Sequence[Check]) -> str:
    """``{"ok": bool, "checks": [{name, state, text, mend}]}``."""
    return json.dumps(
        {"ok": not any(check.bad for check in checks), "checks": [asdict(check) for check in checks]}, indent=2
    )


def as_text(checks: Sequence[Check]) -> str:
    """A line per check, its remedy below it, a count at the end."""
    marks = {"ok": "ok  ", "warn": "look", "bad": "BAD "}
    lines = []
    for check in checks:
        lines.append(f"{marks[check.state]}  {check.name}: {check.text}")
        if check.mend:
            lines.append(f"      → {check.mend}")
    wrong = sum(check.bad for check in checks)
    lines.append("")
    lines.append(
        "Everything works." if not wrong else f"{wrong} {'thing needs' if wrong == 1 else 'things need'} mending."
    )
    return "\n".join(lines)


# --- data folder -----------------------------------------------------------------------------------------


def _folder(config: Config) -> Iterator[Check]:
    if os.access(config.data, os.W_OK | os.X_OK):
        yield ok("data folder", f"{config.data} can be written")
    else:
        yield bad(
            "data folder",
            f"{config.data} cannot be written by this user",
            f"Run flowserver as the folder's owner, or: chown -R $(whoami) {config.data}",
        )
    free = shutil.disk_usage(config.data).free
    words = f"{free / 1024**3:.1f} GB free"
    if free < LOW_DISK:
        yield bad("disk", f"only {words}", "Make room: below 1 GB the database may stop in the middle of its work.")
    else:
        yield ok("disk", words)
    yield from _secret_key(config)


def _secret_key(config: Config) -> Iterator[Check]:
    path = config.data / "secret_key"
    if not path.exists():
        yield ok("secret key", "comes from the environment")
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield bad("secret key", f"others can read {path}", f"chmod 600 {path}")
    else:
        yield ok("secret key", "only this user can read it")
    if len(config.secret_key) < 32:
        yield bad(
            "secret key length",
            "SECRET_KEY is shorter than 32 characters",
            "Make a new one: python -c 'import secrets; print(secrets.token_urlsafe(48))'; put the old one into OLD_SECRET_KEYS.",
        )


# --- database --------------------------------------------------------------------------------------------


def _database(config: Config) -> Iterator[Check]:
    name = db.engine.url.render_as_string(hide_password=True)
    try:
        at, wanted = schema.current(), schema.newest()
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", error)).strip().splitlines()
        yield bad(
            "database",
            f"{name} cannot be reached: {cause[0] if cause else type(error).__name__}",
            "Check DATABASE_URL, that the server runs and that the user may log in.",
        )
        return
    yield ok("database", f"{name} answers")
    if at == wanted:
        yield ok("migrations", f"at {at}")
    else:
        yield bad(
            "migrations",
            f"the database is at {at or 'nothing'}, this version wants {wanted}",
            "Run: flowserver migrate",
        )
    yield from _durability()


def _durability() -> Iterator[Check]:
    """Whether a commit survives a power cut."""
    if db.engine.dialect.name == "sqlite":
        mode = db.session.execute(sa.text("PRAGMA journal_mode")).scalar()
        level = db.session.execute(sa.text("PRAGMA synchronous")).scalar()
        if (mode, level) == ("wal", 2):
            yield ok("durability", "SQLite writes ahead and waits for the disk (WAL, synchronous=FULL)")
        else:
            yield bad(
                "durability",
                f"SQLite runs with journal_mode={mode}, synchronous={level}",
                "Keep the data folder on a local disk: WAL does not work on network drives.",
            )
        return
    settings = {
        name: str(db.session.execute(sa.text(f"SHOW {name}")).scalar()) for name in ("fsync", "synchronous_commit")
    }
    off = [name for name, value in settings.items() if value == "off"]
    if off:
        yield bad(
            "durability",
            f"PostgreSQL runs with {' and '.join(off)} off",
            f"Set {off[0]} = on in postgresql.conf and reload.",
        )
    else:
        yield ok("durability", "PostgreSQL waits for the disk (fsync, synchronous_commit)")


# --- redis -----------------------------------------------------------------------------------------------


def _redis(config: Config) -> Iterator[Check]:
    embedded = not config.redis_url
    connection = health.redis_connection()
    if connection is None or not health.redis_answers():
        yield bad(
            "redis",
            "does not answer; pages work, but mails wait",
            "Run `flowserver up`, which starts its own."
            if embedded
            else "Start the server REDIS_URL names, or correct REDIS_URL.",
        )
        return
    yield ok("redis", "the embedded server answers" if embedded else "answers")
    try:
        policy, keeps = _redis_settings(connection)
    except redis.exceptions.RedisError:
        yield warn(
            "redis settings",
            "the server does not tell its settings",
            "Check by hand: maxmemory-policy noeviction, appendonly yes.",
        )
        return
    if policy != "noeviction":
        yield bad("redis memory", f"maxmemory-policy is {policy}: rings get lost", "Set maxmemory-policy noeviction.")
    else:
        yield ok("redis memory", "keeps every ring (noeviction)")
    if not keeps:
        yield warn("redis persistence", "forgets all on restart; the clock finds the work again", "Set appendonly yes.")
    else:
        yield ok("redis persistence", "on")


def _redis_settings(connection: redis.Redis) -> tuple[str, bool]:
    answer = {
        **connection.config_get("maxmemory-policy"),
        **connection.config_get("appendonly"),
        **connection.config_get("save"),
    }  # type: ignore[misc]
    words = {_word(key): _word(value) for key, value in answer.items()}
    return words.get("maxmemory-policy", ""), words.get("appendonly") == "yes" or bool(words.get("save"))


def _word(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# --- processes and work ----------------------------------------------------------------------------------


def _processes() -> Iterator[Check]:
    for kind, silent, mend in (
        ("clock", health.SILENT, "Run `flowserver up`, or `flowserver clock` where parts run by themselves."),
        ("worker", health.SILENT_WORKER, "Run `flowserver up`, or `flowserver worker` where parts run by themselves."),
    ):
        count = health.alive(kind, silent)
        if count:
            yield ok(f"{kind}s", f"{count} at work")
        else:
            yield bad(f"{kind}s", f"no {kind} was heard in the last {silent.seconds} seconds; flows stand still", mend)


def _work() -> Iterator[Check]:
    now = clock.now()
    e = Enrollment.__table__.c
    oldest = db.session.scalar(sa.select(sa.func.min(e.due_at)).where(e.due_at <= now, ~e.held))
    late = now - oldest if oldest else timedelta(0)
    if late > LATE:
        yield bad(
            "steps",
            f"the longest waiting step is {_span(late)} late",
            "See that clock and workers run and what the workers' log says; add workers when they run all the time.",
        )
    else:
        yield ok("steps", "none is late")
    unknown = health.unknown_messages(now - timedelta(days=7))
    if unknown:
        yield warn(
            "unknown messages",
            f"{unknown} of the last seven days may or may not have arrived; they are not sent again by themselves",
            "Look at them on the messages pages and decide.",
        )
    else:
        yield ok("unknown messages", "none in the last seven days")


def _connections() -> Iterator[Check]:
    rows = db.session.execute(
        sa.select(Connection, Workspace.name)
        .join(Workspace, Workspace.id == Connection.workspace_id)
        .where(sa.or_(Connection.paused_at.is_not(None), Connection.down_since.is_not(None)))
        .order_by(Workspace.name)
        .limit(50)
    ).all()
    for connection, client in rows:
        what = f"“{connection.name}” of {client}"
        if connection.paused_at:
            yield bad(
                "connections",
                f"{what} is paused: {connection.paused_reason or 'no reason noted'}",
                "Mend it on the client's settings page, then resume it there; what waits is sent then.",
            )
        else:
            since = _span(clock.now() - (connection.down_since or clock.now()))
            yield bad(
                "connections",
                f"{what} has not been reachable for {since}",
                "Nothing is lost; see that its server runs.",
            )
    if not rows:
        yield ok("connections", "none is paused or unreachable")


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"


def _zones() -> Iterator[Check]:
    missing = [zone for zone in db.session.scalars(sa.select(Workspace.time_zone).distinct()) if not _is_zone(zone)]
    if missing or len(available_timezones()) < 300:
        yield bad("time zones", f"no data for {', '.join(missing) or 'most zones'}", "pip install --upgrade tzdata")
    else:
        yield ok("time zones", f"{len(available_timezones())} known")


def _is_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


# --- mail and texts --------------------------------------------------------------------------------------


def _mail(config: Config) -> Iterator[Check]:
    if not config.mail_server:
        yield from _try_mail(config, "127.0.0.1", config.mailbox_port)
        yield warn(
            "mail goes nowhere",
            "MAIL_SERVER is not set: mails end in the local mailbox",
            "Fine for trying out. Set MAIL_SERVER (and MAIL_PORT, MAIL_USE_TLS, MAIL_USERNAME, MAIL_PASSWORD) to send for real.",
        )
        return
    yield from _try_mail(config, config.mail_server, config.mail_port)
    yield warn(
        "sender domains",
        "SPF, DKIM and DMARC of the senders' domains are not checked here",
        "Look them up in DNS; without them much mail ends as spam.",
    )


def _try_mail(config: Config, host: str, port: int) -> Iterator[Check]:
    where = f"{host} port {port}"
    if not port:
        yield bad(
            "mail server", "none is set and the local one does not run", "Run `flowserver up`, or set MAIL_SERVER."
        )
        return
    try:
        said = _greet(config, host, port)
    except smtplib.SMTPAuthenticationError:
        yield bad("mail server", f"{where} refuses the log-in", "Correct MAIL_USERNAME and MAIL_PASSWORD.")
    except ssl.SSLError as error:
        yield bad(
            "mail server",
            f"the connection to {where} is not safe: {error.reason or error}",
            "Use the server's full name as in its certificate; MAIL_USE_SSL is for port 465, MAIL_USE_TLS for 587 and 25.",
        )
    except smtplib.SMTPNotSupportedError:
        yield bad(
            "mail server", f"{where} offers no STARTTLS or no log-in", "Turn MAIL_USE_TLS off, or use another port."
        )
    except (OSError, smtplib.SMTPException) as error:
        yield bad(
            "mail server", f"{where} cannot be reached: {error}", "Check MAIL_SERVER, MAIL_PORT and the firewall."
        )
    else:
        yield ok("mail server", f"{where} {said}")


def _greet(config: Config, host: str, port: int) -> str:
    """Say hello as the worker would; nothing is sent."""
    context = ssl.create_default_context()
    if config.mail_use_ssl:
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_PATIENCE, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=_PATIENCE)
    with server:
        if config.mail_server and config.mail_use_tls:
            server.starttls(context=context)
        if config.mail_server and config.mail_username:
            server.login(config.mail_username, config.mail_password)
        server.noop()
    safe = config.mail_use_ssl or (config.mail_server and config.mail_use_tls)
    return (
        "answers"
        + (" over a checked certificate" if safe else "")
        + (" and takes the log-in" if config.mail_username else "")
    )


def _sms(config: Config) -> Iterator[Check]:
    if phone.is_local(config):
        yield warn(
            "texts go nowhere",
            "SMS end on the pretend phone",
            "Fine for trying out. Add an SMS connection in the client's settings to send for real.",
        )


def _address(config: Config) -> Iterator[Check]:
    if config.secure:
        yield ok("address", f"{config.url} is https")
    elif config.only_here:
        yield warn(
            "address",
            f"links in mails lead to {config.url}, which only this machine can open",
            "Set FLOWSERVER_URL to the https address people reach; mail programs offer one-click unsubscribe over https only.",
        )
    else:
        yield bad(
            "address",
            f"{config.url} is not https: log-ins travel in the clear and mail programs ignore one-click unsubscribe",
            "Put a proxy with a certificate in front and set FLOWSERVER_URL=https://… (and FLOWSERVER_TRUSTED_PROXIES=1).",
        )
