"""The ``flowserver`` command: words, exit codes, and what it prints for programs."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowserver import config as settings
from flowserver.cli import main
from flowserver.errors import Invalid

ROOT = Path(__file__).parent.parent
MAIN_MODULE = (sys.executable, "-m", "flowserver")
ANSWERS = (
    "--agency",
    "Studio Ponte",
    "--client",
    "Caffè Lume",
    "--time-zone",
    "Europe/Rome",
    "--email",
    "giulia@ponte.example",
)


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """``cli("migrate", **environment)`` runs the command on a data folder of its own, in a process of its own."""
    import os

    def run(*words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess:
        keep = {
            k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "MAIL_SERVER", "SECRET_KEY")
        }
        return subprocess.run(
            [*MAIN_MODULE, *words],
            input=stdin,
            env={**keep, "FLOWSERVER_DATA": str(tmp_path / "data"), **env},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


# --- settings --------------------------------------------------------------------------------------------


def test_all_mistakes_in_the_environment_are_told_at_once(cli):
    done = cli(
        "up", FLOWSERVER_PORT="eighty", REDIS_URL="memcached://x", MAIL_USE_TLS="maybe", FLOWSERVER_LOG_LEVEL="loud"
    )
    assert done.returncode == 2
    for name in ("FLOWSERVER_PORT", "REDIS_URL", "MAIL_USE_TLS", "FLOWSERVER_LOG_LEVEL"):
        assert f"  - {name} must" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_made_is_told_in_words(cli, tmp_path):
    (tmp_path / "file").write_text("")
    done = cli("up", "--data", str(tmp_path / "file" / "data"))
    assert done.returncode == 2 and "The data folder cannot be used" in done.stderr


def test_every_setting_stands_in_the_example_file():
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "flowserver" / "config.py").read_text()))
    assert len(read) > 20
    shown = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    compose_only = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "FLOWSERVER_PUBLISH"}
    assert shown == read | compose_only


def test_the_example_file_is_read_without_a_mistake(tmp_path):
    pairs = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M)
    found = settings.read({**dict(pairs), "FLOWSERVER_DATA": str(tmp_path)})
    default = settings.read({"FLOWSERVER_DATA": str(tmp_path)})
    assert found == default


def test_the_secret_key_is_made_once_and_kept_private(tmp_path):
    data = tmp_path / "data"
    first, second = settings.read({}, data=data), settings.read({}, data=data)
    assert first.secret_key == second.secret_key and len(first.secret_key) > 40
    assert stat.S_IMODE((data / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_local_ports_are_found_by_other_commands(tmp_path):
    (tmp_path / "ports.json").write_text('{"mail": 40001, "phone": 40002}')
    found = settings.read({}, data=tmp_path)
    assert (found.mailbox_port, found.phone_url) == (40001, "http://127.0.0.1:40002")
    (tmp_path / "ports.json").write_text("half a fi")
    assert settings.read({}, data=tmp_path).mailbox_port == 0


@pytest.mark.parametrize("url", ["mysql://x/y", "flowserver.db", "http://x"])
def test_a_database_of_another_kind_is_refused(url, tmp_path):
    with pytest.raises(Invalid, match="DATABASE_URL must start with"):
        settings.read({"DATABASE_URL": url}, data=tmp_path)


# --- commands --------------------------------------------------------------------------------------------


def test_help_comes_quickly_and_names_the_commands():
    began = time.monotonic()
    done = subprocess.run([*MAIN_MODULE, "--help"], capture_output=True, text=True, timeout=30)
    assert time.monotonic() - began < 5
    for command in (
        "up",
        "serve",
        "worker",
        "clock",
        "setup",
        "migrate",
        "doctor",
        "demo",
        "bench",
        "new-node",
        "keys",
    ):
        assert re.search(rf"^  {command}\b", done.stdout, re.M)


def test_help_loads_neither_sqlalchemy_nor_rq():
    code = "import sys; from click.testing import CliRunner; from flowserver.cli import main; CliRunner().invoke(main, ['--help']); print([m for m in ('sqlalchemy', 'rq', 'redis', 'waitress') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_an_unknown_queue_is_refused():
    done = CliRunner().invoke(main, ["worker", "--queues", "events,mail"])
    assert done.exit_code == 2 and "There is no queue 'mail'" in done.output


def test_setup_prints_workspace_and_key_once(cli, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("correct horse battery\n")
    first = cli("setup", *ANSWERS, "--password-file", str(secret))
    assert first.returncode == 0, first.stderr
    made = json.loads(first.stdout)
    assert set(made) == {"workspace", "api_key"} and isinstance(made["workspace"], int) and len(made["api_key"]) > 20
    second = cli("setup", *ANSWERS, "--password-file", "-", stdin="correct horse battery")
    assert second.returncode == 1
    assert "set up already" in json.loads(second.stdout)["error"]


def test_setup_names_every_answer_that_does_not_do(cli, tmp_path):
    answers = ("--agency", " ", "--client", "C", "--time-zone", "Rome", "--email", "nobody", "--password-file", "-")
    done = cli("setup", *answers, stdin="short")
    assert done.returncode == 1
    assert {"agency", "time_zone", "email", "password"} <= set(json.loads(done.stdout)["errors"])


def test_setup_without_its_password_file_ends_before_anything_is_made(cli, tmp_path):
    done = cli("setup", *ANSWERS, "--password-file", str(tmp_path / "nowhere"))
    assert done.returncode == 2 and "password file cannot be read" in done.stderr
    assert not (tmp_path / "data" / "flowserver.db").exists()


def test_migrate_can_be_repeated(cli):
    assert cli("migrate").returncode == 0
    again = cli("migrate")
    assert (again.returncode, again.stdout) == (0, "The database is up to date.\n")


def test_a_database_that_cannot_be_opened_is_told_in_one_line(cli):
    done = cli("migrate", DATABASE_URL="sqlite:////nowhere/at/all.db")
    assert done.returncode == 1
    assert "The database cannot be used: unable to open database file" in done.stderr and "Traceback" not in done.stderr


def test_doctor_says_what_is_wrong_and_how_to_mend_it(cli):
    assert cli("migrate").returncode == 0
    done = cli("doctor", "--json", MAIL_SERVER="127.0.0.1", MAIL_PORT="9", FLOWSERVER_URL="http://flow.example")
    assert done.returncode == 1
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    for name in ("redis", "clocks", "workers", "mail server", "address"):
        assert checks[name]["state"] == "bad" and checks[name]["mend"]
    for name in ("data folder", "disk", "secret key", "database", "migrations", "durability", "time zones"):
        assert checks[name]["state"] == "ok", checks[name]
    assert (
        "5 things need mending."
        in cli("doctor", MAIL_SERVER="127.0.0.1", MAIL_PORT="9", FLOWSERVER_URL="http://flow.example").stdout
    )


def test_doctor_makes_no_folder_and_says_where_it_looked(cli, tmp_path):
    done = cli("doctor")
    assert done.returncode == 2 and f"Nothing is installed in {tmp_path / 'data'}. Name the data folder" in done.stderr
    assert not (tmp_path / "data").exists()


def test_doctor_tells_a_database_that_was_never_migrated(cli, tmp_path):
    (tmp_path / "data").mkdir()
    checks = {check["name"]: check for check in json.loads(cli("doctor", "--json").stdout)["checks"]}
    assert checks["migrations"]["state"] == "bad" and "flowserver migrate" in checks["migrations"]["mend"]


@pytest.mark.parametrize("kind", ["action", "condition", "trigger"])
def test_a_new_node_is_found_and_keeps_the_contract(clone, kind):
    done = clone("flowserver", "new-node", kind, "call_back")
    assert done.returncode == 0, done.stderr
    tried = clone("pytest", "-p", "no:cacheprovider", "tests/nodes", "-k", "call_back")
    assert tried.returncode == 0, tried.stdout
    assert int(re.search(r"(\d+) passed", tried.stdout)[1]) > 15
    again = clone("flowserver", "new-node", kind, "call_back")
    assert again.returncode == 1 and "is there already" in again.stderr


def test_the_new_files_pass_the_linter(clone):
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if not ruff:
        pytest.skip("ruff is not installed")
    for kind in ("action", "condition", "trigger"):
        clone("flowserver", "new-node", kind, f"ring_the_{kind}")
    files = [str(path) for path in clone.folder.rglob("*ring_the_*.py")]
    assert len(files) == 6
    assert subprocess.run([ruff, "check", *files], cwd=clone.folder, capture_output=True).returncode == 0
    assert subprocess.run([ruff, "format", "--check", *files], cwd=clone.folder, capture_output=True).returncode == 0


def test_a_name_that_is_no_name_is_refused():
    done = CliRunner().invoke(main, ["new-node", "action", "../Evil"])
    assert done.exit_code == 2 and "small letters" in done.output


# --- keys ------------------------------------------------------------------------------------------------


def test_keys_are_made_listed_and_revoked(cli):
    made = json.loads(cli("setup", *ANSWERS, "--password-file", "-", stdin="a long enough password").stdout)
    assert made["api_key"].startswith("fsk_")
    slug = ("--client", "caffe-lume")
    key = json.loads(cli("keys", "make", "--name", "Till", "--scope", "coupons:write", *slug).stdout)
    agency = json.loads(cli("keys", "make", "--name", "Back office").stdout)
    assert key["api_key"].startswith("fsk_") and agency["api_key"].startswith("fsa_")
    rows = [json.loads(line) for line in cli("keys", "list", *slug).stdout.splitlines()]
    assert [(row["name"], row["scopes"]) for row in rows] == [("Till", ["coupons:write"]), ("setup", ["read", "write"])]
    assert key["api_key"] not in str(rows)
    assert "opens nothing any more" in cli("keys", "revoke", str(agency["id"])).stdout
    assert cli("keys", "list").stdout == ""
    again = cli("keys", "revoke", str(agency["id"]))
    assert again.returncode == 1 and "There is no such key" in again.stderr
    wrong = cli("keys", "make", "--name", "x", "--scope", "everything", *slug)
    assert wrong.returncode == 1 and wrong.stderr.startswith("scopes: ")
    nobody = cli("keys", "list", "--client", "nobody")
    assert nobody.returncode == 1 and "There is no client “nobody”" in nobody.stderr


# --- flows as files --------------------------------------------------------------------------------------

FLOW = """format: 1
name: Hello
trigger:
  type: list_joined
  list: Newsletter
steps:
- key: bye
  type: end
"""


def test_flows_are_planned_applied_and_exported_as_the_same_bytes(cli, tmp_path):
    assert cli("setup", *ANSWERS, "--password-file", "-", stdin="a long enough password").returncode == 0
    file, of = tmp_path / "hello.yaml", ("--client", "caffe-lume")
    file.write_text(FLOW)
    planned = cli("flows", "plan", str(file), *of)
    assert planned.returncode == 0 and "“Hello” would be made" in planned.stdout
    assert "made, draft" in cli("flows", "apply", str(file), *of).stdout
    first = cli("flows", "export", "Hello", *of).stdout
    assert cli("flows", "export", "--to", str(tmp_path / "out"), *of).stdout.strip().endswith("hello.yaml")
    assert (tmp_path / "out" / "hello.yaml").read_text() == first
    assert "as it was, draft" in cli("flows", "apply", str(tmp_path / "out" / "hello.yaml"), *of).stdout
    assert cli("flows", "export", "Hello", *of).stdout == first
    file.write_text(FLOW.replace("Newsletter", "Nothing"))
    wrong = cli("flows", "apply", str(file), *of)
    assert wrong.returncode == 1 and f"{file}: trigger.list: " in wrong.stderr
    missing = cli("flows", "export", "Nobody", *of)
    assert missing.returncode == 1 and "There is no flow called “Nobody”" in missing.stderr
