from __future__ import annotations

import pytest

from trustcast_cli import passed_settings
from trustcast_cli.errors import CannotRun


def test_a_setting_goes_to_the_services_that_know_it() -> None:
    passed = passed_settings.for_services({"TRUSTCAST_GATEWAY_RECONCILE_SECONDS": "2", "HOME": "/root"})

    assert passed == {
        "trustcast_api": {},
        "trustcast_worker": {},
        "trustcast_gateway": {"TRUSTCAST_GATEWAY_RECONCILE_SECONDS": "2"},
    }


def test_a_setting_that_several_services_know_goes_to_each() -> None:
    given = {"TRUSTCAST_DATABASE_URL": "postgresql+psycopg://localhost/trustcast"}

    passed = passed_settings.for_services(given)

    assert passed == {"trustcast_api": given, "trustcast_worker": given, "trustcast_gateway": {}}


def test_a_name_that_nobody_knows_is_fatal_and_named() -> None:
    with pytest.raises(CannotRun, match="TRUSTCAST_GATEWAY_RECONCILE_SECOND"):
        passed_settings.for_services({"TRUSTCAST_GATEWAY_RECONCILE_SECOND": "2"})


def test_what_other_commands_are_told_goes_to_no_service() -> None:
    passed = passed_settings.for_services({"TRUSTCAST_API_URL": "https://api.example", "TRUSTCAST_TOKEN_FILE": "token"})

    assert passed == {"trustcast_api": {}, "trustcast_worker": {}, "trustcast_gateway": {}}


def test_what_differs_between_processes_cannot_be_passed() -> None:
    with pytest.raises(CannotRun, match="chooses TRUSTCAST_GATEWAY_HOME for each process"):
        passed_settings.for_services({"TRUSTCAST_GATEWAY_HOME": "/opt/wso2"})


@pytest.mark.parametrize("default", ["TRUSTCAST_REDIS_URL", "TRUSTCAST_REDIS_URL_FILE"])
@pytest.mark.parametrize("given", ["TRUSTCAST_REDIS_URL", "TRUSTCAST_REDIS_URL_FILE"])
def test_a_passed_url_displaces_the_default_url_and_its_file(default: str, given: str) -> None:
    assert passed_settings.merged({default: "ours"}, {given: "theirs"}) == {given: "theirs"}
