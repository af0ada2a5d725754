"""A delivering process is killed at random moments: every mail goes out once, or is known to be unknown."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import sqlalchemy as sa

from flowserver.extensions import db
from flowserver.models import Lease, Message
from flowserver.services.messages import deliveries
from tests.services.conftest import use
from tests.sinks import SmtpSink

MAILS, KILLS = 500, 3

WORKER = """
import sys, time
from flowserver import config, create_app
from flowserver.services.messages import deliveries

class Silent:
    def ring(self, job, *ids): pass

app = create_app(config.read({}, database_url=sys.argv[1], data=sys.argv[2], secret_key="k" * 40, url="http://localhost",
                             testing=True, rate_limits=False, private_hosts=("127.0.0.1",),
                             extra={"queue": Silent()}))
with app.app_context():
    print("took back", deliveries.take_back("worker"), flush=True)
    while deliveries.deliver(int(sys.argv[3]), "worker"):
        pass
print("done", flush=True)
"""


@pytest.mark.crash
def test_killed_again_and_again_it_doubles_and_loses_nothing(app, flow, planned, database_url):
    dice = random.Random(5)
    with SmtpSink(delay=0.01) as sink:
        way = use(sink)
        planned(flow(), MAILS)
        data, way_id = str(app.extensions["config"].data), str(way.id)
        db.session.remove()
        command = [sys.executable, "-c", WORKER, database_url, data, way_id]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        for _ in range(KILLS):
            before = len(sink.mails)
            worker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            until = time.monotonic() + 60
            while len(sink.mails) == before and worker.poll() is None and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(dice.uniform(0, 0.3))
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
        last = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert last.returncode == 0, last.stderr
        time.sleep(0.1)
        mails = list(sink.mails)
    states = Counter(db.session.scalars(sa.select(Message.state)))
    seen = Counter(mail.id for mail in mails)
    assert states["accepted"] + states["unknown"] == MAILS
    assert states["unknown"] <= KILLS * app.extensions["config"].mail_connections
    assert not [mail for mail, times in seen.items() if times > 1]
    assert len(seen) >= states["accepted"]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Lease)) == 0
    assert not list((app.extensions["config"].data / "journal").glob("*"))
    deliveries.hang_up()
