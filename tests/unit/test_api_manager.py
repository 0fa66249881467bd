"""A WSO2 installation's own files name its gateway environments; of anything else in them nothing is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from trustcast_cli import api_manager
from trustcast_cli.api_manager import Environment
from trustcast_cli.errors import CannotRun

# As WSO2 API Manager 2.6 ships it, with two environments more.
API_MANAGER = """<?xml version="1.0" encoding="UTF-8"?>
<!-- the shipped file begins with a licence -->
<APIManager xmlns:svns="http://org.wso2.securevault/configuration">
    <DataSourceName>jdbc/WSO2AM_DB</DataSourceName>
    <AuthManager>
        <ServerURL>https://localhost:${mgt.transport.https.port}${carbon.context}services/</ServerURL>
        <Username>${admin.username}</Username>
        <Password>${admin.password}</Password>
    </AuthManager>
    <APIGateway>
        <Environments>
            <!-- Environments can be of different types. -->
            <Environment type="hybrid" api-console="true">
                <Name>Production and Sandbox</Name>
                <Description>This is a hybrid gateway that handles both
                    production and sandbox token traffic.</Description>
                <ServerURL>https://localhost:${mgt.transport.https.port}${carbon.context}services/</ServerURL>
                <Username>${admin.username}</Username>
                <Password>geheim</Password>
                <GatewayEndpoint>http://${carbon.local.ip}:${http.nio.port}</GatewayEndpoint>
            </Environment>
            <Environment type="production" api-console="true">
                <Name>Production <!-- the old one -->EU</Name>
                <Description/>
                <Password svns:secretAlias="eu">geheim</Password>
            </Environment>
            <Environment api-console="false" type="SANDBOX">
                <Name>
                    Sandbox EU
                </Name>
            </Environment>
        </Environments>
    </APIGateway>
</APIManager>
"""
DEPLOYMENT = """
[server]
hostname = "localhost"
base_path = "${carbon.protocol}://${carbon.host}:${carbon.management.port}"

[super_admin]
username = "admin"
password = "geheim"

[[apim.gateway.environment]]
name = "Production and Sandbox"
type = "hybrid"
display_in_api_console = true
description = "This is a hybrid gateway that handles both\\n production and sandbox token traffic."
service_url = "https://localhost:${mgt.transport.https.port}/services/"
username= "${admin.username}"
password= "geheim"
https_endpoint = "https://localhost:${https.nio.port}"

[[apim.gateway.environment]]
name = "Production EU"
type = "production"

[[apim.gateway.environment]]
name = " Sandbox EU"
type = "SANDBOX"

[apim.sync_runtime_artifacts.gateway]
gateway_labels = ["Default"]
"""
NAMED = [
    Environment(
        "Production and Sandbox",
        "hybrid",
        "This is a hybrid gateway that handles both production and sandbox token traffic.",
    ),
    Environment("Production EU", "production", ""),
    Environment("Sandbox EU", "sandbox", ""),
]
ONE = (
    "<APIManager><APIGateway><Environments>"
    '<Environment type="hybrid"><Name>One</Name></Environment>{}'
    "</Environments></APIGateway></APIManager>"
)


@pytest.fixture
def xml(tmp_path: Path) -> Path:
    path = tmp_path / "api-manager.xml"
    path.write_text(API_MANAGER)
    return path


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "deployment.toml"
    path.write_text(DEPLOYMENT)
    return path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refusal(path: Path) -> str:
    with pytest.raises(CannotRun) as caught:
        api_manager.environments(path)
    assert "geheim" not in str(caught.value)
    return str(caught.value)


def test_api_manager_xml_names_environments_in_its_order(xml: Path) -> None:
    assert api_manager.environments(xml) == NAMED


def test_deployment_toml_says_the_same(toml: Path) -> None:
    assert api_manager.environments(toml) == NAMED


@pytest.mark.parametrize(
    "root", ['<APIManager xmlns="http://wso2.org/x"', '<am:APIManager xmlns:am="http://wso2.org/x"']
)
def test_names_are_read_in_any_xml_namespace(xml: Path, root: str) -> None:
    edit(xml, "<APIManager", root)
    if "am:" in root:
        edit(xml, "</APIManager", "</am:APIManager")

    assert api_manager.environments(xml) == NAMED


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-15"])
def test_xml_is_read_in_the_encoding_that_it_names(xml: Path, encoding: str) -> None:
    text = API_MANAGER.replace("UTF-8", encoding).replace("Sandbox EU", "Sandkästen")
    xml.write_bytes(text.encode(encoding))

    assert api_manager.environments(xml)[2].name == "Sandkästen"


def test_environment_that_says_no_type_serves_both(xml: Path, toml: Path) -> None:
    edit(xml, ' type="SANDBOX"', "")
    edit(toml, 'type = "SANDBOX"', "")

    assert api_manager.environments(xml)[2] == Environment("Sandbox EU", "hybrid", "")
    assert api_manager.environments(toml) == api_manager.environments(xml)


def test_environments_elsewhere_in_the_file_are_others(xml: Path) -> None:
    edit(
        xml,
        "<APIGateway>",
        "<Old><Environments><Environment><Name>Old</Name></Environment></Environments></Old><APIGateway>",
    )

    assert api_manager.environments(xml) == NAMED


@pytest.mark.parametrize("name", ["${gateway.name}", "EU $env{REGION}", "$sys{region}", "$secret{region}", "$ref{a.b}"])
def test_name_that_wso2_would_fill_in_is_refused(xml: Path, toml: Path, name: str) -> None:
    for path in (xml, toml):
        edit(path, "Sandbox EU", name)

        assert f"{name!r}" in refusal(path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("Sandbox EU", " ", "an environment has no name"),
        ("SANDBOX", "staging", "'Sandbox EU' has the type 'staging'; it can be one of production, sandbox, hybrid"),
        ("Sandbox EU", "Production EU", "names an environment twice: Production EU"),
    ],
)
def test_what_cannot_be_used_is_named(xml: Path, toml: Path, old: str, new: str, sentence: str) -> None:
    for path in (xml, toml):
        edit(path, old, new)

        assert sentence in refusal(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<APIManager><Password>geheim</Passwort></APIManager>", "not well-formed XML (line 1)"),
        ("", "not well-formed XML"),
        ("<Server/>", "its root is 'Server', not 'APIManager'"),
        ("<APIManager/>", "names no gateway environment"),
        ("<APIManager><APIGateway><Environments/></APIGateway></APIManager>", "names no gateway environment"),
    ],
)
def test_other_xml_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "api-manager.xml"
    path.write_text(text)

    assert sentence in refusal(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[super_admin]\npassword = geheim\n", "not well-formed TOML (at line 2)"),
        ('[super_admin]\npassword = "geheim', "not well-formed TOML."),
        ("", "names no gateway environment"),
        ("[apim]\ngateway = 5\n", "names no gateway environment"),
        ('[apim.gateway.environment]\nname = "One"\n', "names no gateway environment"),
        ("[[apim.gateway.environment]]\nname = 5\n", "the name of an environment is not a string"),
        ('[apim.gateway]\nenvironment = ["One"]\n', "the name of an environment is not a string"),
    ],
)
def test_other_toml_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "deployment.toml"
    path.write_text(text)

    assert sentence in refusal(path)


def test_toml_in_another_encoding_is_refused(toml: Path) -> None:
    toml.write_bytes(DEPLOYMENT.encode("utf-16"))

    assert "not text in UTF-8" in refusal(toml)


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.xml") == f"{tmp_path / 'none.xml'} cannot be read: No such file or directory."


@pytest.mark.parametrize("name", ["api-manager.xml", "deployment.toml"])
def test_file_of_any_size_is_not_read(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(10 * 1024**4)  # sparse

    assert "larger than 4 MB" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE APIManager SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE APIManager [<!ENTITY e SYSTEM "{secret}">]>',
        '<!DOCTYPE APIManager [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;"><!ENTITY e "&b;&b;&b;">]>',
    ],
)
def test_document_that_declares_anything_is_refused(tmp_path: Path, declared: str) -> None:
    (tmp_path / "secret").write_text("geheim")
    path = tmp_path / "api-manager.xml"
    text = ONE.replace("One", "&e;" if "ENTITY" in declared else "One")
    path.write_text(declared.replace("{secret}", str(tmp_path / "secret")) + text)

    assert "document type declaration" in refusal(path)


def test_another_file_is_not_included(tmp_path: Path) -> None:
    (tmp_path / "more.xml").write_text("<Environment><Name>Two</Name></Environment>")
    path = tmp_path / "api-manager.xml"
    path.write_text(ONE.replace("{}", '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="more.xml"/>'))

    assert [one.name for one in api_manager.environments(path)] == ["One"]


def test_passwords_are_not_in_what_is_returned(xml: Path, toml: Path) -> None:
    assert "geheim" not in repr([api_manager.environments(xml), api_manager.environments(toml)])
