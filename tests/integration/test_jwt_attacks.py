"""Tokens that no provider made, or made for something else: each is nobody's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.certificates import self_signed
from tests.databases import SqliteFiles
from tests.openid_provider import ALGORITHMS, AUDIENCE, ISSUER, Signer, b64, claims, jwks, rsa_key
from tests.redis_server import RedisServer
from tests.served_api import ADMIN, ServedApi, add_environment, served

GOOD = {"RS256": Signer.of("RS256"), "ES256": Signer.of("ES256")}
MALLORY = {"RS256": Signer.of("RS256", number=1), "ES256": Signer.of("ES256")}
EC = Signer.of("ES256", "ec")
WEAK = Signer("RS256", rsa_key(1024), "weak")
P384 = Signer("ES384", ec.generate_private_key(ec.SECP384R1()), "p384")
SECRET = b"thirty-two bytes of the provider"
# Besides its signing key, the provider publishes keys that must not sign tokens for us.
PUBLISHED = {
    "RS256": jwks(
        {"kty": "oct", "kid": "oct", "k": b64(SECRET), "alg": "HS256", "use": "sig"},
        {"kty": "oct", "kid": "oct-as-rs256", "k": b64(SECRET), "alg": "RS256", "use": "sig"},
        EC.jwk(),
        EC.jwk(kid="ec-as-rs256", alg="RS256"),
        WEAK.jwk(),
        MALLORY["RS256"].jwk(kid="enc", use="enc"),
        MALLORY["RS256"].jwk(kid="wrap", use=..., key_ops=["wrapKey"]),
        MALLORY["RS256"].jwk(kid="rs512", alg="RS512"),
        MALLORY["RS256"].leaked("leaked"),
        MALLORY["RS256"].jwk(kid=["k2"]),
        GOOD["RS256"].jwk(),
    ),
    "ES256": jwks(
        P384.jwk(),
        P384.jwk(kid="p384-as-es256", alg="ES256"),
        P384.jwk(kid="p384-called-p256", alg="ES256", crv="P-256"),
        GOOD["ES256"].jwk(),
    ),
}


def oidc(algorithm: str, **more: str) -> dict[str, str]:
    settings = {"issuer": ISSUER, "audience": AUDIENCE, "algorithm": algorithm, "tenant": "carbon.super"} | more
    return {f"TRUSTCAST_OIDC_{name.upper()}": value for name, value in settings.items() if value}


@dataclass
class Door:
    """An api that takes the tokens of a provider; what it is asked is for whoever holds apim:api_view."""

    client: httpx.Client

    def knock(self, *authorizations: bytes | str, **options: Any) -> httpx.Response:
        raw = [one.encode() if isinstance(one, str) else one for one in authorizations]
        headers = [*options.pop("headers", []), *((b"Authorization", one) for one in raw)]
        return self.client.get("/v1/certificates", headers=headers, **options)

    def status(self, token: str) -> int:
        return self.knock(f"Bearer {token}").status_code


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, sqlite_files: SqliteFiles, redis_server: RedisServer
) -> Iterator[Callable[..., Door]]:
    with ExitStack() as closing:

        @cache
        def of(algorithm: str, keys: bytes) -> Door:
            folder = tmp_path_factory.mktemp(algorithm)
            (folder / "jwks.json").write_bytes(keys)
            url = sqlite_files.fresh(folder)
            add_environment(url, "other")
            settings = oidc(algorithm, jwks_file=str(folder / "jwks.json"))
            api: ServedApi = closing.enter_context(served(folder, url, redis_server.url, settings))
            return Door(closing.enter_context(api.client(None)))

        yield of


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_good_token_of_every_algorithm_opens(door: Callable[..., Door], algorithm: str) -> None:
    signer = Signer.of(algorithm)

    assert door(algorithm, jwks(signer.jwk())).status(signer.token()) == 200


GOOD_ONES: dict[str, Callable[[Signer], str]] = {
    "no typ": lambda good: good.token({"typ": ...}),
    "access token": lambda good: good.token({"typ": "at+jwt"}),
    "thumbprint of a certificate": lambda good: good.token({"x5t": "abc"}),
    "several audiences": lambda good: good.token(aud=["account", AUDIENCE]),
    "scope as a list": lambda good: good.token(scope=["openid", "apim:api_view"]),
    "no iat and no nbf": lambda good: good.token(iat=..., nbf=...),
    "times with fractions": lambda good: good.token(exp=time.time() + 60.5, iat=time.time() - 0.5),
    "clocks that differ a little": lambda good: good.token(
        iat=time.time() + 15, nbf=time.time() + 15, exp=time.time() - 15
    ),
    "claims of the provider's own": lambda good: good.token(realm={"roles": ["a", "b"]}, email="jane@id.example"),
}


@pytest.mark.parametrize("name", GOOD_ONES)
def test_what_providers_do_in_good_faith_opens(door: Callable[..., Door], name: str) -> None:
    assert door("RS256", PUBLISHED["RS256"]).status(GOOD_ONES[name](GOOD["RS256"])) == 200


def test_token_without_key_id_opens_where_there_is_one_key(door: Callable[..., Door]) -> None:
    good = Signer.of("ES256")

    assert door("ES256", jwks(good.jwk())).status(good.token({"kid": ...})) == 200


def test_token_without_key_id_opens_nothing_where_there_are_several(door: Callable[..., Door]) -> None:
    one, other = Signer.of("ES256", "k1"), Signer.of("ES256", "k2")

    assert door("ES256", jwks(one.jwk(), other.jwk())).status(one.token({"kid": ...})) == 401


def test_good_token_without_a_scope_for_it_is_told_so(door: Callable[..., Door]) -> None:
    assert door("RS256", PUBLISHED["RS256"]).status(GOOD["RS256"].token(scope="openid apim:app_manage")) == 403


def _hmac(secret: bytes, algorithm: str = "HS256", **header: Any) -> str:
    head = {"alg": algorithm, "kid": "k1", "typ": "JWT"} | header
    signing_input = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims()).encode())}"
    sha = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(algorithm, hashlib.sha256)
    return f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), sha().name))}"


def _public(encoding: Encoding, form: PublicFormat) -> bytes:
    return rsa_key().public_key().public_bytes(encoding, form)


def _bare(header: dict[str, Any], signature: str = "") -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims()).encode())}.{signature}"


def _parts(token: str) -> tuple[str, str, str]:
    head, body, signature = token.split(".")
    return head, body, signature


def _with_signature(token: str, change: Callable[[bytes], bytes]) -> str:
    head, body, signature = _parts(token)
    return f"{head}.{body}.{b64(change(base64.urlsafe_b64decode(signature + '==')))}"


def _other_spelling(part: str) -> str:
    """The same bytes in another last character; their number has to leave bits over."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4 in {2, 3}
    return part[:-1] + alphabet[alphabet.index(part[-1]) + 1]


def _x5c(signer: Signer) -> list[str]:
    return [base64.b64encode(self_signed("id.example").der).decode(), b64(json.dumps(signer.jwk()).encode())]


RS, RS_MALLORY = GOOD["RS256"], MALLORY["RS256"]
NOW = time.time()
PEM, DER = Encoding.PEM, Encoding.DER
SPKI, PKCS1 = PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1
BODY = json.dumps(claims()).encode()
HEAD = json.dumps(RS.header()).encode()

RS256_ATTACKS: dict[str, str | Callable[[], str]] = {
    # Algorithms
    **{f"alg {one!r}, no signature": _bare({"alg": one, "kid": "k1"}) for one in ("none", "None", "NONE", "nOnE", "")},
    **{f"alg {one!r}, some signature": _bare({"alg": one, "kid": "k1"}, "AAAA") for one in ("none", "NonE", "null")},
    "alg none and the good signature": _bare({"alg": "none"}, _parts(RS.token())[2]),
    "alg missing": RS.token({"alg": ...}),
    "alg null": RS.token({"alg": None}),
    "alg a list": RS.token({"alg": ["RS256"]}),
    "alg an object": RS.token({"alg": {"RS256": 1}}),
    "alg in lower case": RS.token({"alg": "rs256"}),
    "alg with a blank": RS.token({"alg": "RS256 "}),
    "public key as the secret, PEM": _hmac(_public(PEM, SPKI)),
    "public key as the secret, PEM without line end": _hmac(_public(PEM, SPKI).strip()),
    "public key as the secret, PEM of PKCS 1": _hmac(_public(PEM, PKCS1)),
    "public key as the secret, DER": _hmac(_public(DER, SPKI)),
    "public key as the secret, DER of PKCS 1": _hmac(_public(DER, PKCS1)),
    "public key as the secret, JWK": _hmac(json.dumps(RS.jwk()).encode()),
    "public key as the secret, JWK Set": _hmac(PUBLISHED["RS256"]),
    "public key as the secret, modulus": _hmac(RS.jwk()["n"].encode()),
    "public key as the secret, HS384": _hmac(_public(PEM, SPKI), "HS384"),
    "public key as the secret, HS512": _hmac(_public(PEM, SPKI), "HS512"),
    "public key as the secret, called RS256": _hmac(_public(PEM, SPKI), "RS256"),
    "empty secret": _hmac(b"", kid="../../../../dev/null"),
    "published secret": _hmac(SECRET, kid="oct"),
    "published secret, called RS256": _hmac(SECRET, "RS256", kid="oct-as-rs256"),
    **{f"same key with {one}": Signer(one, RS.key).token() for one in ("RS384", "RS512", "PS256", "PS384", "PS512")},
    "key for ES256": EC.token(),
    "key for ES256, called RS256": EC.token({"alg": "RS256"}),
    "key for ES256, published as one for RS256": EC.token({"kid": "ec-as-rs256", "alg": "RS256"}),
    # Keys
    "key that nobody published": RS_MALLORY.token(),
    "key that nobody published, unknown id": RS_MALLORY.token({"kid": "k9"}),
    "weak key": WEAK.token(),
    "key for encryption": RS_MALLORY.token({"kid": "enc"}),
    "key for wrapping": RS_MALLORY.token({"kid": "wrap"}),
    "key for another algorithm": RS_MALLORY.token({"kid": "rs512"}),
    "key whose private half is published": RS_MALLORY.token({"kid": "leaked"}),
    "key whose id is a list": RS_MALLORY.token({"kid": ["k2"]}),
    "own key in jwk": RS_MALLORY.token({"jwk": RS_MALLORY.jwk()}),
    "own key in jwk, no id": RS_MALLORY.token({"jwk": RS_MALLORY.jwk(), "kid": ...}),
    "own secret in jwk": _hmac(SECRET, jwk={"kty": "oct", "k": b64(SECRET)}),
    "own key at jku": RS_MALLORY.token({"jku": "https://mallory.example/jwks.json"}),
    "own key at jku, below the issuer": RS_MALLORY.token({"jku": f"{ISSUER}@mallory.example/jwks.json"}),
    "own key at jku, a file": RS_MALLORY.token({"jku": "file:///etc/passwd"}),
    "own key in x5c": RS_MALLORY.token({"x5c": _x5c(RS_MALLORY)}),
    "own key at x5u": RS_MALLORY.token({"x5u": "https://mallory.example/cert.pem"}),
    "good signature, but a key of its own": RS.token({"jwk": RS.jwk()}),
    # Key ids
    "kid a path": RS.token({"kid": "../../../../../../dev/null"}),
    "kid a path, secret of zeros": _hmac(b"\0", kid="/dev/zero"),
    "kid SQL": RS.token({"kid": "k1' UNION SELECT 'k1' --"}),
    "kid a URL": RS.token({"kid": "https://mallory.example/jwks.json"}),
    "kid a command": RS.token({"kid": "k1|sleep 10"}),
    "kid null": RS.token({"kid": None}),
    "kid a list": RS.token({"kid": ["k1"]}),
    "kid an object": RS.token({"kid": {"k1": "k1"}}),
    "kid a number": RS.token({"kid": 1}),
    "kid true": RS.token({"kid": True}),
    "kid empty": RS.token({"kid": ""}),
    "kid huge": RS.token({"kid": "k1" * 1500}),
    "kid with NUL": RS.token({"kid": "k1\0"}),
    "kid half a surrogate": RS.token({"kid": "\ud800"}),
    "kid missing, several keys published": EC.token({"kid": ...}),
    # For whom and by whom
    "aud another": RS.token(aud="account"),
    "aud a list of others": RS.token(aud=["account", "trust", "cast"]),
    "aud a part": RS.token(aud="trust"),
    "aud longer": RS.token(aud="trustcast-test"),
    "aud in upper case": RS.token(aud="TRUSTCAST"),
    "aud missing": RS.token(aud=...),
    "aud null": RS.token(aud=None),
    "aud empty list": RS.token(aud=[]),
    "aud a nested list": RS.token(aud=[["trustcast"]]),
    "aud an object": RS.token(aud={"trustcast": True}),
    "aud the issuer": RS.token(aud=ISSUER),
    "iss another": RS.token(iss="https://mallory.example"),
    "iss with a slash": RS.token(iss=ISSUER + "/"),
    "iss longer": RS.token(iss=ISSUER + ".mallory.example"),
    "iss shorter": RS.token(iss="https://id"),
    "iss a list": RS.token(iss=[ISSUER]),
    "iss missing": RS.token(iss=...),
    "iss null": RS.token(iss=None),
    # When
    "expired": RS.token(exp=NOW - 60),
    "expired long ago": RS.token(exp=1),
    "exp missing": RS.token(exp=...),
    "exp null": RS.token(exp=None),
    "exp text": RS.token(exp="99999999999"),
    "exp true": RS.token(exp=True),
    "exp a list": RS.token(exp=[NOW + 60]),
    "exp beyond all time": RS.token(exp=10**30),
    "exp an integer beyond floats": RS.token(exp=10**400),
    "exp infinite": lambda: RS.sign(HEAD, json.dumps(claims(exp=0)).replace('"exp": 0', '"exp": 1e999').encode()),
    "exp NaN": lambda: RS.sign(HEAD, json.dumps(claims(exp=float("nan"))).encode()),
    "exp negative": RS.token(exp=-1),
    "not yet valid": lambda: RS.token(nbf=time.time() + 300),
    "nbf text": RS.token(nbf="0"),
    "nbf null": RS.token(nbf=None),
    "from the future": lambda: RS.token(iat=time.time() + 300),
    "iat text": RS.token(iat="0"),
    # Who
    "sub missing": RS.token(sub=...),
    "sub null": RS.token(sub=None),
    "sub empty": RS.token(sub=""),
    "sub a number": RS.token(sub=1),
    "sub a list": RS.token(sub=["jane"]),
    "sub with NUL": RS.token(sub="jane\0"),
    "sub of two lines": RS.token(sub="jane\nadmin"),
    "sub half a surrogate": RS.token(sub="\ud800"),
    "sub too long": RS.token(sub="j" * 251),
    "scope a number": RS.token(scope=1),
    "scope an object": RS.token(scope={"apim:api_view": True}),
    "scope a list of lists": RS.token(scope=[["apim:api_view"]]),
    "alias prefixes that are text": RS.token(trustcast_alias_prefixes="a"),
    "alias prefixes that are numbers": RS.token(trustcast_alias_prefixes=[1]),
    # JSON
    "alg twice": RS.sign(b'{"alg":"none","alg":"RS256","kid":"k1"}', BODY),
    "alg twice, the good one first": RS.sign(b'{"alg":"RS256","alg":"RS256","kid":"k1"}', BODY),
    "kid twice": RS.sign(b'{"alg":"RS256","kid":"k9","kid":"k1"}', BODY),
    "scope twice": RS.sign(HEAD, BODY[:-1] + b',"scope":"apim:api_view"}'),
    "exp twice, once escaped": RS.sign(HEAD, BODY[:-1] + rb',"\u0065xp":99999999999}'),
    "member of a member twice": RS.sign(HEAD, BODY[:-1] + b',"realm":{"a":1,"a":2}}'),
    "header a list": RS.sign(b'["RS256"]', BODY),
    "header no JSON": RS.sign(b"alg=RS256", BODY),
    "header in UTF-16": RS.sign(HEAD.decode().encode("utf-16"), BODY),
    "header with a byte order mark": RS.sign(b"\xef\xbb\xbf" + HEAD, BODY),
    "header with something behind it": RS.sign(HEAD + b"{}", BODY),
    "claims a list": RS.sign(HEAD, b"[" + BODY + b"]"),
    "claims null": RS.sign(HEAD, b"null"),
    "claims text": RS.sign(HEAD, json.dumps(BODY.decode()).encode()),
    "claims not in UTF-8": RS.sign(HEAD, BODY[:-1] + b',"name":"\xff"}'),
    "claims nested deeply": RS.sign(HEAD, BODY[:-1] + b',"a":' + b"[" * 2500 + b"]" * 2500 + b"}"),
    "a number of thousands of digits": RS.sign(HEAD, BODY[:-1] + b',"a":' + b"9" * 5000 + b"}"),
    # base64 and the three parts
    "padding": ".".join(part + "=" * (-len(part) % 4) for part in _parts(RS.token(sub="janes"))),
    "padding too much": RS.token() + "====",
    "signature in another spelling": lambda: ".".join(
        (*_parts(RS.token())[:2], _other_spelling(_parts(RS.token())[2]))
    ),
    "alphabet of plain base64": lambda: RS.token().replace("-", "+").replace("_", "/") + "+",
    "blank in the signature": lambda: RS.token()[:-4] + " " + RS.token()[-4:],
    "one more part": RS.token() + ".AAAA",
    "one more dot": RS.token() + ".",
    "a dot before": "." + RS.token(),
    "two parts": ".".join(_parts(RS.token())[:2]),
    "no claims": "{0}..{2}".format(*_parts(RS.token())),
    "nothing but dots": "..",
    "many dots": "." * 4000,
    "one character": "{}.{}.A".format(*_parts(RS.token())),
    "JWS as JSON": json.dumps(dict(zip(("protected", "payload", "signature"), _parts(RS.token()), strict=True))),
    # Signatures
    "signature stripped": "{}.{}.".format(*_parts(RS.token())),
    "signature of another token": "{}.{}".format(*_parts(RS.token(sub="admin"))) + "." + _parts(RS.token())[2],
    "signature truncated": _with_signature(RS.token(), lambda one: one[:-1]),
    "signature longer": _with_signature(RS.token(), lambda one: one + b"\0"),
    "signature with one bit changed": _with_signature(RS.token(), lambda one: one[:-1] + bytes([one[-1] ^ 1])),
    "signature of zeros": _with_signature(RS.token(), lambda one: bytes(len(one))),
    "signature of ones": _with_signature(RS.token(), lambda one: b"\xff" * len(one)),
    "signature one": _with_signature(RS.token(), lambda one: bytes(len(one) - 1) + b"\1"),
    # What we do not do
    "encrypted": ".".join([b64(b'{"alg":"RSA-OAEP","enc":"A256GCM","kid":"k1"}'), "AAAA", "AAAA", "AAAA", "AAAA"]),
    "encrypted directly": ".".join([b64(b'{"alg":"dir","enc":"A256GCM"}'), "", "AAAA", "AAAA", "AAAA"]),
    "enc in the header": RS.token({"enc": "A256GCM"}),
    "nested": RS.sign(json.dumps(RS.header(cty="JWT")).encode(), RS.token().encode()),
    "nested by its header": RS.token({"cty": "JWT"}),
    "compressed": RS.token({"zip": "DEF"}),
    "b64 false": RS.token({"b64": False, "crit": ["b64"]}),
    "b64 false, not critical": RS.token({"b64": False}),
    "b64 false, claims as they are": lambda: (
        "{}.{}.".format(b64(json.dumps(RS.header(b64=False)).encode()), "a") + b64(RS.signature("a"))
    ),
    "crit unknown": RS.token({"crit": ["exp"], "exp": NOW + 60}),
    "crit empty": RS.token({"crit": []}),
    "crit null": RS.token({"crit": None}),
    "token for a proof": RS.token({"typ": "dpop+jwt"}),
    "token for a logout": RS.token({"typ": "logout+jwt"}),
    "typ a list": RS.token({"typ": ["JWT"]}),
    # Sizes
    "9 KB, well signed": RS.token(padding="x" * 6000),
    "1 MB": RS.token(padding="x" * 750_000),
    "1 MB of one letter": "a" * 1_000_000,
    "1 MB of dots": "." * 1_000_000,
    "1 MB of opened brackets": b64(b"[" * 750_000) + ".AAAA.AAAA",
}
ES = GOOD["ES256"]
ES256_ATTACKS: dict[str, str | Callable[[], str]] = {
    "wrong curve": P384.token(),
    "wrong curve, called ES256": P384.token({"alg": "ES256"}),
    "wrong curve, published as ES256": Signer("ES256", P384.key, "p384-as-es256").token,
    "wrong curve, published as P-256": P384.token({"alg": "ES256", "kid": "p384-called-p256"}),
    "nobody's key": MALLORY["ES256"].token(),
    "r and s zero": _with_signature(ES.token(), lambda one: bytes(len(one))),
    "r and s the order of the curve": _with_signature(
        ES.token(), lambda _: bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551") * 2
    ),
    "signature in DER": _with_signature(
        ES.token(),
        lambda one: encode_dss_signature(int.from_bytes(one[:32], "big"), int.from_bytes(one[32:], "big")),
    ),
    "signature empty": "{}.{}.".format(*_parts(ES.token())),
    "public key as the secret": _hmac(ES.key.public_key().public_bytes(PEM, SPKI)),
    "RS256": RS.token(),
    "none": _bare({"alg": "none", "kid": "k1"}),
}


@pytest.mark.parametrize("name", RS256_ATTACKS)
def test_attack_on_rsa_is_nobodys(door: Callable[..., Door], name: str) -> None:
    assert_refused(door("RS256", PUBLISHED["RS256"]), RS256_ATTACKS[name])


@pytest.mark.parametrize("name", ES256_ATTACKS)
def test_attack_on_elliptic_curves_is_nobodys(door: Callable[..., Door], name: str) -> None:
    assert_refused(door("ES256", PUBLISHED["ES256"]), ES256_ATTACKS[name])


def test_doors_that_refused_attacks_open_for_good_tokens(door: Callable[..., Door]) -> None:
    assert [door(name, PUBLISHED[name]).status(GOOD[name].token()) for name in GOOD] == [200, 200]


def assert_refused(door: Door, attack: str | Callable[[], str]) -> None:
    answer = door.knock(f"Bearer {attack if isinstance(attack, str) else attack()}")

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "spelling",
    [
        "Bearer",
        "Bearer:{}",
        "Bearer: {}",
        "Bearer{}",
        "Bearer\t{}",
        "Bearer {} {}",
        "Bearer {},",
        "Bearer {}, Bearer {}",
        "Bearer Bearer {}",
        'Bearer "{}"',
        "Bearer token={}",
        "Bearer '{}'",
        "Bearers {}",
        "Basic {}",
        "Token {}",
        "JWT {}",
        "DPoP {}",
        "{}",
        "Bearer \xff\xfe{}",
        "Bearer \u00a0{}",
    ],
)
def test_header_that_is_no_bearer_token_is_nobodys(door: Callable[..., Door], spelling: str) -> None:
    token = RS.token()

    answer = door("RS256", PUBLISHED["RS256"]).knock(spelling.format(token, token).encode("latin-1"))

    assert answer.status_code == 401


@pytest.mark.parametrize("spelling", ["bearer {}", "BEARER {}", "Bearer   {}"])
def test_header_in_another_good_spelling_opens(door: Callable[..., Door], spelling: str) -> None:
    assert door("RS256", PUBLISHED["RS256"]).knock(spelling.format(RS.token())).status_code == 200


def test_two_headers_are_nobodys_whatever_they_are(door: Callable[..., Door]) -> None:
    good, at = f"Bearer {RS.token()}", door("RS256", PUBLISHED["RS256"])

    pairs = [(good, good), (good, "Bearer x"), ("Bearer x", good), ("Basic x", good), (good, "")]

    assert {at.knock(*pair).status_code for pair in pairs} == {401}


def test_token_anywhere_else_is_not_looked_at(door: Callable[..., Door]) -> None:
    token, at = RS.token(), door("RS256", PUBLISHED["RS256"])

    elsewhere = [
        at.knock(params={"access_token": token}),
        at.knock(headers=[(b"Cookie", f"token={token}; Authorization={token}".encode())]),
        at.knock(headers=[(b"X-Authorization", f"Bearer {token}".encode())]),
        at.knock(headers=[(b"Proxy-Authorization", f"Bearer {token}".encode())]),
    ]

    assert {answer.status_code for answer in elsewhere} == {401}


@pytest.mark.parametrize("junk", [bytes(range(128, 256)), b"\x80.\x80.\x80", b"\xff" * 8000, b"eyJ.\xe2\x82\xac.AA"])
def test_binary_junk_is_nobodys(door: Callable[..., Door], junk: bytes) -> None:
    assert door("RS256", PUBLISHED["RS256"]).knock(b"Bearer " + junk).status_code == 401


def test_headers_without_end_are_ended(door: Callable[..., Door]) -> None:
    answer = door("RS256", PUBLISHED["RS256"]).knock(b"Bearer " + b"a" * 3_000_000)

    assert answer.status_code == 431


@pytest.mark.parametrize("path", ["/v1/apis", "/healthz"])
@pytest.mark.parametrize("beside", [("0\r\n", "a: b\r\n"), ("0\r\na: ", "b"), ("5;", "x")])
def test_trailers_and_extensions_of_chunks_without_end_are_ended(
    api: ServedApi, path: str, beside: tuple[str, str]
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n{beside[0]}".encode()
    endless, url = beside[1].encode() * 20_000, httpx.URL(api.url)

    with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
        connection.sendall(head)
        with pytest.raises(ConnectionError):
            _send_all(connection, [endless] * (40_000_000 // len(endless)))  # more than buffers hold


def _send_all(connection: socket.socket, parts: list[bytes]) -> None:
    for part in parts:
        connection.sendall(part)


def test_trailer_is_no_header(api: ServedApi) -> None:
    request = (
        f"GET /v1/apis HTTP/1.1\r\nHost: here\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"0\r\nAuthorization: Bearer {ADMIN}\r\n\r\n"
    )
    url = httpx.URL(api.url)

    with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
        connection.sendall(request.encode())
        status = connection.recv(65536).split(b"\r\n")[0]

    assert status == b"HTTP/1.1 401 Unauthorized"
