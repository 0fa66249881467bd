"""What the api says of the audit chain, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from trustcast_api.schemas import Time

if TYPE_CHECKING:
    from trustcast.storage.audit import Recorded
    from trustcast_api.list_audit import Page


class EventBody(BaseModel):
    """One audited event: who did what, when, from where; `sha256` is over it and `previous_sha256`."""

    sequence: int
    at: Time
    actor: str
    tenant: str | None
    tenant_id: int | None
    address: str | None
    action: str
    facts: dict[str, Any]
    previous_sha256: str
    sha256: str

    @classmethod
    def of(cls, one: Recorded, domain: str | None) -> EventBody:
        """Tell of an event."""
        return cls(
            sequence=one.sequence,
            at=one.at,
            actor=one.actor,
            tenant=domain,
            tenant_id=one.tenant_id,
            address=one.address,
            action=one.action,
            facts=one.facts,
            previous_sha256=one.previous_sha256,
            sha256=one.sha256,
        )


class TailBody(BaseModel):
    """The end of the chain. Kept elsewhere, it shows later whether the chain was rewritten up to here."""

    sequence: int
    sha256: str


class AuditPage(BaseModel):
    """Events, oldest first; `next` is the `after` of the next page, null when this is the last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {
                            "sequence": 1,
                            "at": "2026-11-23T12:00:00.123Z",
                            "actor": "admin",
                            "tenant": "carbon.super",
                            "tenant_id": -1234,
                            "address": "192.0.2.7",
                            "action": "operation.accepted",
                            "facts": {"alias": "billing", "kind": "add"},
                            "previous_sha256": "0" * 64,
                            "sha256": "4f" * 32,
                        }
                    ],
                    "next": 1,
                    "tail": {"sequence": 1, "sha256": "4f" * 32},
                }
            ]
        }
    )

    events: list[EventBody]
    next: int | None
    tail: TailBody

    @classmethod
    def of(cls, page: Page) -> AuditPage:
        """Tell of a page."""
        events = [EventBody.of(one, page.domains.get(one.tenant_id or 0)) for one in page.events]
        return cls(events=events, next=page.next, tail=TailBody(sequence=page.tail.sequence, sha256=page.tail.sha256))
