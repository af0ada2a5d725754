"""One frozen Config, read from the environment once. All mistakes are reported together."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit

import platformdirs

from flowserver.errors import Invalid

WEB_THREADS = 16  # requests a web process answers at once: while one waits for its commit, the others go on


def default_data_dir() -> Path:
    """Where flowserver keeps its files unless told otherwise: the user's own data folder."""
    return Path(platformdirs.user_data_dir("flowserver", appauthor=False))


@dataclass(frozen=True)
class Config:
    """Every setting of the product, with the default a single machine needs.

    Times are seconds unless the name says otherwise; sizes are bytes.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    url: str = ""  # the address people reach us at, no trailing slash
    database_url: str = ""
    redis_url: str = ""
    secret_key: str = ""
    old_secret_keys: tuple[str, ...] = ()
    mail_server: str = ""
    mail_port: int = 25
    mail_username: str = ""
    mail_password: str = ""
    mail_use_tls: bool = False
    mail_use_ssl: bool = False
    mail_default_sender: str = ""
    mail_connections: int = 4
    mail_timeout: float = 30.0
    mailbox_port: int = 0  # the local mail server of `flowserver up`; 0: none is running
    phone_url: str = ""  # the pretend phone of `flowserver up`; empty: none is running
    phone_secret: str = ""  # what the pretend phone and we sign with
    metrics_token: str = ""  # lets a scraper that is not on this machine read /metrics
    log_level: str = "INFO"
    private_hosts: tuple[str, ...] = ()  # private addresses that outgoing calls may reach
    trusted_proxies: int = 0
    clock_ahead: int = 0  # seconds, to try what a date brings
    max_upload: int = 100 * 1024 * 1024
    testing: bool = False
    rate_limits: bool = True
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def only_here(self) -> bool:
        """Whether the address people are given works on this machine only."""
        host = urlsplit(self.url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")

    @property
    def secure(self) -> bool:
        """Whether people reach us over https, so that cookies may be marked Secure."""
        return self.url.startswith("https://")

    @property
    def redis_address(self) -> str:
        """URL of the Redis server: the one named, else the embedded one of the data folder."""
        return self.redis_url or f"unix://{quote(str(valkey_socket(self.data)))}"


_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


class _Reader:
    """Reads typed values from a mapping and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]):
        self.environ = environ
        self.mistakes: dict[str, list[str]] = {}

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(name, default).strip()

    def number(self, name: str, default: int, low: int = 0, high: int = 2**31) -> int:
        raw = self.text(name)
        if not raw:
            return default
        if not raw.isdigit() or not low <= int(raw) <= high:
            self.mistakes[name] = [f"{name} must be a whole number from {low} to {high}, not {raw!r}"]
            return default
        return int(raw)

    def flag(self, name: str, default: bool = False) -> bool:
        raw = self.text(name).lower()
        if not raw:
            return default
        if raw not in _TRUE | _FALSE:
            self.mistakes[name] = [f"{name} must be yes or no, not {raw!r}"]
        return raw in _TRUE

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of ``choices``, whose first is the default; small letters will do."""
        raw = self.text(name, choices[0]).upper()
        if raw not in choices:
            self.mistakes[name] = [f"{name} must be one of {', '.join(choices)}, not {raw!r}"]
        return raw

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(word for word in self.text(name).replace(",", " ").split() if word)

    def url(self, name: str, schemes: tuple[str, ...]) -> str:
        raw = self.text(name)
        if raw and urlsplit(raw).scheme.split("+")[0] not in schemes:
            self.mistakes[name] = [f"{name} must start with {' or '.join(s + '://' for s in schemes)}"]
        return raw


def data_dir(given: str = "") -> Path:
    """The data folder: the one given, or the usual one. It need not exist."""
    return Path(given or default_data_dir()).absolute()


def read(environ: Mapping[str, str] | None = None, **overrides: object) -> Config:
    """Read the environment (or ``environ``); ``overrides`` win. Raises :class:`Invalid` naming every mistake."""
    env = _Reader(os.environ if environ is None else environ)
    data = data_dir(str(overrides.pop("data", "") or env.text("FLOWSERVER_DATA")))
    host = str(overrides.pop("host", "") or env.text("FLOWSERVER_HOST", "127.0.0.1"))
    port = int(str(overrides.pop("port", 0) or env.number("FLOWSERVER_PORT", 8000, 1, 65535)))
    local = local_ports(data)
    key = env.text("SECRET_KEY") or secret_key(data)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    values: dict[str, object] = {
        "data": data,
        "host": host,
        "port": port,
        "url": (env.url("FLOWSERVER_URL", ("http", "https")) or f"http://{shown}:{port}").rstrip("/"),
        "database_url": _modern(env.url("DATABASE_URL", ("sqlite", "postgresql", "postgres")))
        or f"sqlite:///{data / 'flowserver.db'}",
        "redis_url": env.url("REDIS_URL", ("redis", "rediss", "unix")),
        "secret_key": key,
        "old_secret_keys": env.words("OLD_SECRET_KEYS"),
        "mail_server": env.text("MAIL_SERVER"),
        "mail_port": env.number("MAIL_PORT", 25, 1, 65535),
        "mail_username": env.text("MAIL_USERNAME"),
        "mail_password": env.text("MAIL_PASSWORD"),
        "mail_use_tls": env.flag("MAIL_USE_TLS"),
        "mail_use_ssl": env.flag("MAIL_USE_SSL"),
        "mail_default_sender": env.text("MAIL_DEFAULT_SENDER"),
        "mail_connections": env.number("MAIL_CONNECTIONS", 4, 1, 64),
        "mailbox_port": env.number("FLOWSERVER_MAILBOX_PORT", local.get("mail", 0), 0, 65535),
        "phone_url": env.url("FLOWSERVER_PHONE_URL", ("http", "https"))
        or (f"http://127.0.0.1:{local['phone']}" if "phone" in local else ""),
        "phone_secret": env.text("FLOWSERVER_PHONE_SECRET") or hmac.digest(key.encode(), b"phone", "sha256").hex(),
        "metrics_token": env.text("FLOWSERVER_METRICS_TOKEN"),
        "log_level": env.choice("FLOWSERVER_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
        "private_hosts": env.words("FLOWSERVER_PRIVATE_HOSTS"),
        "trusted_proxies": env.number("FLOWSERVER_TRUSTED_PROXIES", 0, 0, 10),
        "clock_ahead": env.number("FLOWSERVER_CLOCK_AHEAD", 0),
        "rate_limits": env.flag("FLOWSERVER_RATE_LIMITS", True),
    }
    if values["mail_use_tls"] and values["mail_use_ssl"]:
        env.mistakes["MAIL_USE_TLS"] = ["MAIL_USE_TLS and MAIL_USE_SSL exclude each other: choose one"]
    if str(values["database_url"]).startswith("postgresql") and find_spec("psycopg") is None:
        env.mistakes["DATABASE_URL"] = [
            "DATABASE_URL names PostgreSQL: pip install 'flowserver[postgres]' adds its driver"
        ]
    if env.mistakes:
        raise Invalid(env.mistakes)
    return Config(**{**values, **overrides})  # type: ignore[arg-type]


def _modern(url: str) -> str:
    """``postgres://`` and ``postgresql://`` both mean psycopg 3 here."""
    for old in ("postgres://", "postgresql://"):
        if url.startswith(old):
            return "postgresql+psycopg://" + url.removeprefix(old)
    return url


def secret_key(data: Path) -> str:
    """The key that signs cookies and links: made once and kept in the data folder, readable by us alone."""
    path = data / "secret_key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)  # it will hold people's addresses
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:  # another process was quicker; its key counts
        pass
    return path.read_text().strip()


def valkey_socket(data: Path) -> Path:
    """Where the embedded Redis server of this data folder listens.

    A socket's path may have 103 bytes at most on some systems; a data folder that lies deeper gets a short
    folder of its own below /tmp, named after us and it.
    """
    path = data / "valkey.sock"
    if len(os.fsencode(path)) <= 100:
        return path
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path("/tmp") / f"flowserver-{os.getuid()}-{digest}" / "valkey.sock"  # noqa: S108 - owner checked at start


def local_ports(data: Path) -> dict[str, int]:
    """Ports of the local mail server and phone that ``flowserver up`` last used here: ``{"mail": 40001, "phone": 40002}``."""
    try:
        ports = json.loads((data / "ports.json").read_text())
        return {name: int(port) for name, port in ports.items() if name in ("mail", "phone")}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
