"""Lists and tags: joining is an event once, and nothing in use is deleted."""

import pytest
import sqlalchemy as sa

from flowserver.errors import Invalid, NotFound
from flowserver.extensions import workspace as within
from flowserver.models import Contact, ContactList, ContactTag, Event, Flow, FlowVersion, Membership, Tag, Workspace
from flowserver.services.people import contacts, crowd, forms, lists, tags, usage


def people(n, start=0):
    return [
        contacts.upsert({"email": f"p{i}@x.example"}, source="test", silent=True)[0].id for i in range(start, start + n)
    ]


def joined(db):
    return db.session.scalars(sa.select(Event).where(Event.type == "list_joined").order_by(Event.id)).all()


def flow(db, workspace, draft, live=None, **more):
    row = Flow(
        workspace_id=workspace.id,
        name="Welcome",
        trigger_type="list_joined",
        draft=draft,
        updated_at=workspace.created_at,
        **more,
    )
    db.session.add(row)
    db.session.flush()
    if live is not None:
        version = FlowVersion(workspace_id=workspace.id, flow_id=row.id, number=1, definition=live)
        db.session.add(version)
        db.session.flush()
        row.version_id = version.id
    db.session.commit()
    return row


def starts_with(list_id):
    return {"format": 1, "name": "Welcome", "trigger": {"type": "list_joined", "list": list_id}, "steps": []}


def test_joining_counts_once_and_rejoining_is_new(db, workspace):
    news, ids = lists.create("News"), people(3)
    assert lists.join(news.id, ids) == 3
    assert lists.join(news.id, [*ids, *people(1, 3)]) == 1
    assert [event.subject for event in joined(db)] == [str(news.id)] * 4
    assert lists.leave(news.id, ids[:1]) == 1 and lists.leave(news.id, ids[:1]) == 0
    assert lists.join(news.id, ids[:1]) == 1 and len(joined(db)) == 5


def test_a_crowd_joins_in_one_statement_and_rings_the_match_job(db, workspace, queue):
    news, ids = lists.create("News"), people(crowd.AT_ONCE + 5)
    lists.join(news.id, ids)
    assert sorted(event.contact_id for event in joined(db)) == sorted(ids)
    assert ("match",) in queue.rings and not any(event.matched for event in joined(db))
    queue.drain()
    db.session.expire_all()
    assert all(event.matched for event in joined(db))


def test_a_silent_join_tells_nobody(db, workspace):
    lists.join(lists.create("News").id, people(2), silent=True)
    assert not joined(db)


def test_contacts_and_lists_of_another_client_are_out_of_reach(db, workspace):
    other = Workspace(slug="o", name="Other")
    db.session.add(other)
    db.session.commit()
    with within(other.id):
        theirs, [stranger] = lists.create("Theirs").id, people(1)
    mine = lists.create("Mine").id
    assert lists.join(mine, [stranger]) == 0
    with pytest.raises(NotFound):
        lists.join(theirs, people(1))
    assert tags.add([stranger], ["vip"]) == 0


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "<b>", "news"])
def test_a_list_needs_a_name_of_its_own(workspace, name):
    lists.create("News")
    with pytest.raises(Invalid) as error:
        lists.create(name)
    assert list(error.value.messages) == ["name"]


def test_a_list_can_be_renamed_to_its_own_name_in_other_letters(workspace):
    news = lists.create("News")
    assert lists.update(news.id, "NEWS", "Stories", public=True).name == "NEWS"


@pytest.mark.parametrize("choice", ["keep", "delete"])
@pytest.mark.parametrize("size", [3, 1203])
def test_deleting_a_list_keeps_or_deletes_its_contacts(db, workspace, queue, choice, size):
    news = lists.create("News")
    stays = people(1)
    rows = [
        {"workspace_id": workspace.id, "email": f"c{n}@x.example", "fields": {}, "first_name": "", "last_name": "", "score": 0,
         "email_consent": "none", "sms_consent": "none", "status": "active", "locale": "", "source": "",
         "created_at": workspace.created_at, "updated_at": workspace.created_at}
        for n in range(size)
    ]  # fmt: skip
    ids = [row[0] for row in crowd.insert_new(Contact, rows, ("id",))]
    lists.join(news.id, ids, silent=True)
    gone = lists.delete(news.id, choice)
    assert gone == (size < 500)
    queue.drain()
    assert not db.session.scalar(sa.select(sa.func.count()).select_from(Membership))
    assert not db.session.scalar(sa.select(sa.func.count(ContactList.id)))
    left = set(db.session.scalars(sa.select(Contact.id)))
    assert left == ({*stays, *ids} if choice == "keep" else set(stays))


def test_deleting_a_list_needs_a_choice(workspace):
    with pytest.raises(Invalid):
        lists.delete(lists.create("News").id, "")


def test_an_interrupted_deletion_is_rung_again(db, workspace, queue):
    news = lists.create("News")
    news.leaving = "keep"
    db.session.commit()
    lists.everything()
    assert ("delete_list", news.id) in queue.rings
    queue.drain()
    assert not lists.everything()


def test_a_list_in_use_stays_and_its_users_are_named(db, workspace):
    news, other = lists.create("News"), lists.create("Other")
    form = forms.create({"name": "Footer", "list_id": news.id})
    draft = flow(db, workspace, starts_with(news.id))
    with pytest.raises(usage.InUse) as error:
        lists.delete(news.id, "keep")
    assert [(use.kind, use.id) for use in error.value.uses] == [("flow", draft.id), ("form", form.id)]
    assert "Welcome" in str(error.value)
    assert lists.delete(other.id, "keep")


def test_a_list_only_the_live_version_needs_stays_too(db, workspace):
    news = lists.create("News")
    row = flow(db, workspace, starts_with(news.id + 100), live=starts_with(news.id))
    assert [use.id for use in usage.of("list", news.id)] == [row.id]
    row.state = "stopped"
    db.session.commit()
    assert not usage.of("list", news.id)


def test_a_list_inside_a_condition_is_in_use(db, workspace):
    news = lists.create("News")
    step = {
        "key": "q",
        "type": "if_else",
        "if": {"all": [{"type": "in_list", "list": news.id}]},
        "then": [],
        "else": [],
    }
    flow(db, workspace, {**starts_with(news.id + 7), "steps": [step]})
    assert usage.of("list", news.id)


def test_a_tag_a_flow_names_is_neither_renamed_nor_deleted(db, workspace):
    vip, free = tags.create("VIP"), tags.create("free")
    step = {"key": "t", "type": "add_tag", "tag": "vip"}
    flow(db, workspace, {**starts_with(0), "steps": [step]})
    for act in (lambda: tags.delete(vip.id), lambda: tags.rename(vip.id, "gold")):
        with pytest.raises(usage.InUse):
            act()
    tags.add(people(1), ["free"])
    assert tags.rename(free.id, "Libre").name == "libre"
    with pytest.raises(Invalid):
        tags.rename(free.id, "VIP")
    tags.delete(free.id)
    assert (
        db.session.scalars(sa.select(Tag.name)).all() == ["vip"] and not db.session.scalars(sa.select(ContactTag)).all()
    )
