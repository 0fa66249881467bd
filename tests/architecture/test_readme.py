"""What the README tells a person to type exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from trustcast_cli.__main__ import app

ROOT = Path(__file__).parents[2]
PAPERS = ["README.md", "CONTRIBUTING.md"]
OURS = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def _commands(paper: str) -> list[str]:
    return re.findall(r"(?:^ *\$? ?|`|&& )(make [a-z-]+|trustcast [a-z-]+)", (ROOT / paper).read_text(), re.MULTILINE)


def _links(paper: str) -> list[str]:
    return re.findall(r"\]\((?!http|#)([^)#]+)", (ROOT / paper).read_text())


@pytest.mark.parametrize("paper", PAPERS)
def test_every_make_target_that_is_named_exists(paper: str) -> None:
    named = {command.split()[1] for command in _commands(paper) if command.startswith("make ")}

    assert named
    assert named <= TARGETS


@pytest.mark.parametrize("paper", OURS)
def test_every_command_of_ours_that_is_named_exists_with_its_options(paper: str) -> None:
    for line in re.findall(
        r"(?:^|`|bin/|^TRUSTCAST_\w+=\S+ )trustcast ([a-z][^`\n]*)", (ROOT / paper).read_text(), re.MULTILINE
    ):
        command, words = get_command(app), line.partition("#")[0].split()
        while isinstance(command, TyperGroup):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("paper", PAPERS)
def test_every_file_that_is_linked_exists(paper: str) -> None:
    missing = [link for link in _links(paper) if not (ROOT / paper).parent.joinpath(link).exists()]

    assert missing == []


def test_help_lists_every_target_that_the_readme_names() -> None:
    explained = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {command.split()[1] for command in _commands("README.md") if command.startswith("make ")}

    assert named <= explained
