"""docs/api.md is true: every curl line works on a live server as it says, every operation is named.

How its blocks are read: a line that begins with ``curl`` is run in order, with what continues it, by bash and the real
curl (``printf`` writes a file for one). It may end with a comment: ``# 201`` is the status it must answer with (any 2xx unless said), ``# CODE=code`` and
``# 200 ROW=data.0.id`` keep a value of the answer, by its path, as a variable for the lines that follow. What a
``Location`` header names is kept by itself: ``/api/v1/coupon-campaigns/3`` as ``$COUPON_CAMPAIGN``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from werkzeug.serving import WSGIRequestHandler, make_server

from flowserver import extensions as ext
from flowserver.models import Contact, Enrollment, Flow
from flowserver.services.accounts import agency_keys
from flowserver.services.engine import engine

from .conftest import PREFIX, document, operations

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
SINGULAR = {"enrollments": "ENROLLMENT", "messages": "MESSAGE"}  # what is found, not made


STARTED = {  # what the section “Every starting point” makes happen to Mario
    *("Points came", "Called Mario", "Hot lead", "Coupon used", "Tasting next step", "Bought", "Best customer"),
    *("Became a customer", "Agreed to SMS", "Registered", "Checked in", "Guide asked for", "App installed"),
    *("Would recommend", "Test drive"),
}


@dataclass(frozen=True)
class Line:
    """A command, the status it must have (0: any good one), and what is kept of the answer."""

    command: str
    status: int
    keeps: dict[str, str]


def lines():
    """The curl lines of the page, in order, continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    found = [line.strip() for block in blocks for line in re.split(r"^(?=(?:curl|printf) )", block, flags=re.MULTILINE)]
    return [read(line) for line in found if line.startswith(("curl ", "printf "))]


def read(line):
    comment = re.search(r"\s+#\s*((?:\d{3}\b|[A-Z_]+=[\w.]+|\s)+)$", line)
    words = comment[1].split() if comment else []
    status = next((int(word) for word in words if word.isdigit()), 0)
    return Line(line[: comment.start()] if comment else line, status, dict(w.split("=") for w in words if "=" in w))


class Silent(WSGIRequestHandler):
    def log(self, *args):
        """Say nothing."""


@pytest.fixture
def server(app):
    """A live server; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def curl():
    """The program; a user's run without it leaves this test out, CI never does."""
    found = shutil.which("curl")
    if not found and not os.environ.get("CI"):
        pytest.skip("curl is not installed")
    assert found
    return found


@pytest.fixture
def values(app, key, workspace, alice, server):
    """The variables a reader of the page has."""
    return {
        **os.environ,
        "KEY": key,
        "FLOWSERVER": server,
        "URL": server,
        "AGENCY_KEY": agency_keys.make("back office", by=alice)[1],
        "CLIENT": workspace.slug,
    }


def test_every_line_of_the_page_works(app, workspace, values, db, curl, queue, tmp_path, monkeypatch):
    monkeypatch.setattr("flowserver.services.messages.console_mail.send", lambda *args: None)
    monkeypatch.chdir(tmp_path)
    called = []
    for line in lines():
        db.session.commit()
        missing = [name for name in re.findall(r"\$\{?([A-Z_]+)", line.command) if name not in values]
        assert not missing, f"{missing} are in no answer before: {line.command}"
        head, answer = run(line.command, values, tmp_path)
        if line.command.startswith("printf "):
            continue
        status = int(re.findall(r"^HTTP/\S+ (\d+)", head, re.MULTILINE)[-1])
        assert status == line.status if line.status else 200 <= status < 300, f"{line.command}\n{status} {answer}"
        called.append((re.search(r"-X (\w+)", line.command) or [0, "GET"])[1])
        remember(values, head, line, answer)
        ext.db.session.commit()
        engine.advance()
        queue.drain()
    assert len(called) > 30 and {"GET", "POST", "PATCH", "DELETE"} <= set(called)
    entered = sa.select(Flow.name).join(Enrollment, Enrollment.flow_id == Flow.id)
    mario = entered.join(Contact, Contact.id == Enrollment.contact_id).where(Contact.email == "mario@example.com")
    with ext.workspace(workspace.id):
        assert set(ext.db.session.scalars(mario)) >= STARTED


def run(command, values, tmp_path):
    """``(headers, body)`` of the answer."""
    head = tmp_path / "head"
    done = subprocess.run(
        ["bash", "-c", command.replace("curl ", f"curl --silent --show-error --dump-header {head} ", 1)],
        env=values, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return head.read_text() if head.exists() else "", done.stdout


def remember(values, head, line, answer):
    """Ids of what was made (named by the header Location), found, or asked to be kept, for the lines that follow."""
    made = re.search(r"^Location: \S*/([\w-]+)/(\d+)\s*$", head, re.MULTILINE)
    if made:
        values[singular(made[1])] = made[2]
    found = re.search(r"/(enrollments|messages)\?", line.command)
    if found and json.loads(answer)["data"]:
        values[SINGULAR[found[1]]] = str(json.loads(answer)["data"][0]["id"])
    for name, path in line.keeps.items():
        value = json.loads(answer)
        for part in path.split("."):
            value = value[int(part) if isinstance(value, list) else part]
        values[name] = str(value)


def singular(collection):
    """``coupon-campaigns`` → ``COUPON_CAMPAIGN``."""
    word = re.sub(r"ies$", "y", collection)
    word = re.sub(r"(?<!s)s$", "", word) if word == collection else word
    return word.replace("-", "_").upper()


def test_every_operation_is_on_the_page(app, workspace):
    there = set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", PAGE.read_text(), re.MULTILINE))
    assert there == {f"{method} {path.removeprefix(PREFIX)}" for method, path, _ in operations(document(app))}


def test_every_resource_has_a_line(app, workspace):
    """At least one of the operations of every resource is shown as a line to paste."""
    text = re.sub(r"\$\{?[A-Z_]+\}?", "{}", "\n".join(line.command for line in lines()))
    for tag in document(app)["tags"]:
        paths = {path for _, path, operation in operations(document(app)) if tag["name"] in operation["tags"]}
        assert any("{}" + re.sub(r"\{\w+\}", "{}", path) in text for path in paths), tag["name"]


def test_comments_are_read_and_taken_off():
    assert read('curl "$URL/x"') == Line('curl "$URL/x"', 0, {})
    assert read('curl \\\n  "$URL/x#y"  # 201 CODE=data.0.code') == Line(
        'curl \\\n  "$URL/x#y"', 201, {"CODE": "data.0.code"}
    )
    assert [singular(one) for one in ("lists", "coupon-campaigns", "purchases", "monies")] == [
        "LIST",
        "COUPON_CAMPAIGN",
        "PURCHASE",
        "MONY",
    ]


def test_its_json_is_json():
    blocks = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 2 and all(json.loads(block) for block in blocks)
