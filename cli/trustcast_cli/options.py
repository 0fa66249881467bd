"""The options of every command that speaks with the api. Light: the command line reads it for each command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# The command line's own settings; `trustcast dev` does not hand them on to the services.
API_URL = "TRUSTCAST_API_URL"
TOKEN_FILE = "TRUSTCAST_TOKEN_FILE"  # noqa: S105 - a name, no token

ApiUrl = Annotated[
    str,
    typer.Option(
        "--api-url", envvar=API_URL, help="Where the api is. SSL_CERT_FILE names its CA, if it is a private one."
    ),
]
TokenFile = Annotated[Path, typer.Option("--token-file", envvar=TOKEN_FILE, help="A file with a bearer token.")]

DEFAULT_API_URL = "http://127.0.0.1:8080"
DEFAULT_TOKEN_FILE = Path("data/admin.token")  # what `trustcast dev` makes
