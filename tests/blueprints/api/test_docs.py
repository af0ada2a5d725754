"""docs/api.md is true: every curl line works on a live server, every operation is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from flowserver import extensions as ext
from flowserver.services.engine import engine

from .conftest import PREFIX, document, operations

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
ONE_OF = {"lists": "LIST", "segments": "SEGMENT", "contacts": "CONTACT", "forms": "FORM", "flows": "FLOW"}
FOUND = {"enrollments": "ENROLLMENT", "messages": "MESSAGE"}


def lines():
    """The curl lines of the page, in order, continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [
        line.strip()
        for block in blocks
        for line in re.split(r"^(?=curl )", block, flags=re.MULTILINE)
        if line.startswith("curl ")
    ]


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


def test_every_line_of_the_page_works(app, key, db, server, curl, tmp_path):
    values = {**os.environ, "KEY": key, "URL": server}
    called = []
    for line in lines():
        db.session.commit()
        missing = [name for name in re.findall(r"\$([A-Z]+)", line) if name not in values]
        assert not missing, f"{missing} are in no answer before: {line}"
        head = tmp_path / "head"
        run = subprocess.run(
            ["bash", "-c", line.replace("curl ", f"curl --silent --show-error --dump-header {head} ", 1)],
            env=values, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        status = int(re.findall(r"^HTTP/\S+ (\d+)", head.read_text(), re.MULTILINE)[-1])
        assert 200 <= status < 300, f"{line}\n{status} {run.stdout}"
        called.append((re.search(r"-X (\w+)", line) or [0, "GET"])[1])
        remember(values, head.read_text(), line, json.loads(run.stdout) if run.stdout else {})
        ext.db.session.commit()
        engine.advance()
    assert len(called) > 30 and {"GET", "POST", "PATCH", "DELETE"} <= set(called)


def remember(values, head, line, answer):
    """Ids of what was made (named by the header Location) or found, for the lines that follow."""
    made = re.search(r"^Location: \S*/(\w+)/(\d+)\s*$", head, re.MULTILINE)
    if made:
        values[ONE_OF[made[1]]] = made[2]
    found = re.search(r"/(enrollments|messages)\?", line)
    if found and answer["data"]:
        values[FOUND[found[1]]] = str(answer["data"][0]["id"])


def test_every_operation_is_on_the_page(app, workspace):
    there = set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", PAGE.read_text(), re.MULTILINE))
    assert there == {f"{method} {path.removeprefix(PREFIX)}" for method, path, _ in operations(document(app))}


def test_every_resource_has_a_line(app, workspace):
    text = "\n".join(lines())
    for tag in document(app)["tags"]:
        assert f"$URL{PREFIX}/{tag['name'].lower().replace(' ', '-')}" in text, tag["name"]


def test_its_json_is_json():
    blocks = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 2 and all(json.loads(block) for block in blocks)
