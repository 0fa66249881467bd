"""Every error of Trustcast.

TrustcastError
├── Rejected          the request's fault; never retried; becomes the operation's problem
│   └── RejectedMany  all field errors of one request at once
├── Conflict          the state forbids it
│   └── PreconditionFailed  it is not the state that the request was made for (If-Match)
├── NotFound          there is no such thing
├── Unavailable       something around us is down; always retried
└── Untrusted         a head or an answer that does not verify; the last good files stay

No error here knows an HTTP status: one dictionary in the api maps them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class TrustcastError(Exception):
    """`code` is stable snake_case for scripts; `detail` says to a person what was wrong and what to do.

    `detail` never repeats what was sent: an error must not carry a pasted key into a log.
    `field` names the request's field, where one is at fault.
    """

    def __init__(self, code: str, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field


class Rejected(TrustcastError):
    """The request itself is at fault; sending it again changes nothing."""


class RejectedMany(Rejected):
    """Several fields are at fault: `errors` holds at least one `Rejected` each."""

    def __init__(self, errors: tuple[Rejected, ...]) -> None:
        match errors:
            case (only,):
                super().__init__(only.code, only.detail, field=only.field)
            case _:
                super().__init__("invalid_request", "Several fields are wrong; each is named under errors.")
        self.errors = errors


class Conflict(TrustcastError):
    """The request is well formed, but what is stored forbids it."""


class PreconditionFailed(Conflict):
    """The request was made for another state (`If-Match`, RFC 9110, 13.1.1): somebody was faster."""


class NotFound(TrustcastError):
    """What the request names does not exist."""


class Unavailable(TrustcastError):
    """Something around us is down or full; nothing is lost and the work is tried again."""


class Untrusted(TrustcastError):
    """A head or a changes answer failed verification; whoever holds good files keeps them."""


class FieldErrors:
    """Collects what is wrong with each field, so that a person mends them all at once."""

    def __init__(self) -> None:
        self._errors: list[Rejected] = []

    @contextlib.contextmanager
    def of(self, field: str) -> Iterator[None]:
        """Keep a `Rejected` of this block for later; `field` is named where the error names none."""
        try:
            yield
        except Rejected as error:
            self._errors.append(Rejected(error.code, error.detail, field=error.field or field))

    def raise_if_any(self) -> None:
        """Raise `RejectedMany` unless every block went well.

        A private key stands alone: what else is wrong no longer matters, and may only seem so because of it.
        """
        of_keys = [error for error in self._errors if error.code == "private_key"]
        if self._errors:
            raise RejectedMany(tuple(of_keys[:1] or self._errors))
