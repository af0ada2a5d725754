"""Several people do the same thing in the same moment: nobody is made twice, nothing is lost."""

import io
import threading

import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.models import Contact, ContactList, Event, Membership, Message, Signup, Workspace
from flowserver.services.people import contacts, forms, imports, lists, signups


def together(app, workspace_id, *acts):
    """Run functions at the same moment, each in a thread with a session of its own; their errors."""
    ext.db.session.commit()
    start, errors = threading.Barrier(len(acts)), []

    def run(act):
        with app.app_context(), ext.workspace(workspace_id):
            start.wait()
            try:
                act()
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ext.db.session.expire_all()
    return errors


def count(db, model, *where):
    return db.session.scalar(sa.select(sa.func.count()).select_from(model).where(*where))


def test_the_same_person_sent_in_by_eight_is_one_contact(app, db, workspace):
    acts = [
        lambda n=n: contacts.upsert({"email": "m@x.example", "external_id": "A1", "first_name": f"M{n}"}, source="api")
        for n in range(8)
    ]
    assert not together(app, workspace.id, *acts)
    assert count(db, Contact) == 1 and count(db, Event, Event.type == "contact_created") == 1


def test_a_link_pressed_by_eight_confirms_once(app, db, workspace):
    news = lists.create("News")
    form = forms.create({"name": "F", "list_id": news.id})
    signups.receive(form, {"email": "m@x.example"})
    body = db.session.scalar(sa.select(Message)).content["body"]
    token = next(block["url"] for block in body if block["type"] == "button").rsplit("/", 1)[1]
    assert not together(app, workspace.id, *[lambda: signups.confirm(token)] * 8)
    assert count(db, Contact) == count(db, Membership) == 1
    assert count(db, Event, Event.type == "form_filled") == count(db, Event, Event.type == "list_joined") == 1


def test_a_form_sent_eight_times_at_once_is_one_confirmation(app, db, workspace):
    form = forms.create({"name": "F", "list_id": lists.create("News").id})
    number = form.id

    def send():
        signups.receive(forms.get(number), {"email": "m@x.example"})

    assert not together(app, workspace.id, *[send] * 8)
    assert count(db, Signup) == count(db, Message) == 1


def test_eight_who_join_the_same_list_are_told_once_each(app, db, workspace):
    news = lists.create("News")
    ids = [contacts.upsert({"email": f"p{n}@x.example"}, source="api")[0].id for n in range(5)]
    number = news.id
    assert not together(app, workspace.id, *[lambda: lists.join(number, ids)] * 8)
    assert count(db, Event, Event.type == "list_joined") == 5 == count(db, Membership)


def test_two_jobs_read_one_file_without_doubling_a_row(app, db, workspace):
    text = "email,name\n" + "\n".join(f"p{n}@x.example,P{n}" if n % 10 else f"bad{n},x" for n in range(2_000))
    row = imports.start(io.BytesIO(text.encode()), "x.csv", None)
    imports.begin(row.id, {0: "email", 1: "full_name"}, {"new_list": "Fair"})
    number = row.id
    errors = together(app, workspace.id, lambda: imports.run(number), lambda: imports.run(number))
    assert not errors
    row = imports.get(number)
    if row.state == "running":  # each thought the other one was alive: the clock rings again
        row.seen_at = None
        db.session.commit()
        imports.run(number)
        row = imports.get(number)
    assert (row.state, row.done, row.made, row.refused) == ("done", 2_000, 1_800, 200)
    assert count(db, Contact) == count(db, Membership) == 1_800
    refused = imports.refused_file(number).read_text("utf-8-sig").splitlines()
    assert len(refused) == 201


def test_people_who_sign_up_while_a_file_with_their_names_comes_in(app, db, workspace):
    text = "email,first name\n" + "\n".join(f"p{n}@x.example,File" for n in range(1_500))
    row = imports.start(io.BytesIO(text.encode()), "x.csv", None)
    imports.begin(row.id, {0: "email", 1: "first_name"}, {})
    number = row.id

    def sign_up():
        for n in range(1_499, 0, -37):
            contacts.upsert({"email": f"p{n}@x.example", "last_name": "Live"}, source="api")

    assert not together(app, workspace.id, lambda: imports.run(number), sign_up)
    row = imports.get(number)
    assert row.state == "done" and row.made + row.changed == 1_500 and count(db, Contact) == 1_500
    live = db.session.scalars(sa.select(Contact).where(Contact.last_name == "Live")).all()
    assert len(live) == len(range(1_499, 0, -37)) and {one.first_name for one in live} == {"File"}


def test_a_file_touches_no_other_client(db, workspace):
    other = Workspace(slug="o", name="Other", country="PL")
    db.session.add(other)
    db.session.commit()
    with ext.workspace(other.id):
        theirs, _ = contacts.upsert(
            {"email": "m@x.example", "phone": "+393331234567", "external_id": "A1"}, source="api"
        )
        fair = lists.create("Fair")
    row = imports.start(io.BytesIO(b"email,phone,id,first name\nm@x.example,333 1234567,A1,Mine\n"), "x.csv", None)
    imports.begin(row.id, imports.preview(row).guess, {"country": "IT", "new_list": "Fair"})
    imports.run(row.id)
    assert imports.get(row.id).made == 1 and count(db, Contact) == 1
    with ext.workspace(other.id):
        assert contacts.get(theirs.id).first_name == "" and not count(db, Membership, Membership.list_id == fair.id)
    with ext.every_workspace():
        assert {m.workspace_id for m in db.session.scalars(sa.select(Membership))} == {workspace.id}
        assert len(db.session.scalars(sa.select(ContactList.id)).all()) == 2 and not db.session.scalar(
            sa.select(Signup.id)
        )
