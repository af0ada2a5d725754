"""Pages: every row once, in order, whatever the size; no cursor of somebody else's making."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.fields import BIGGEST_ID

from .conftest import each


@given(st.integers(1, BIGGEST_ID))
def test_a_cursor_says_where_to_go_on(id):
    cursor = paging.encode(id, "lists")
    assert paging.decode(cursor, "lists") == id and paging.decode(cursor, "tags") is None
    assert cursor.isascii() and "=" not in cursor


@given(st.text(max_size=120))
def test_other_texts_are_no_cursors(text):
    assert paging.decode(text, "lists") is None


@given(st.integers().filter(lambda n: not 1 <= n <= BIGGEST_ID))
def test_ids_nobody_has_are_no_cursors(id):
    assert paging.decode(paging.encode(id, "lists"), "lists") is None


def walk(api, path, limit):
    found, cursor = [], ""
    while True:
        answer = api.get(f"{path}?limit={limit}{cursor}")
        assert len(answer.json["data"]) <= limit
        found += answer.json["data"]
        if answer.json["next"] is None:
            return found
        assert len(answer.json["data"]) == limit
        cursor = f"&cursor={answer.json['next']}"


def test_pages_of_any_size_show_every_row_once_in_order(api):
    made = [api.post("/tags", {"name": f"tag {number}"}).json["id"] for number in range(7)]
    for limit in (1, 2, 3, 6, 7, 8, 200):
        assert [row["id"] for row in walk(api, "/tags", limit)] == made, limit


def test_rows_that_come_and_go_meanwhile_move_no_other(api, stranger):
    ids = [api.post("/contacts", {"email": f"c{n}@example.com"}).json["id"] for n in range(6)]
    stranger.post("/contacts", {"email": "c@kino.example"})
    first = api.get("/contacts?limit=3").json
    api.delete(f"/contacts/{ids[1]}")
    api.delete(f"/contacts/{ids[2]}")
    new = api.post("/contacts", {"email": "new@example.com"}).json["id"]
    rest = api.get(f"/contacts?limit=200&cursor={first['next']}").json
    assert [row["id"] for row in rest["data"]] == [*ids[3:], new]


def test_a_page_has_fifty_rows_unless_told_otherwise(api):
    api.post("/contacts/bulk", {"contacts": [{"email": f"c{n}@example.com"} for n in range(51)]})
    answer = api.get("/contacts").json
    assert len(answer["data"]) == 50
    assert len(api.get(f"/contacts?cursor={answer['next']}").json["data"]) == 1


def test_a_cursor_of_another_list_or_of_other_filters_is_refused(api, stranger):
    for caller in (api, stranger):
        caller.post("/contacts/bulk", {"contacts": [{"email": f"c{n}@example.com", "tags": ["a"]} for n in range(3)]})
    cursor = api.get("/contacts?limit=1&tag=a").json["next"]
    assert len(api.get(f"/contacts?tag=a&limit=5&cursor={cursor}").json["data"]) == 2
    for caller, path in (
        (api, "/tags?"),
        (api, "/contacts?"),
        (api, "/contacts?tag=a&status=active&"),
        (stranger, "/contacts?tag=a&"),
    ):
        answer = caller.get(f"{path}cursor={cursor}")
        assert answer.status_code == 422 and list(answer.json["errors"]) == ["cursor"], path


def test_an_empty_list_is_an_empty_page(api):
    assert api.get("/contacts").json == {"data": [], "next": None}


@each("limit", ["0", "201", "-1", "x", "", "1.5", "1e2", "9" * 40, "٣"])
def test_other_sizes_are_refused(api, limit):
    answer = api.get(f"/contacts?limit={limit}")
    assert answer.status_code == 422 and list(answer.json["errors"]) == ["limit"]


@each("cursor", ["x", "", "0", "YWZ0ZXI6", "YWZ0ZXI6LTE", "YWZ0ZXI6eA", "%00", "9" * 500, "ż"])
def test_other_cursors_are_refused(api, cursor):
    answer = api.get(f"/contacts?cursor={cursor}")
    assert answer.status_code == 422 and list(answer.json["errors"]) == ["cursor"]
