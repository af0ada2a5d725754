"""Leaving another flow."""

from flowserver.domain.steps import Go
from flowserver.nodes.actions.leave_flow import LeaveFlow

from ..kit import context, decide, item, mistakes, names, person

SAMPLES = [{"flow": 3}]


def test_it_wants_the_contact_out():
    ctx = context()
    assert decide(LeaveFlow, SAMPLES[0], item(person(5)), ctx) == Go()
    assert ctx.wishes.left == {3: [5]}


def test_the_flow_must_be_named():
    assert mistakes(LeaveFlow, {}) == {"flow": ["Choose the flow"]}


def test_it_says_what_it_does():
    assert LeaveFlow(SAMPLES[0]).summary(names) == "Leave the flow the flow 3"
