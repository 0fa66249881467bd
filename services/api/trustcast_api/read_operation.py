"""Tell one operation's story: its fate, where it took effect, and which gateways have it or fail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trustcast.storage import arrivals, gateways, operations
from trustcast_api import scopes

if TYPE_CHECKING:
    from trustcast.storage.gateways import Arrival
    from trustcast.storage.operations import Operation
    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal


@dataclass(frozen=True, slots=True)
class Story:
    """An operation, its generation in each environment, and what the gateways there told."""

    operation: Operation
    generations: dict[str, int]
    gateways: list[Arrival]


def read_operation(database: Database, who: Principal, id: str) -> Story:  # noqa: A002 - the field's name
    """Return the story of an operation of the asker's tenant. Raises `NotFound("operation_not_found")`.

    What a failing gateway says in words may name another tenant's alias, so only the administrator reads it; the code
    is for everybody.
    """
    with database.reading() as transaction:
        operation = operations.get(transaction, who.tenant_id, id)
        told = [*gateways.arrivals(transaction, id), *gateways.kept_back(transaction, id)]
        generations = arrivals.generations(transaction, id)
    if not who.holds(scopes.ADMINISTER):
        told = [replace(one, detail=None) for one in told]
    return Story(operation, generations, told)
