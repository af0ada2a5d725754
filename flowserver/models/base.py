"""Column shorthands shared by all tables."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from flowserver import clock
from flowserver.clock import now
from flowserver.extensions import Base, OfWorkspace, UtcDateTime

BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Json = sa.JSON().with_variant(JSONB, "postgresql")


def _now() -> datetime:
    return clock.now()  # asked for at each change: a test may have put another clock in its place


Pk = Annotated[int, mapped_column(BigId, primary_key=True, autoincrement=True)]
Ref = Annotated[int, mapped_column(BigId)]
Instant = Annotated[datetime, mapped_column(UtcDateTime)]
Changed = Annotated[datetime, mapped_column(UtcDateTime, default=_now, onupdate=_now)]  # when the row last changed
Dict = Annotated[dict[str, Any], mapped_column(Json, default=dict)]
List = Annotated[list[Any], mapped_column(Json, default=list)]


class Row(Base):
    """Every table has an id and a creation time. An id is never given to another row: links and history may hold it."""

    __abstract__ = True

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__tablename__" in cls.__dict__:  # SQLite would give the id of a deleted last row to the next one
            cls.__table__.dialect_kwargs["sqlite_autoincrement"] = True

    id: Mapped[Pk]
    created_at: Mapped[Instant] = mapped_column(default=now)


class WorkspaceRow(OfWorkspace, Row):
    """A row that belongs to one client account; the tenant filter covers it."""

    __abstract__ = True

    workspace_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("workspace.id"), index=True)
