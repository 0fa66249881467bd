"""Which form of a certificate a client likes best."""

from __future__ import annotations

import pytest

from tests.certificates import self_signed
from trustcast_api.content import Form, form_of, pem
from trustcast_api.problems import NotAcceptableError


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.DER),
        ("*/*", Form.DER),
        ("application/octet-stream", Form.DER),
        ("application/pkix-cert", Form.DER),
        ("application/x-pem-file", Form.PEM),
        ("Application/X-PEM-File; charset=x", Form.PEM),
        ("application/pem-certificate-chain", Form.CHAIN),
        ("text/html, application/x-pem-file;q=0.5, */*;q=0.1", Form.PEM),
        ("application/pkix-cert;q=0.2, application/x-pem-file;q=0.3", Form.PEM),
        ("application/pkix-cert, application/x-pem-file", Form.DER),
        ("application/x-pem-file;q=0, */*;q=0.1", Form.DER),
        ("application/x-pem-file;q=nonsense, application/*", Form.DER),
    ],
)
def test_client_gets_what_it_likes_best(accept: str, form: Form) -> None:
    assert form_of(accept) is form


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/x-pem-file;q=0", "rubbish", ";;;"])
def test_client_that_takes_none_of_the_forms_is_told(accept: str) -> None:
    with pytest.raises(NotAcceptableError):
        form_of(accept)


def test_pem_is_what_openssl_writes() -> None:
    made = self_signed()

    assert pem(made.der) == made.pem
