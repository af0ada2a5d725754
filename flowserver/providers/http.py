"""The one door for outgoing HTTP calls: time-outs, a size limit, and no private addresses but those the operator lists.

A host is resolved once, its addresses are judged, and the call goes to exactly the address that was judged: a name
that changes its answer in between (DNS rebinding) gains nothing. Redirects are followed only where asked, each hop
through the same door. Proxy settings of the environment are not used.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from flowserver.errors import ProviderAuthFailed, ProviderError, ProviderUnavailable

LARGEST = 1024 * 1024  # bytes of an answer
CONNECT, READ = 5.0, 10.0  # seconds


class Blocked(ProviderError):
    """The address is private and not on the operator's list."""


class Unanswered(ProviderUnavailable):
    """The request went out and no answer came: it may have been carried out."""


class Reply:
    """An answer: status, headers and body."""

    def __init__(self, status: int, headers: Any, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        """The body as JSON. Raises :class:`ProviderError` when it is none."""
        import orjson

        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise ProviderError("the answer is not JSON", code=str(self.status)) from None


class Door:
    """Makes HTTP calls. Safe to use from several threads; keeps its connections open."""

    def __init__(self, private_hosts: Sequence[str] = ()):
        self._allowed = frozenset(private_hosts)
        self._session = requests.Session()
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._allowed))

    def post(self, url: str, **kwargs: Any) -> Reply:
        """POST; arguments as in :meth:`request`."""
        return self.request("POST", url, **kwargs)

    def get(self, url: str, **kwargs: Any) -> Reply:
        """GET; arguments as in :meth:`request`."""
        return self.request("GET", url, **kwargs)

    def request(
        self,
        method: str,
        url: str,
        *,
        timeout: float = READ,
        redirects: bool = False,
        accept: Sequence[int] = (),
        **kwargs: Any,
    ) -> Reply:
        """Make one call and turn its outcome into an answer or an error.

        ``timeout``: seconds for the whole answer; ``accept``: error statuses to return rather than raise; other
        arguments as in requests (``json``, ``data``, ``headers``, ``params``). Raises :class:`Blocked` for a private
        address, :class:`Unanswered` when the request may have been carried out,
        :class:`~flowserver.errors.ProviderUnavailable` when it surely was not or the other side says 429 or 5xx,
        :class:`~flowserver.errors.ProviderAuthFailed` for 401 and 403, :class:`~flowserver.errors.ProviderError`
        for any other refusal.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise Blocked("only http and https addresses can be called")
        ends = time.monotonic() + timeout
        try:
            with self._session.request(
                method, url, timeout=(min(CONNECT, timeout), timeout), allow_redirects=redirects, stream=True, **kwargs
            ) as answer:
                reply = Reply(answer.status_code, answer.headers, _read(answer, ends))
        except requests.exceptions.RequestException as error:
            raise _failure(error) from error
        if reply.status >= 300 and reply.status not in accept:
            raise _refusal(reply)
        return reply


def _read(answer: requests.Response, ends: float) -> bytes:
    body = b""
    for piece in answer.iter_content(16384):
        body += piece
        if len(body) > LARGEST:
            raise ProviderError("the answer is larger than a megabyte")
        if time.monotonic() > ends:
            raise Unanswered("the answer took too long")
    return body


def _failure(error: requests.exceptions.RequestException) -> ProviderError:
    """Whether the request surely did not arrive, or may have."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, _BlockedAddress):
            return Blocked(str(inner.__cause__ or inner))
        if isinstance(inner, NewConnectionError | NameResolutionError | requests.exceptions.ConnectTimeout):
            return ProviderUnavailable(f"cannot be reached: {type(inner).__name__}")
        if isinstance(inner, requests.exceptions.SSLError):
            return ProviderUnavailable("the certificate is not trusted")
        reason = inner.args[0] if inner.args and isinstance(inner.args[0], BaseException) else None
        inner = getattr(inner, "reason", None) or inner.__cause__ or reason or _context(inner)
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
        return ProviderError("the address is not a web address")
    return Unanswered(f"no answer: {type(error).__name__}")


def _context(error: BaseException) -> BaseException | None:
    return error.__context__


def _refusal(reply: Reply) -> ProviderError:
    words = reply.body[:200].decode("utf-8", "replace").strip()
    text, code = f"{reply.status} {words}".strip(), str(reply.status)
    if reply.status in (401, 403):
        return ProviderAuthFailed(text, code)
    if reply.status == 429 or reply.status >= 500:
        return ProviderUnavailable(text, code)
    return ProviderError(text, code)


# --- addresses ---------------------------------------------------------------------------------------------


class _BlockedAddress(NewConnectionError):
    """Raised inside urllib3, which wraps it on its way out."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if mapped is not None:
        ip = mapped
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def is_listed(host: str, address: str, allowed: frozenset[str]) -> bool:
    """Whether the operator lets us reach this private address: by name, by address, or by network ("10.1.0.0/16")."""
    if host.lower().rstrip(".") in allowed or address in allowed:
        return True
    ip = ipaddress.ip_address(address.partition("%")[0])
    for entry in allowed:
        if "/" in entry:
            try:
                if ip in ipaddress.ip_network(entry, strict=False):
                    return True
            except ValueError:
                continue
    return False


def resolve(host: str, port: int, allowed: frozenset[str]) -> list[str]:
    """Addresses of a host, all of them fit to be called. Raises ``PermissionError`` when one is not."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    for address in addresses:
        if not is_public(address) and not is_listed(host, address, allowed):
            raise PermissionError(f"{host} is a private address")
    return addresses


class _Guarded:
    """Mixin of urllib3's connections: judge the addresses, then connect to one that was judged."""

    allowed: frozenset[str] = frozenset()

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        try:
            addresses = resolve(connection._dns_host, connection.port, self.allowed)
        except PermissionError as error:
            raise _BlockedAddress(connection, str(error)) from error
        except (socket.gaierror, UnicodeError, ValueError) as error:
            raise NewConnectionError(connection, f"{connection.host} has no address") from error
        last: OSError | None = None
        for address in addresses:
            try:
                made = socket.create_connection((address, connection.port), timeout=CONNECT)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return made
            except OSError as error:
                last = error
        raise NewConnectionError(connection, f"{connection.host}: {last}") from last


class _Adapter(HTTPAdapter):
    def __init__(self, allowed: frozenset[str]):
        self._guard = allowed
        super().__init__(pool_connections=20, pool_maxsize=32, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        plain = type("_Plain", (_Guarded, HTTPConnection), {"allowed": self._guard})
        secure = type("_Secure", (_Guarded, HTTPSConnection), {"allowed": self._guard})
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("_PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("_SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }
