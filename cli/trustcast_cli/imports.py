"""`trustcast import`: from what one has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trustcast_cli import options

app = typer.Typer(no_args_is_help=True, help="Bring an existing installation over.")


@app.callback()
def imports() -> None:
    """Bring an existing installation over."""


@app.command()
def wso2(  # noqa: PLR0913, PLR0917 - each is an option, given by name
    truststore: Annotated[Path, typer.Option(help="A gateway's client-truststore.jks: what is trusted there now.")],
    truststore_password_file: Annotated[
        Path, typer.Option(help="A file with the truststore's password; WSO2 ships it with: wso2carbon.")
    ],
    database_url: Annotated[
        str | None, typer.Option(help="API Manager's database in SQLAlchemy's form; it is only read.")
    ] = None,
    database_url_file: Annotated[
        Path | None, typer.Option(help="A file with the URL, so that its password is in no process list.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Instead of a database: AM_CERTIFICATE_METADATA exported with a header line.")
    ] = None,
    api_manager: Annotated[
        Path | None, typer.Option(help="api-manager.xml or deployment.toml: take the environments over, too.")
    ] = None,
    tenant: Annotated[
        list[str] | None, typer.Option(metavar="ID=DOMAIN", help="A tenant's domain, if not in UM_TENANT; repeatable.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(metavar="OLD=NEW", help="Import under another alias; repeatable.")
    ] = None,
    accept_expired: Annotated[
        bool, typer.Option("--accept-expired", help="Take expired certificates over, with a warning.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would come over.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write what became of each row to this file, as JSON.")] = None,
    api_url: options.ApiUrl = options.DEFAULT_API_URL,
    token_file: options.TokenFile = options.DEFAULT_TOKEN_FILE,
) -> None:
    """Bring over what a WSO2 API Manager trusts; again and again, if need be: what is there already stays.

    Ends with 0 if everything came over or was there, with 3 if some did not, with 1 if it could not run.
    """
    from rich.console import Console  # noqa: PLC0415

    from trustcast_cli import client, import_wso2  # noqa: PLC0415
    from trustcast_cli.wso2 import candidates  # noqa: PLC0415

    source = import_wso2.Source(
        truststore=truststore,
        password_file=truststore_password_file,
        database_url=import_wso2.url_of(database_url, database_url_file),
        table=csv,
        api_manager=api_manager,
        domains=import_wso2.domains_of(tenant or ()),
        renames=candidates.renames(rename or ()),
        accept_expired=accept_expired,
    )
    with client.connected(api_url, token_file) as api:
        status = import_wso2.run(source, api, dry_run=dry_run, report_file=report, console=Console(stderr=True))
    raise typer.Exit(status)
