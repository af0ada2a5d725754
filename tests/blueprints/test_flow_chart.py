"""A chart's lines as numbers: inside the picture, on a round scale, names that do not lie on each other."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flowserver.blueprints.flows import chart

numbers = st.lists(st.integers(0, 10**7), min_size=1, max_size=120)


@given(numbers)
def test_every_point_lies_inside_the_picture(series):
    drawn = chart.draw([series, [0] * len(series), [value // 3 for value in series]])
    for line in drawn.lines:
        for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", line.path):
            assert drawn.left <= float(x) <= drawn.right
            assert 0 <= float(y) <= drawn.height
    top = drawn.grid[-1][1]
    assert top >= max(series) and len(drawn.grid) <= 6
    assert [value for _y, value in drawn.grid] == sorted(value for _y, value in drawn.grid)
    assert all(0 <= index < len(series) for _x, index in drawn.marks) and len(drawn.marks) <= 6


@given(numbers, numbers, numbers)
def test_names_at_the_line_ends_keep_apart(one, two, three):
    size = min(map(len, (one, two, three)))
    drawn = chart.draw([one[:size], two[:size], three[:size]])
    places = sorted(line.label_y for line in drawn.lines)
    assert all(after - before >= 14.9 for before, after in pairwise(places))


def test_nothing_is_drawn_of_nothing():
    drawn = chart.draw([[], [], []])
    assert [line.path for line in drawn.lines] == ["", "", ""] and drawn.marks == []


def test_the_scale_is_round():
    assert [value for _y, value in chart.draw([[170]]).grid] == [0, 50, 100, 150, 200]
    assert [value for _y, value in chart.draw([[3, 1]]).grid] == [0, 1, 2, 3]
    assert [value for _y, value in chart.draw([[9]]).grid][-1] >= 9
