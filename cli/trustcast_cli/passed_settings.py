"""Which `TRUSTCAST_…` variables of `dev`'s own environment go to which service."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from trustcast import settings
from trustcast_cli import options
from trustcast_cli.errors import CannotRun

PREFIX = "TRUSTCAST_"
SERVICES = ("trustcast_api", "trustcast_worker", "trustcast_gateway")

# They say where other commands find an api; `dev` starts one of its own.
OF_OTHER_COMMANDS = frozenset({options.API_URL, options.TOKEN_FILE})
# One process differs from the next in these, so one value for all of them would be wrong.
CHOSEN_BY_DEV = frozenset(
    PREFIX + name
    for name in (
        "ADMIN_TOKEN_FILE",
        "API_PORT",
        "GATEWAYS_FILE",
        "GATEWAY_ENVIRONMENT",
        "GATEWAY_HOME",
        "GATEWAY_NAME",
        "GATEWAY_STATE_DIR",
        "GATEWAY_TOKEN_FILE",
        "HEAD_KEY_FILE",
        "HEAD_PUBLIC_KEY_FILE",
        "HEALTH_FILE",
    )
)


def for_services(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the variables that each service's settings know, by the service's package.

    What is for other commands goes to none. Raises `CannotRun` for a name that no service knows and for one that
    `dev` chooses for each process.
    """
    given = {name: environ[name] for name in environ if name.startswith(PREFIX) and name not in OF_OTHER_COMMANDS}
    if not given:
        return {service: {} for service in SERVICES}  # the settings' classes take a while to import
    known = {service: _names(service) for service in SERVICES}
    unknown = sorted(given.keys() - frozenset().union(*known.values()))
    if unknown:
        raise CannotRun(f"Unknown setting in the environment: {', '.join(unknown)}. No service knows it; unset it.")
    if chosen := sorted(given.keys() & CHOSEN_BY_DEV):
        raise CannotRun(f"`trustcast dev` chooses {', '.join(chosen)} for each process; unset it.")
    return {service: {name: given[name] for name in given.keys() & names} for service, names in known.items()}


def merged(defaults: Mapping[str, str], passed: Mapping[str, str]) -> dict[str, str]:
    """Return the defaults with what was passed over them; `NAME` displaces `NAME_FILE`, too, and vice versa."""
    displaced = passed.keys() | {name + "_FILE" for name in passed} | {name.removesuffix("_FILE") for name in passed}
    return {name: value for name, value in defaults.items() if name not in displaced} | dict(passed)


def check(name: str, service: str, given: Mapping[str, str]) -> None:
    """Raise `CannotRun` if the process `name` would not start with these settings of its service."""
    try:
        settings.load(_settings(service), given)
    except settings.SettingsError as error:
        raise CannotRun(f"{name} does not start: {error}") from None


def _names(service: str) -> frozenset[str]:
    return frozenset(PREFIX + field.upper() for field in _settings(service).model_fields)


def _settings(service: str) -> type[settings.Settings]:
    kind: type[settings.Settings] = importlib.import_module(f"{service}.settings").Settings
    return kind
