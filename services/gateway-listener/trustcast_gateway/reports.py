"""Tells the api where this gateway stands. Only the newest report matters; no report is worth waiting for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from trustcast.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustcast_gateway.distribution import Distribution, Report

log = structlog.get_logger("trustcast.gateway")


class Reports:
    """Delivers news at once, and what the api knows already only when `heartbeat_seconds` have passed.

    What could not be delivered is news at the next opportunity. `monotonic` is a clock in seconds.
    """

    def __init__(self, api: Distribution, *, heartbeat_seconds: float, monotonic: Callable[[], float]) -> None:
        self._api = api
        self._heartbeat_seconds = heartbeat_seconds
        self._monotonic = monotonic
        self._delivered: Report | None = None
        self._again_at = 0.0
        self._failing: str | None = None

    def tell(self, report: Report) -> None:
        """Deliver `report` if it is news or due."""
        now = self._monotonic()
        if report == self._delivered and now < self._again_at:
            return
        try:
            self._api.report(report)
        except Unavailable as error:
            self._delivered = None
            if error.code != self._failing:
                log.warning("report_undelivered", code=error.code, detail=error.detail)
            self._failing = error.code
            return
        self._delivered, self._again_at, self._failing = report, now + self._heartbeat_seconds, None
