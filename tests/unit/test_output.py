from __future__ import annotations

import pytest

from trustcast_cli import output


def test_what_steers_a_terminal_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(["name"], [["\x1b[2Jgone\x07 [bold]x[/bold]\u202e"]])
    output.note("\x1b]0;title\x07")

    told = capsys.readouterr()
    assert not {"\x1b", "\x07", "\u202e"} & {*told.out, *told.err}
    assert "gone� [bold]x[/bold]" in told.out


def test_row_in_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(["name", "scopes"], [["a" * 200, "b" * 300]])

    assert f"{'a' * 200}   {'b' * 300}" in capsys.readouterr().out
