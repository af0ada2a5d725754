"""The first run: from an empty database to an agency with a client, a user and ways to send."""

from __future__ import annotations

import sqlalchemy as sa
from flask import current_app

from flowserver.extensions import db
from flowserver.models import Agency


def is_set_up() -> bool:
    """Whether an agency exists. Remembered once true: an installation does not become empty again."""
    if not current_app.extensions.get("flowserver-set-up"):
        found = db.session.scalar(sa.select(Agency.id).limit(1)) is not None
        current_app.extensions["flowserver-set-up"] = found
    return bool(current_app.extensions["flowserver-set-up"])
