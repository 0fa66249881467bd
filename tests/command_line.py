"""`trustcast …` in this process: its arguments in, what it printed and its exit status out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from trustcast_cli import __main__

NAMES = ("API_URL", "TOKEN_FILE", "DATABASE_URL", "DATABASE_URL_FILE")


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    status: int
    stdout: str
    stderr: str


Trustcast = Callable[..., Done]


@pytest.fixture
def trustcast(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trustcast:
    """Run a command; keywords are its TRUSTCAST_ environment, in small letters."""
    for name in NAMES:
        monkeypatch.delenv(f"TRUSTCAST_{name}", raising=False)

    def run(*arguments: str, **environ: str) -> Done:
        with monkeypatch.context() as own:
            for name, value in environ.items():
                own.setenv(f"TRUSTCAST_{name.upper()}", value)
            with pytest.raises(SystemExit) as ended:
                __main__.main(arguments)
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return Done(int(ended.value.code or 0), told.out, told.err)

    return run
