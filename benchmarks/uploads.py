"""Uploads as a client sends them, with as little of the client in the measured time as can be."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from benchmarks.many_certificates import endpoint

_BOUNDARY = "benchmark-boundary"
CONTENT_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"


class Client:
    """One kept-alive connection of the administrator."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}"}

    def upload(self, body: bytes) -> str:
        """Send what `body` made; return the operation's id."""
        headers = self._headers | {"Content-Type": CONTENT_TYPE}
        status, answer = self._asked("POST", "/v1/certificates", body, headers)
        assert status == http.HTTPStatus.ACCEPTED, answer
        return str(answer["id"])

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON at a path."""
        status, answer = self._asked("GET", path, None, self._headers)
        assert status == http.HTTPStatus.OK, answer
        return answer

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _asked(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())


def body(alias: str, der: bytes) -> bytes:
    """Return the multipart body of one upload."""
    texts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("alias", alias), ("endpoint", endpoint(alias)))
    ]
    file = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="certificate"; filename="{alias}.pem"\r\n'
        f"Content-Type: application/x-pem-file\r\n\r\n{ssl.DER_cert_to_PEM_cert(der)}\r\n--{_BOUNDARY}--\r\n"
    )
    return "".join([*texts, file]).encode()
