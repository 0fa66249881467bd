from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from sqlalchemy import make_url

from trustcast.keystore import jks
from trustcast_cli import data_folder
from trustcast_cli.data_folder import DataFolder
from trustcast_cli.errors import CannotRun


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    with data_folder.opened(tmp_path / "data") as (folder, _):
        data_folder.prepare(folder, 2)
    return folder


def test_the_folder_is_for_its_owner_only(folder: DataFolder) -> None:
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_secrets_are_for_the_owner_only(folder: DataFolder) -> None:
    secrets = [folder.admin_token, folder.head_key, folder.listener("gateway-1") / "token"]

    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_the_pinned_key_is_the_signing_key_s_other_half(folder: DataFolder) -> None:
    private = load_pem_private_key(folder.head_key.read_bytes(), password=None)

    assert load_pem_public_key(folder.head_public_key.read_bytes()) == private.public_key()


def test_the_api_gets_only_the_hash_of_a_gateway_s_token(folder: DataFolder) -> None:
    token = (folder.listener("gateway-2") / "token").read_text(encoding="ascii").strip()

    gateways = json.loads(folder.gateways_file.read_text(encoding="ascii"))["gateways"]

    assert [gateway["name"] for gateway in gateways] == ["gateway-1", "gateway-2"]
    assert gateways[1]["token_sha256"] == hashlib.sha256(token.encode()).hexdigest()
    assert gateways[1]["environment"] == "default"


def test_a_gateway_s_truststore_holds_foreign_entries_from_the_start(folder: DataFolder) -> None:
    entries = jks.read(folder.truststore("gateway-1").read_bytes(), data_folder.TRUSTSTORE_PASSWORD)

    assert len(entries) > 100
    assert not any(entry.is_ours for entry in entries)


def test_a_second_start_changes_nothing(folder: DataFolder) -> None:
    before = _contents(folder)

    data_folder.prepare(folder, 2)

    assert _contents(folder) == before


def test_a_missing_public_key_is_the_other_half_of_the_key_that_is_there(folder: DataFolder) -> None:
    before = _contents(folder)
    folder.head_public_key.unlink()

    data_folder.prepare(folder, 2)

    assert _contents(folder) == before


def test_a_missing_signing_key_is_not_replaced_behind_the_back_of_those_who_pinned_it(folder: DataFolder) -> None:
    folder.head_key.unlink()

    with pytest.raises(CannotRun, match=r"head\.pem is missing"):
        data_folder.prepare(folder, 2)

    assert not folder.head_key.exists()


def test_a_signing_key_that_cannot_be_read_is_said_and_kept(folder: DataFolder) -> None:
    folder.head_key.write_text("damaged")
    folder.head_public_key.unlink()

    with pytest.raises(CannotRun, match=r"head\.pem is not an unencrypted Ed25519 key"):
        data_folder.prepare(folder, 2)

    assert folder.head_key.read_text() == "damaged"


def test_a_gateway_more_leaves_the_others_as_they_are(folder: DataFolder) -> None:
    before = _contents(folder)

    data_folder.prepare(folder, 3)

    after = _contents(folder)
    assert {name for name in before if after[name] != before[name]} == {"gateways.json"}
    assert folder.truststore("gateway-3").exists()


@pytest.mark.parametrize("name", ["with space", "what?", "100%20", "a#b", "é"])
def test_the_database_is_inside_the_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    folder = DataFolder(tmp_path / name)

    assert make_url(folder.database_url).database == str(tmp_path / name / "trustcast.db")


def test_a_folder_in_use_is_refused_with_the_process_that_uses_it(tmp_path: Path) -> None:
    in_use = pytest.raises(CannotRun, match=r"in use by another `trustcast dev`, process \d+\.")

    with data_folder.opened(tmp_path), in_use, data_folder.opened(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    one_sentence = pytest.raises(CannotRun, match=r"^The data folder .*/file/data cannot be written: Not a directory\.")

    with one_sentence, data_folder.opened(tmp_path / "file" / "data"):
        pass


def _contents(folder: DataFolder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder.path)): path.read_bytes()
        for path in folder.path.rglob("*")
        if path.is_file() and path.name != "lock"
    }
