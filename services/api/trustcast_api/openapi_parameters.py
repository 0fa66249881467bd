"""What each parameter is for, in the OpenAPI document; the same name means the same almost everywhere."""

from __future__ import annotations

from typing import Any, Final

_EVERYWHERE: Final = {
    "limit": "How many there are on one page.",
    "offset": "How many to leave out before the page.",
    "endpoint": "Find by the backend: a URL, a host or host:port. The port counts where it is given.",
    "version": "The version of WSO2's Publisher API.",
    "force": "Do it even if APIs are left without a certificate that is for their endpoints.",
    "Idempotency-Key": (
        "Up to 255 characters of your choice. The same request with the same key, within a week, has one effect "
        "and gets one answer."
    ),
    "Prefer": (
        "`wait=N` waits up to N seconds, 60 at most, for the end instead of answering 202 at once (RFC 7240); for the "
        "verdict, where `activate_at` is beyond that."
    ),
    "If-Match": "The `ETag` that GET gave for this certificate, or `*`: refuse with 412 if another is trusted by now.",
    "Accept": "The form of the file, where `format` does not say.",
    "Truststore-Password": "What seals the file: 6 characters or more.",
    "Trustcast-Tenant": "The domain of the tenant to act for; only with the scope trustcast:admin.",
}
_BY_TAG: Final[dict[str, dict[str, str]]] = {
    "certificates": {
        "alias": "The certificate's alias; compared without case.",
        "alias_contains": "Find by a part of the alias; compared without case.",
        "status": "Find by where a certificate stands in its validity; `pending` lists what is on its way instead.",
        "expires_before": "Find what ends before this moment (RFC 3339).",
        "sort": "What to sort by; `-` for descending.",
        "format": "The form of the file: DER, PEM, or PEM with what came with it and with issuers trusted here.",
        "dry_run": "Tell what would come of it, and store nothing; `Idempotency-Key` and `Prefer` say nothing then.",
    },
    "operations": {
        "id": "The operation's id, as in `Location`.",
        "state": "Find by how far it is.",
        "kind": "Find by what was asked for.",
        "batch": "Find those that the lines of the batch with this id became.",
        "alias": "Find by the certificate's alias; compared without case.",
    },
    "batches": {"id": "The batch's id, as in `Location`."},
    "apis": {
        "id": "The API's id.",
        "name": "Find by a part of the name; compared without case.",
        "version": "Find by the API's version.",
        "context": "Find by the API's context.",
        "provider": "Find by the API's provider.",
        "type": "Find by the API's type.",
    },
    "environments": {
        "name": "The environment's name.",
        "after": "The generation that is known already.",
        "wait": "How many seconds to wait for a newer generation than `after`.",
    },
    "gateways": {"name": "The gateway's name."},
    "tenants": {"id": "The tenant's id: -1234 for the super tenant, others positive."},
    "tokens": {"id": "The token's id; not its text."},
    "audit": {
        "tenant": "Find by the domain of the tenant that was acted for.",
        "actor": "Find by who did it, such as `token:…`.",
        "action": "Find by what was done, such as `operation.accepted`.",
        "after": "List what stands behind the event with this number.",
    },
    "publisher": {
        "alias": "The certificate's alias; compared without case.",
        "endpoint": "Find by the backend's host, given as a URL, a host or host:port; every port is found.",
    },
}
_HEADERS: Final = {name.lower(): name for name in _EVERYWHERE if name[0].isupper()}


def describe(operation: dict[str, Any]) -> None:
    """Describe the parameters of an operation of the document, and write headers as they are known."""
    ours = _EVERYWHERE | _BY_TAG.get(operation["tags"][0], {})
    for one in operation.get("parameters", []):
        if one["in"] == "header":
            one["name"] = _HEADERS[one["name"].lower()]
        one["description"] = ours[one["name"]]
