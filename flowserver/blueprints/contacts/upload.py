"""Uploads on their way in: spooled to the data folder, never to memory or to a /tmp that may be memory."""

from __future__ import annotations

import tempfile
from typing import IO, Any, cast

from flask import Flask, current_app

from flowserver.incoming import CleanRequest


class UploadRequest(CleanRequest):
    """A request whose files are written to the data folder while they arrive, and are gone when it ends."""

    def _get_file_stream(self, *_args: Any, **_kwargs: Any) -> IO[bytes]:
        folder = current_app.extensions["config"].data / "imports"
        folder.mkdir(parents=True, exist_ok=True)
        return cast("IO[bytes]", tempfile.TemporaryFile("rb+", dir=folder, prefix="upload-"))


def init_app(app: Flask) -> None:
    """Use it for all requests of the app."""
    app.request_class = UploadRequest
