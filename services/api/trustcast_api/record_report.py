"""Take down what a gateway reports, and stamp the operations that have now reached every gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustcast.domain.errors import Rejected
from trustcast.storage import arrivals, gateways, idempotency, truststores
from trustcast.storage.gateways import Phase, Report

if TYPE_CHECKING:
    from datetime import datetime

    from trustcast.storage.session import Database


def record_report(
    database: Database,
    report: Report,
    *,
    gateway: str,
    environment: str,
    at: datetime,
    use: idempotency.Use | None = None,
) -> None:
    """Keep the report, once for each `use` of an Idempotency-Key.

    Raises `Rejected("environment_wrong")` for an environment that the gateway is not in (any more): what it tells of
    another's generations says nothing about this one's. Raises `KeyReusedError`, `Unavailable`.

    A digest that was never signed for the generation is no success, whatever the gateway calls it.
    """
    with database.writing() as transaction:
        # Two gateways that report at once would each miss that the other has arrived, too.
        gateways.take_turns(transaction)
        if use is not None and idempotency.take(transaction, use, at=at) is not None:
            return
        if gateways.environment_of(transaction, gateway) != environment:
            raise Rejected("environment_wrong", "This gateway belongs to another environment.", field="environment")
        signed = truststores.digest_of(transaction, environment, report.generation)
        if report.phase is not Phase.FAILED and (signed is None or report.entries_sha256 != signed):
            detail = "The entries read back on the gateway are not those that were signed for this generation."
            report = Report(
                generation=report.generation,
                entries_sha256=report.entries_sha256,
                phase=Phase.FAILED,
                code="entries_mismatch",
                detail=detail,
            )
        before = gateways.floor(transaction, environment) or 0
        raised = gateways.record(transaction, gateway, report, at=at)
        if raised and (after := gateways.floor(transaction, environment) or 0) > before:
            reached = arrivals.reached(environment, above=before, upto=after)
            arrivals.converge(transaction, reached, at=at)
        transaction.commit()
