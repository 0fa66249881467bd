"""What dry runs answer, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from trustcast.domain.errors import RejectedMany
from trustcast_api.list_certificates import status_of
from trustcast_api.schemas import Time
from trustcast_api.schemas_of_certificates import EXAMPLE, FactsBody, facts

if TYPE_CHECKING:
    from datetime import datetime

    from trustcast.domain.errors import TrustcastError
    from trustcast_api.judge_upload import Verdict

_VERDICT: dict[str, Any] = {name: value for name, value in EXAMPLE.items() if name not in {"rotates", "operation"}} | {
    "verdict": "accepted",
    "activate_at": None,
}
_REFUSAL: dict[str, Any] = {
    "verdict": "refused",
    "alias": "shop",
    "code": "certificate_expired",
    "detail": "The certificate has expired; upload its successor.",
    "field": "certificate",
}


class VerdictBody(FactsBody):
    """What an upload would come to: a certificate that is trusted from `activate_at` on, or at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VERDICT]})
    verdict: Literal["accepted"] = "accepted"
    activate_at: Time | None = None

    @classmethod
    def of(cls, one: Verdict, *, at: datetime) -> VerdictBody:
        """Describe a verdict that was given at `at`."""
        asked, read = one.request, one.certificate
        said = facts(
            read.der,
            alias=asked.alias,
            endpoint=asked.endpoint or "",
            status=status_of(read.not_before, read.not_after, at=at),
            warnings=[asdict(each) for each in one.warnings],
            environments=one.environments,
            chain=asked.chain,
        )
        return cls(**said, activate_at=asked.activate_at)


class RefusalBody(BaseModel):
    """Why an entry of a key store would be refused; the alias is there where it is a legal one."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REFUSAL]})
    verdict: Literal["refused"] = "refused"
    alias: str | None = None
    code: str
    detail: str
    field: str | None = None

    @classmethod
    def of(cls, alias: str | None, why: TrustcastError) -> RefusalBody:
        """Describe a refusal."""
        first = why.errors[0] if isinstance(why, RejectedMany) else why
        return cls(alias=alias, code=first.code, detail=first.detail, field=first.field)


class VerdictsBody(BaseModel):
    """What each entry of a key store would come to, in the order of the file."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"verdicts": [_VERDICT, _REFUSAL]}]})
    verdicts: list[VerdictBody | RefusalBody]
