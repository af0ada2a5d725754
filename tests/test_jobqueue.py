"""Rings wait for the commit that makes their rows visible."""

import pytest
import redis

from flowserver import jobqueue
from flowserver.errors import Unavailable


def test_a_savepoint_rings_nothing_yet(db, workspace, queue):
    with db.session.begin_nested():
        jobqueue.wake_after_commit(db.session, "match")
    assert queue.rings == []
    db.session.commit()
    assert queue.rings == [("match",)]


def test_a_savepoint_that_is_given_up_keeps_the_rings_around_it(db, workspace, queue):
    jobqueue.wake_after_commit(db.session, "advance")
    db.session.begin_nested().rollback()
    db.session.commit()
    assert queue.rings == [("advance",)]


def test_a_rollback_forgets_them(db, workspace, queue):
    db.session.connection()
    jobqueue.wake_after_commit(db.session, "advance")
    db.session.rollback()
    db.session.commit()
    assert queue.rings == []


def test_lost_rings_are_told_once(monkeypatch):
    told = []
    monkeypatch.setattr(jobqueue.log, "warning", lambda event, **about: told.append(about["job"]))
    bell = jobqueue.RedisQueue(redis.Redis(host="127.0.0.1", port=1))
    assert not any(bell.ring("deliver", 1) for _ in range(3))
    assert told == ["deliver"]


def test_work_that_stands_in_no_row_is_asked_for_aloud(app, workspace, monkeypatch):
    monkeypatch.setitem(app.extensions, "queue", jobqueue.RedisQueue(redis.Redis(host="127.0.0.1", port=1)))
    with pytest.raises(Unavailable):
        jobqueue.ask("recompute", workspace.id)
    jobqueue.wake("advance")  # the clock finds that by itself
