"""`trustcast tokens`: who else may speak with the api."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from trustcast_cli import options

app = typer.Typer(no_args_is_help=True, help="Bearer tokens: make, list, revoke. For administrators.")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Whose it is, or what for.")],
    scope: Annotated[list[str], typer.Option(help="What it opens, such as apim:ep_certificates_manage; repeatable.")],
    expires: Annotated[str, typer.Option(help="After how long (12h, 30d, 8w), or when (2027-01-31).")],
    tenant: Annotated[str, typer.Option(help="The domain of the tenant whose token it is.")] = "carbon.super",
    prefix: Annotated[list[str] | None, typer.Option(help="How aliases begin that it may change; repeatable.")] = None,
    output: Annotated[Path | None, typer.Option(help="A new file for the token, instead of stdout.")] = None,
    api_url: options.ApiUrl = options.DEFAULT_API_URL,
    token_file: options.TokenFile = options.DEFAULT_TOKEN_FILE,
) -> None:
    """Make a token here and tell the api its SHA-256 only. It is printed once, alone on stdout."""
    from trustcast_cli import client, new_token  # noqa: PLC0415

    wanted = new_token.Wanted(name, tenant, tuple(scope), tuple(prefix) if prefix else None, new_token.moment(expires))
    with client.connected(api_url, token_file) as api:
        new_token.create(api, wanted, output)


@app.command("list")
def listed(
    api_url: options.ApiUrl = options.DEFAULT_API_URL,
    token_file: options.TokenFile = options.DEFAULT_TOKEN_FILE,
) -> None:
    """List the tokens of all tenants, also the expired and the revoked ones."""
    from trustcast_cli import client, output  # noqa: PLC0415

    with client.connected(api_url, token_file) as api:
        tokens = list(client.pages(api, "/v1/tokens", of="tokens"))
    now = datetime.now(UTC)
    headings = ("id", "name", "tenant", "scopes", "alias prefixes", "expires", "state")
    output.show(headings, [_row(one, now) for one in tokens])


@app.command()
def revoke(
    id: Annotated[  # noqa: A002
        str, typer.Argument(metavar="ID", help="As `trustcast tokens list` shows it; its first 8 characters will do.")
    ],
    api_url: options.ApiUrl = options.DEFAULT_API_URL,
    token_file: options.TokenFile = options.DEFAULT_TOKEN_FILE,
) -> None:
    """Take a token back, at once."""
    from trustcast_cli import client, output, token_id  # noqa: PLC0415

    with client.connected(api_url, token_file) as api:
        client.ask(api, "DELETE", f"/v1/tokens/{token_id.whole(api, id)}")
    output.note("The token is revoked.")


def _row(token: dict[str, object], now: datetime) -> tuple[str, ...]:
    prefixes = token["alias_prefixes"]
    return (
        str(token["id"]),
        str(token["name"]),
        str(token["tenant"]),
        _words(token["scopes"]),
        "any alias" if prefixes is None else _words(prefixes),
        _seconds(token["expires_at"]),
        _state(token, now),
    )


def _state(token: dict[str, object], now: datetime) -> str:
    if token["revoked_at"]:
        return f"revoked {_seconds(token['revoked_at'])}"
    return "expired" if datetime.fromisoformat(str(token["expires_at"])) <= now else "active"


def _seconds(instant: object) -> str:
    return re.sub(r"\.\d+", "", str(instant))


def _words(values: object) -> str:
    return " ".join(map(str, values)) if isinstance(values, list) else ""
