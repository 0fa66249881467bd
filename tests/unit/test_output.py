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

    assert capsys.readouterr().out == f"name\tscopes\n{'a' * 200}\t{'b' * 300}\n"


ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def test_what_fits_the_terminal_is_a_table() -> None:
    shown = output.lines(["id", "name"], [[ID, "deployments"], [ID, "x"]], columns=80)

    assert shown == ["", f"id{' ' * 37}name", "─" * 50, f"{ID}   deployments", f"{ID}   x", ""]


@pytest.mark.parametrize("columns", [20, 60, 80])
def test_what_does_not_fit_is_a_list_whose_words_are_whole(columns: int) -> None:
    scopes = ["apim:ep_certificates_view", "apim:ep_certificates_add", "apim:ep_certificates_update"]

    shown = output.lines(["id", "name", "scopes"], [[ID, "", " ".join(scopes)]], columns=columns)

    assert shown[1] == f"id       {ID}"
    assert {ID, *scopes} <= set(" ".join(shown).split())
    assert not any(line.startswith("name") for line in shown)
    assert max(map(len, shown)) <= max(columns, len(shown[1]))
