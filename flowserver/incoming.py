"""Requests without the character NUL, which no database keeps: taken out of what is typed, marked in an address."""

from __future__ import annotations

from typing import Any

from flask import Request
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.utils import cached_property

_MARK = "\N{REPLACEMENT CHARACTER}".encode().decode("latin-1")  # as WSGI writes an address (PEP 3333)


def _without_nul(values: MultiDict[str, str]) -> ImmutableMultiDict[str, str]:
    return ImmutableMultiDict(
        [(key.replace("\0", ""), value.replace("\0", "")) for key, value in values.items(multi=True)]
    )


class CleanRequest(Request):
    """A request whose form, address and query hold no NUL. The API says where it stands instead (``blueprints/api``)."""

    def __init__(self, environ: dict[str, Any], *args: Any, **kwargs: Any):
        environ["PATH_INFO"] = environ.get("PATH_INFO", "").replace("\0", _MARK)
        super().__init__(environ, *args, **kwargs)

    @cached_property
    def args(self) -> MultiDict[str, str]:  # type: ignore[override]
        found: MultiDict[str, str] = super().args
        return found if self.path.startswith("/api/") or b"%00" not in self.query_string else _without_nul(found)

    def _load_form_data(self) -> None:
        super()._load_form_data()
        if any("\0" in key or "\0" in value for key, value in self.form.items(multi=True)):
            self.__dict__["form"] = _without_nul(self.form)
