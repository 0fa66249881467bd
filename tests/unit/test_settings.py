"""Settings: an unknown or missing one is fatal and named; what is wrong is said without the value."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from trustcast import settings
from trustcast.settings import BrokerSettings, DatabaseSettings, RedisSettings, SettingsError
from trustcast_api.settings import Settings as ApiSettings
from trustcast_worker.settings import Settings as WorkerSettings

API = {
    "TRUSTCAST_DATABASE_URL": "sqlite:///x.db",
    "TRUSTCAST_REDIS_URL": "redis://127.0.0.1/0",
    "TRUSTCAST_ADMIN_TOKEN_FILE": "admin.token",
    "TRUSTCAST_GATEWAYS_FILE": "gateways.json",
}
WORKER = {
    "TRUSTCAST_DATABASE_URL": "sqlite:///x.db",
    "TRUSTCAST_REDIS_URL": "redis://127.0.0.1/0",
    "TRUSTCAST_HEAD_KEY_FILE": "head.pem",
}


def refusal(kind: type[settings.Settings], environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        settings.load(kind, environ)
    return str(refused.value)


def test_known_settings_are_read_and_the_rest_of_the_environment_is_not() -> None:
    loaded = settings.load(ApiSettings, API | {"PATH": "/bin", "HOME": "/root"})

    assert (loaded.database(), loaded.redis(), loaded.broker()) == (
        "sqlite:///x.db",
        "redis://127.0.0.1/0",
        "redis://127.0.0.1/0",
    )
    assert (loaded.api_host, loaded.api_port) == ("127.0.0.1", 8080)


def test_every_unknown_setting_is_named() -> None:
    said = refusal(ApiSettings, API | {"TRUSTCAST_COLOUR": "blue", "TRUSTCAST_API_PROT": "1"})

    assert said == "Unknown setting: TRUSTCAST_API_PROT, TRUSTCAST_COLOUR."


def test_every_missing_setting_is_named() -> None:
    said = refusal(ApiSettings, {})

    for name in ("TRUSTCAST_ADMIN_TOKEN_FILE", "TRUSTCAST_GATEWAYS_FILE"):
        assert name in said


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", ""])
def test_wrong_value_is_named_and_not_repeated(port: str) -> None:
    said = refusal(ApiSettings, API | {"TRUSTCAST_API_PORT": port or " zebra7391"})

    assert "TRUSTCAST_API_PORT" in said
    assert "zebra7391" not in said


def test_url_is_given_once() -> None:
    both = {"TRUSTCAST_DATABASE_URL": "x", "TRUSTCAST_DATABASE_URL_FILE": "y"}

    for environ in ({}, both):
        assert refusal(DatabaseSettings, environ) == (
            "Settings: set either TRUSTCAST_DATABASE_URL or TRUSTCAST_DATABASE_URL_FILE."
        )


def test_url_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(" redis://:secret@127.0.0.1/0\n")
    loaded = settings.load(RedisSettings, {"TRUSTCAST_REDIS_URL_FILE": str(tmp_path / "url")})

    assert loaded.redis() == "redis://:secret@127.0.0.1/0"


@pytest.mark.parametrize("variable", ["TRUSTCAST_BROKER_URL", "TRUSTCAST_BROKER_URL_FILE"])
def test_broker_may_be_another_than_the_redis_of_the_hints(variable: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("amqp://broker")
    value = str(tmp_path / "url") if variable.endswith("FILE") else "amqp://broker"

    loaded = settings.load(BrokerSettings, {"TRUSTCAST_REDIS_URL": "redis://hints", variable: value})

    assert (loaded.broker(), loaded.redis()) == ("amqp://broker", "redis://hints")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "no text")]
)
def test_secret_that_cannot_be_read_is_named_by_its_file(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SettingsError) as refused:
        settings.secret(path)

    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_secret_loses_the_white_space_around_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n a token \r\n")

    assert settings.secret(tmp_path / "secret") == "a token"


def test_settings_do_not_change() -> None:
    loaded = settings.load(ApiSettings, API)

    with pytest.raises(ValidationError, match="frozen"):
        loaded.api_port = 1  # type: ignore[misc]


@pytest.mark.parametrize(("value", "limit"), [("1", 1), ("7", 7), ("unlimited", None)])
def test_certificates_per_endpoint_are_a_number_or_unlimited(value: str, limit: int | None) -> None:
    loaded = settings.load(WorkerSettings, WORKER | {"TRUSTCAST_CERTIFICATES_PER_ENDPOINT": value})

    assert loaded.per_endpoint == limit


@pytest.mark.parametrize("value", ["0", "-1", "many", "", "1.5"])
def test_other_limits_are_refused(value: str) -> None:
    said = refusal(WorkerSettings, WORKER | {"TRUSTCAST_CERTIFICATES_PER_ENDPOINT": value})

    assert said == "Settings: TRUSTCAST_CERTIFICATES_PER_ENDPOINT: give a number, 1 or more, or `unlimited`."


def test_api_knows_the_workers_limit() -> None:
    assert settings.load(ApiSettings, API | {"TRUSTCAST_CERTIFICATES_PER_ENDPOINT": "unlimited"}).per_endpoint is None


def test_one_certificate_per_endpoint_is_the_default() -> None:
    assert settings.load(WorkerSettings, WORKER).per_endpoint == 1


@pytest.mark.parametrize("value", ["yes", "", "ALLOW"])
def test_unregistered_endpoints_are_allowed_or_refused(value: str) -> None:
    assert settings.load(ApiSettings, API).unregistered_endpoints == "allow"
    assert "TRUSTCAST_UNREGISTERED_ENDPOINTS" in refusal(ApiSettings, API | {"TRUSTCAST_UNREGISTERED_ENDPOINTS": value})


def test_head_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    loaded = settings.load(WorkerSettings, WORKER | {"TRUSTCAST_HEAD_KEY_FILE": str(tmp_path / "none.pem")})

    with pytest.raises(SettingsError, match=r"none\.pem"):
        loaded.head_key()


OIDC = {
    "TRUSTCAST_OIDC_ISSUER": "https://id.example",
    "TRUSTCAST_OIDC_AUDIENCE": "trustcast",
    "TRUSTCAST_OIDC_ALGORITHM": "RS256",
    "TRUSTCAST_OIDC_JWKS_URL": "https://id.example/jwks.json",
    "TRUSTCAST_OIDC_TENANT": "carbon.super",
}


@pytest.mark.parametrize("missing", OIDC)
def test_provider_is_named_whole_or_not_at_all(missing: str) -> None:
    said = refusal(ApiSettings, API | {name: value for name, value in OIDC.items() if name != missing})

    assert missing in said


@pytest.mark.parametrize(
    ("one", "other"), [("TRUSTCAST_OIDC_JWKS_URL", "JWKS_FILE"), ("TRUSTCAST_OIDC_TENANT", "TENANT_CLAIM")]
)
def test_provider_has_one_source_of_keys_and_one_of_tenants(one: str, other: str) -> None:
    said = refusal(ApiSettings, API | OIDC | {f"TRUSTCAST_OIDC_{other}": "x"})

    assert one in said
    assert f"TRUSTCAST_OIDC_{other}" in said


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS1", "ES256K", "rs256", "RS256,ES256", ""])
def test_provider_signs_with_one_asymmetric_algorithm(algorithm: str) -> None:
    assert "TRUSTCAST_OIDC_ALGORITHM" in refusal(ApiSettings, API | OIDC | {"TRUSTCAST_OIDC_ALGORITHM": algorithm})


@pytest.mark.parametrize(
    "url", ["https://id.example:8443/x?y=z", "http://127.0.0.1:8080/x", "http://[::1]/x", "http://localhost/x"]
)
def test_keys_come_over_https_or_from_this_machine(url: str) -> None:
    assert settings.load(ApiSettings, API | OIDC | {"TRUSTCAST_OIDC_JWKS_URL": url}).oidc_jwks_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/x",
        "http://127.0.0.1.id.example/x",
        "http://localhost.id.example/x",
        "http://10.0.0.1/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "https:///x",
        "https://user@id.example/x",
        "https://id.example:port/x",
        "https://[::1/x",
        "id.example/x",
        "",
    ],
)
def test_keys_come_from_nowhere_else(url: str) -> None:
    assert "TRUSTCAST_OIDC_JWKS_URL" in refusal(ApiSettings, API | OIDC | {"TRUSTCAST_OIDC_JWKS_URL": url})
