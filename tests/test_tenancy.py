"""The tenant filter: rows of one client never show to another, and a query without a client is refused."""

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.models import Contact, Workspace


def test_it_shows_only_the_rows_of_the_workspace(db, workspace):
    other = Workspace(slug="o", name="Other")
    db.session.add(other)
    db.session.flush()
    db.session.add_all([Contact(workspace_id=w.id, email="a@x.example") for w in (workspace, other)])
    db.session.commit()
    assert [c.workspace_id for c in db.session.scalars(sa.select(Contact))] == [workspace.id]
    db.session.expire_all()
    with ext.workspace(other.id):
        assert [c.workspace_id for c in db.session.scalars(sa.select(Contact))] == [other.id]
    with ext.every_workspace():
        assert db.session.scalar(sa.select(sa.func.count(Contact.id))) == 2


def test_it_refuses_a_query_that_names_no_workspace(db):
    ext.enter_workspace(None)
    with pytest.raises(ext.NoWorkspace):
        db.session.scalars(sa.select(Contact)).all()
