"""Pages as the Publisher's lists have them: what is before and after, as links relative to the API's base."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`limit` of `total` items from `offset` of what `path` lists; `filters` were asked for, None and "" were not."""

    path: str
    limit: int
    offset: int
    total: int
    filters: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def next(self) -> str:
        """The page behind this one, "" where there is none."""
        after = self.offset + self.limit
        return self._at(after) if self.limit and after < self.total else ""

    @property
    def previous(self) -> str:
        """The page before this one, "" where there is none, and (as theirs) beyond the end of the list."""
        before = self.limit and 0 < self.offset < self.total
        return self._at(max(self.offset - self.limit, 0)) if before else ""

    def _at(self, offset: int) -> str:
        asked = {name: value for name, value in self.filters.items() if value}
        return f"{self.path}?{urlencode({'limit': self.limit, 'offset': offset, **asked})}"
