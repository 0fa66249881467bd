"""Whose an entry of a gateway's truststore may be, by its alias.

WSO2 calls an entry `alias` for the super tenant and `alias_tenantId` for every other one, so `web_5` is what both the
super tenant's alias `web_5` and the alias `web` of tenant 5 are called there. An entry under a row's second name
(`alias` for a tenant, `alias_-1234` for the super tenant) is known from installations that were moved by hand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from trustcast.domain import alias as aliases
from trustcast_cli.wso2.rows import Row


def own_name(row: Row) -> str:
    """Return what WSO2 calls the row's entry, in lower case."""
    return aliases.on_gateways(aliases.key(row.alias), row.tenant_id)


def second_name(row: Row) -> str:
    """Return under what else its certificate may stand: the plain alias, or with its id that of the super tenant."""
    key = aliases.key(row.alias)
    return f"{key}_{row.tenant_id}" if row.tenant_id == aliases.SUPER_TENANT else key


@dataclass(frozen=True, slots=True)
class Claims:
    """The rows by their own names and by their second ones."""

    first: Mapping[str, Sequence[Row]]
    second: Mapping[str, Sequence[Row]]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """Take down what each row claims."""
        first, second = defaultdict(list), defaultdict(list)
        for row in rows:
            first[own_name(row)].append(row)
            second[second_name(row)].append(row)
        return cls(dict(first), dict(second))

    def beside(self, row: Row) -> list[Row]:
        """Return the other rows whose own name is that of `row`."""
        return [other for other in self.first[own_name(row)] if other != row]

    def behind(self, row: Row) -> list[Row]:
        """Return whose the entry under the row's second name is, or may be as well as the row's."""
        name = second_name(row)
        return list(self.first.get(name, ())) or [other for other in self.second[name] if other != row]
