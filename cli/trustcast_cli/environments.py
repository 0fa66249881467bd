"""`trustcast environments`: groups of gateways, as an existing installation has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trustcast_cli import options
from trustcast_cli.errors import CannotRun

app = typer.Typer(no_args_is_help=True, help="Groups of gateways that share one truststore.")


@app.command("import")
def imported(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="api-manager.xml or deployment.toml of WSO2.")],
    api_url: options.ApiUrl = options.DEFAULT_API_URL,
    token_file: options.TokenFile = options.DEFAULT_TOKEN_FILE,
) -> None:
    """Create the environments that the file names, or give them its types and descriptions; no other is touched."""
    from trustcast_cli import api_manager, client, import_environments, output  # noqa: PLC0415

    named = api_manager.environments(file)
    with client.connected(api_url, token_file) as api:
        done = import_environments.run(api, named)
    output.show(("environment", "type", ""), [(one.name, one.type, one.became) for one in done])
    if refused := sum(one.is_refused for one in done):
        raise CannotRun(f"{refused} of {len(done)} environments did not come over.")
