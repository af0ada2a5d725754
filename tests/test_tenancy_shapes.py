"""The tenant filter holds whatever a query looks like: counts, joins, subqueries, aliases."""

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from flowserver import extensions as ext
from flowserver.models import Contact, Workspace

OTHER = orm.aliased(Contact)
SHAPES = {
    "a counted column": sa.select(sa.func.count(Contact.id)),
    "only a FROM": sa.select(sa.func.count()).select_from(Contact),
    "an alias": sa.select(sa.func.count()).select_from(OTHER),
    "a join": sa.select(sa.func.count(Workspace.id)).join(Contact, Contact.workspace_id == Workspace.id),
    "a subquery": sa.select(sa.func.count()).select_from(sa.select(Contact.id).subquery()),
    "a common table": sa.select(sa.func.count()).select_from(sa.select(Contact.id).cte()),
    "a scalar subquery": sa.select(sa.select(sa.func.count(Contact.id)).scalar_subquery()),
    "an IN": sa.select(sa.func.count(Workspace.id)).where(Workspace.id.in_(sa.select(Contact.workspace_id))),
    "an EXISTS": sa.select(sa.func.count(Workspace.id)).where(sa.exists().where(Contact.workspace_id == Workspace.id)),
    "a WHERE": sa.select(sa.func.count(Workspace.id)).where(Contact.workspace_id == Workspace.id),
}


@pytest.fixture
def two(db, workspace):
    """A contact in each of two workspaces; the first one is open."""
    other = Workspace(slug="o", name="Other")
    db.session.add(other)
    db.session.flush()
    db.session.add_all(Contact(workspace_id=one.id, email="a@x.example") for one in (workspace, other))
    db.session.commit()


@pytest.mark.parametrize("shape", SHAPES)
def test_one_client_is_seen(db, two, shape):
    assert db.session.scalar(SHAPES[shape]) == 1
    with ext.every_workspace():
        assert db.session.scalar(SHAPES[shape]) == 2


@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_client_it_is_refused(db, two, shape):
    ext.enter_workspace(None)
    with pytest.raises(ext.NoWorkspace):
        db.session.scalar(SHAPES[shape])


def test_changes_stay_in_the_client(db, two):
    assert db.session.execute(sa.update(Contact).values(score=3)).rowcount == 1
    assert db.session.execute(sa.delete(Contact)).rowcount == 1
    with ext.every_workspace():
        assert [contact.score for contact in db.session.scalars(sa.select(Contact))] == [0]
