"""`trustcast`: the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from trustcast_cli import audit, db, environments, imports, tokens
from trustcast_cli.errors import CannotRun

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(imports.app, name="import")
app.add_typer(environments.app, name="environments")
app.add_typer(tokens.app, name="tokens")
app.add_typer(audit.app, name="audit")
app.add_typer(db.app, name="db")


@app.callback()
def trustcast() -> None:
    """Upload a backend's certificate once; a moment later every API gateway trusts it, without a restart."""


@app.command()
def dev(
    data_dir: Annotated[Path, typer.Option(help="Keeps database, keys, gateway homes and logs.")] = Path("data"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the api listens on 127.0.0.1.")] = 8080,
    gateways: Annotated[int, typer.Option(min=0, max=99, help="How many gateways to run a listener for.")] = 3,
) -> None:
    """Run Redis, the api, a worker and gateway listeners until Ctrl-C."""
    from trustcast_cli import dev as command  # noqa: PLC0415 - a command imports what it needs and no more

    command.run(data_dir, port=port, gateways=gateways)


@app.command()
def demo() -> None:
    """Let one certificate travel the whole way, in a folder of its own that is removed at the end."""
    from trustcast_cli import demo as command  # noqa: PLC0415

    command.run()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, the process' own by default; what stands in its way is one sentence on stderr and status 1."""
    try:
        app(arguments)
    except CannotRun as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
