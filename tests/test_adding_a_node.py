"""docs/adding-a-node.md, word for word: its files are copied out of it, pass the contract, and work in a flow."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from flowserver import registry
from flowserver.models import Contact, ContactList, Decision, Field
from flowserver.nodes import actions as package
from flowserver.nodes import catalogue
from flowserver.services.engine import engine
from flowserver.services.flows import flows
from flowserver.services.people import lists, timeline

PAGE = (Path(__file__).parent.parent / "docs" / "adding-a-node.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def named(kind: str) -> str:
    """The path the page gives to a file, such as ``flowserver/nodes/actions/copy_field.py``."""
    (found,) = set(re.findall(rf"`({kind}/\S+\.py)`", PAGE)) - {"tests/nodes/test_contract.py"}
    return found


NODE, TEST = blocks("python")
(DEFINITION,) = blocks("json")


def test_the_files_of_the_page_keep_the_contract_and_pass_their_own_test(clone):
    files = {named("flowserver"): NODE, named("tests"): TEST}
    for path, text in files.items():
        (clone.folder / path).write_text(text)
    tried = clone("pytest", "-p", "no:cacheprovider", "tests/nodes", "-k", "copy_field")
    assert tried.returncode == 0, tried.stdout
    assert int(re.search(r"(\d+) passed", tried.stdout)[1]) > 20
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff:
        check = subprocess.run([ruff, "check", *files], cwd=clone.folder, capture_output=True, text=True)
        assert check.returncode == 0, check.stdout
        assert (
            subprocess.run([ruff, "format", "--check", *files], cwd=clone.folder, capture_output=True).returncode == 0
        )


@pytest.fixture
def with_the_new_action(tmp_path, monkeypatch):
    """The file of the page in a folder that belongs to the actions for the length of a test."""
    (tmp_path / "copy_field.py").write_text(NODE)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])

    def look_again() -> None:
        registry.modules.cache_clear()
        registry.discover.cache_clear()

    look_again()
    yield
    monkeypatch.undo()
    sys.modules.pop("flowserver.nodes.actions.copy_field", None)
    look_again()


def test_the_flow_of_the_page_works(with_the_new_action, db, workspace, clock):
    assert "copy_field" in catalogue.actions()
    db.session.add_all(
        [
            ContactList(workspace_id=workspace.id, name="Customers"),
            *(
                Field(workspace_id=workspace.id, key=key, label=key.title(), type="text", choices=[])
                for key in ("last_city", "city")
            ),
            Contact(workspace_id=workspace.id, email="ada@x.example", fields={"last_city": "Rome"}),
            Contact(workspace_id=workspace.id, email="bob@x.example"),
        ]
    )
    db.session.commit()
    flow = flows.create(json.loads(DEFINITION))
    flows.publish(flow.id)
    ids = db.session.scalars(sa.select(Contact.id).order_by(Contact.id)).all()
    lists.join(flow.draft["trigger"]["list"], ids)
    assert engine.batch() == 2
    db.session.expire_all()
    assert [one.fields.get("city") for one in db.session.scalars(sa.select(Contact).order_by(Contact.id))] == [
        "Rome",
        None,
    ]
    decided = db.session.execute(
        sa.select(Decision.outcome, Decision.reason).where(Decision.step == "city").order_by(Decision.id)
    ).all()
    assert decided == [("next", None), ("skipped", "nothing_to_copy")]
    assert timeline.reason("nothing_to_copy") == "There was nothing to copy"


def test_what_the_page_says_about_nodes_is_so():
    from flowserver.nodes.base import NEEDS

    assert all(f"`{need}`" in PAGE for need in NEEDS)
    for path in re.findall(r"`((?:flowserver|tests|services)/[\w/]+\.py)`", PAGE):
        root = Path(__file__).parent.parent
        known = (root / path).exists() or (root / "flowserver" / path).exists()
        assert known or path in (named("flowserver"), named("tests")), path
