"""A flow whose date has come is letting 100,000 contacts in while its worker is killed again and again.

Everybody enters exactly once: nobody is lost between two chunks, nobody is there twice.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver import clock
from flowserver.extensions import db
from flowserver.models import Enrollment, Flow, FlowStart, Membership
from flowserver.services.engine import bulk, timetable
from flowserver.services.flows import flows
from flowserver.services.people import lists
from tests.services.town import sound, wait

PEOPLE, KILLS = 100_000, 4

WORKER = """
import sys
from flowserver import config, create_app
from flowserver.services.engine import starts, timetable

class Silent:
    def ring(self, job, *ids): pass

starts.MOST = 5000  # so that a fast disk, too, leaves a middle to be killed in
app = create_app(config.read({}, database_url=sys.argv[1], data=sys.argv[2], secret_key="k" * 40, testing=True,
                             rate_limits=False, extra={"queue": Silent()}), pages=False)
with app.app_context():
    timetable.fire(int(sys.argv[3]))
    for one in starts.undone():
        starts.work(one, seconds=600)
print("done", flush=True)
"""


@pytest.mark.crash
def test_killed_in_the_middle_everybody_enters_exactly_once(app, workspace, database_url):
    flow_id = due_flow(workspace)
    data, dice = str(app.extensions["config"].data), random.Random(5)
    command = [sys.executable, "-c", WORKER, database_url, data, str(flow_id)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    entered = [0]
    for kill in range(1, KILLS + 1):
        worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        enough = max(kill * PEOPLE // (KILLS + 2), entered[-1] + 1)
        while inside() < enough and worker.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.02))
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        entered.append(inside())
    assert entered == sorted(set(entered)) and entered[-1] < PEOPLE, f"killed too late: {entered}"
    last = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert last.returncode == 0, last.stderr
    assert inside() == PEOPLE == people()
    start = db.session.execute(sa.select(FlowStart)).scalar_one()
    assert (start.entered, start.done_at is not None) == (PEOPLE, True)
    assert db.session.scalar(sa.select(Flow.starts_at)) is None
    sound()


def due_flow(workspace) -> int:
    """A live flow whose date came a minute ago, for a list of very many."""
    everybody = lists.create("Everybody")
    columns = ("workspace_id", "email", "first_name", "last_name", "fields", "score", "email_consent", "sms_consent")
    rest = ("status", "locale", "source", "created_at", "updated_at")
    now = clock.now() - timedelta(days=1)
    rows = [
        (workspace.id, f"c{n}@x.example", "", "", {}, 0, "given", "none", "active", "", "", now, now)
        for n in range(PEOPLE)
    ]
    bulk.insert(db.session.connection(), "contact", (*columns, *rest), rows)
    members = sa.select(
        sa.literal(everybody.id), sa.text("id"), sa.literal(workspace.id), sa.literal(now, Membership.joined_at.type)
    ).select_from(sa.text("contact"))
    db.session.execute(
        sa.insert(Membership.__table__).from_select(("list_id", "contact_id", "workspace_id", "joined_at"), members)
    )
    db.session.commit()
    local = (clock.now() + timedelta(days=1)).astimezone(timetable.zone_of(workspace.id))
    trigger = {"type": "fixed_date", "date": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M}", "list": everybody.id}
    flow = flows.create({"name": "Christmas", "trigger": trigger, "steps": [wait("w")]})
    flows.publish(flow.id)
    moment = clock.now() - timedelta(minutes=1)
    local = moment.astimezone(timetable.zone_of(workspace.id))
    version = flows.live_version(flows.get(flow.id))
    version.definition = {**version.definition, "trigger": {**version.definition["trigger"], **day(local)}}
    flow = flows.get(flow.id)
    flow.starts_since, flow.starts_at = moment - timedelta(hours=1), moment
    db.session.commit()
    return flow.id


def day(local) -> dict[str, str]:
    """A local moment as a date and a time of the clock."""
    return {"date": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M}"}


def inside() -> int:
    """How many runs there are."""
    db.session.rollback()
    found = db.session.connection().scalar(sa.select(sa.func.count()).select_from(Enrollment.__table__))
    db.session.rollback()
    return found or 0


def people() -> int:
    """How many contacts have entered."""
    return db.session.connection().scalar(sa.select(sa.func.count(sa.distinct(Enrollment.__table__.c.contact_id)))) or 0
