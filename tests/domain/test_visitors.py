"""Person or program: judged from what a request tells."""

from datetime import UTC, datetime, timedelta

import pytest

from flowserver.domain.visitors import Visitor, judge_click, judge_open

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def visitor(seconds=60, agent=FIREFOX, **more) -> Visitor:
    return Visitor(at=NOW + timedelta(seconds=seconds), agent=agent, **more)


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (visitor(), None),
        (visitor(method="HEAD"), "head"),
        (visitor(agent=""), "no_agent"),
        (visitor(agent="Mozilla/5.0"), "apple_prefetch"),
        (visitor(agent="Mozilla/5.0 (via ggpht.com GoogleImageProxy)"), None),
        (visitor(agent="curl/8.0"), "program"),
        (visitor(agent="Mozilla/5.0 (compatible; bingbot/2.0)"), "program"),
        (visitor(agent="Barracuda Sentinel (EE)"), "program"),
        (visitor(purpose="prefetch;prerender"), "prefetch"),
        (visitor(seconds=0.5), "at_once"),
        (visitor(agent="Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) AppleWebKit/605.1.15 Mobile/15E148"), None),
        (visitor(agent="Cubot Phone Mozilla/5.0 (Linux; Android 14; CUBOT X70)"), None),
    ],
)
def test_opens(who, reason):
    assert judge_open(who, NOW) == reason


def test_an_open_before_we_know_of_the_acceptance_is_a_persons():
    assert judge_open(visitor(seconds=0), None) is None


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (visitor(seconds=0.5, by_hand=True), "at_once"),
        (visitor(seconds=5), "at_once"),
        (visitor(seconds=5, by_hand=True), None),
        (visitor(seconds=15), None),
        (visitor(agent="SafeLinks scanner"), "program"),
    ],
)
def test_clicks(who, reason):
    assert judge_click(who, NOW, 0, [], 4) == reason


def test_all_links_within_seconds_is_a_scanner():
    who = visitor()
    earlier = [(0, who.at - timedelta(seconds=3)), (1, who.at - timedelta(seconds=2))]
    assert judge_click(who, NOW, 2, earlier, 3) == "all_links"
    assert judge_click(who, NOW, 2, earlier, 4) is None  # the fourth is still left
    assert judge_click(who, NOW, 1, earlier, 3) is None  # the same one again
    slow = [(n, at - timedelta(seconds=60)) for n, at in earlier]
    assert judge_click(who, NOW, 2, slow, 3) is None


def test_evidence_holds_no_address():
    kept = visitor(by_hand=True).evidence("program")
    assert kept == {"agent": FIREFOX, "method": "GET", "by_hand": True, "judged": "program"}
