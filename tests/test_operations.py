"""The words that run the product: README, compose file and handbook name commands and settings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flowserver.cli import main

ROOT = Path(__file__).parent.parent
SETTINGS = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))


def first_block(heading: str) -> list[str]:
    """The lines of the first code block below a heading of the README."""
    below = (ROOT / "README.md").read_text().split(f"\n## {heading}\n", 1)[1]
    found = re.search(r"```\w*\n(.*?)```", below, re.S)
    assert found
    return found[1].strip().splitlines()


@pytest.mark.parametrize("heading", ["Run it", "Test it"])
def test_one_line_runs_it_and_one_line_tests_it(heading):
    assert len(first_block(heading)) == 1


def test_the_run_line_makes_its_environment_installs_and_starts():
    (line,) = first_block("Run it")
    for part in ("-m venv .venv", "pip install", "flowserver up"):
        assert part in line


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md", "compose.yaml", "Makefile"])
def test_every_command_that_is_named_exists(name):
    text = (ROOT / name).read_text()
    named = set(re.findall(r"(?:^|[`/\s])flowserver ((?!up\b)[a-z][a-z-]+)\b(?=[\s`,.]|$)", text, re.M))
    words = {
        word
        for word in named
        if word in main.commands or re.search(rf"`flowserver {word}|command: flowserver {word}", text)
    }
    assert words <= set(main.commands), words - set(main.commands)


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md", "compose.yaml"])
def test_every_setting_that_is_named_exists(name):
    named = set(
        re.findall(r"\b((?:FLOWSERVER|MAIL)_[A-Z_]+|DATABASE_URL|REDIS_URL|SECRET_KEY)\b", (ROOT / name).read_text())
    )
    assert named <= SETTINGS, named - SETTINGS


def test_compose_runs_web_worker_clock_postgresql_and_redis_from_one_image():
    services = YAML(typ="safe").load((ROOT / "compose.yaml").read_text())["services"]
    assert {"web", "worker", "clock", "postgres", "redis"} <= set(services)
    ours = {name: service for name, service in services.items() if service["image"] == "flowserver"}
    assert set(services) - set(ours) == {"postgres", "redis"}
    for name in ("web", "postgres", "redis"):
        assert "disable" not in services[name].get("healthcheck", {})
    for name, service in ours.items():
        command = str(service.get("command", "flowserver serve")).split()
        assert command[0] == "flowserver" and command[1] in main.commands, name


def test_no_secret_stands_in_the_compose_file():
    text = (ROOT / "compose.yaml").read_text()
    for secret in re.findall(r"^\s+(\w*(?:PASSWORD|SECRET_KEY|REDISCLI_AUTH)): (.+)$", text, re.M):
        assert secret[1].startswith("${"), secret[0]


def test_the_image_runs_without_rights_and_without_build_tools():
    text = (ROOT / "Dockerfile").read_text()
    final = text.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER flowserver$", final, re.M)
    assert "pip" not in final and "apt-get" not in final
