"""Going to another flow."""

import pytest

from flowserver.domain.steps import Go, Leave
from flowserver.nodes.actions.start_flow import LONGEST_CHAIN, StartFlow

from ..kit import context, decide, item, mistakes, names

SAMPLES = [{"flow": 3}, {"flow": 3, "after": "go_on"}]


def handed(one, **settings):
    """The outcome, and the events: type, flow, data."""
    ctx = context()
    outcome = decide(StartFlow, {"flow": 3, **settings}, one, ctx)
    return outcome, [(row[2], row[3], row[6]) for row in ctx.wishes.events]


def test_it_tells_the_other_flow_and_ends_or_goes_on():
    told = [("handed_over", "3", {"start": "flow", "chain": [7]})]
    assert handed(item()) == (Leave("handed_on"), told)
    assert handed(item(), after="go_on") == (Go(), told)


def test_a_flow_does_not_start_itself_nor_one_that_led_here():
    assert handed(item(), flow=7) == (Go(skipped="came_from_there"), [])
    assert handed(item(data={"chain": [3, 4]})) == (Go(skipped="came_from_there"), [])


def test_chains_end_somewhere():
    long = list(range(100, 100 + LONGEST_CHAIN))
    assert handed(item(data={"chain": long[1:]}))[0] == Leave("handed_on")
    assert handed(item(data={"chain": long})) == (Go(skipped="chain_too_long"), [])


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"flow": ["Choose the flow"]}),
        ({"flow": 3, "after": "stop"}, {"after": ["Choose whether this flow ends or goes on"]}),
    ],
)
def test_settings_that_do_not_do_are_refused_at_their_field(raw, wrong):
    assert mistakes(StartFlow, raw) == wrong


def test_it_says_what_it_does():
    assert StartFlow(SAMPLES[0]).summary(names) == "Go to the flow the flow 3"
