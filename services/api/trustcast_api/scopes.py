"""Which scopes open what. One of those named is enough; `trustcast:admin` opens everything.

The `apim:` scopes are WSO2's, for the same things (see the Publisher's REST API, 4.x).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trustcast.storage.tables import SUPER_TENANT
from trustcast_api.principal import ADMINISTRATOR

if TYPE_CHECKING:
    from collections.abc import Iterable

READ_CERTIFICATES: Final = frozenset(
    {"apim:api_view", "apim:api_manage", "apim:ep_certificates_view", "apim:ep_certificates_manage"}
)
ADD_CERTIFICATES: Final = frozenset(
    {"apim:api_create", "apim:api_manage", "apim:ep_certificates_add", "apim:ep_certificates_manage"}
)
UPDATE_CERTIFICATES: Final = frozenset(
    {"apim:api_create", "apim:api_manage", "apim:ep_certificates_update", "apim:ep_certificates_manage"}
)
PUBLISHER_2_6: Final = frozenset({"apim:api_create"})
READ_OPERATIONS: Final = READ_CERTIFICATES | ADD_CERTIFICATES | UPDATE_CERTIFICATES
READ_APIS: Final = frozenset({"apim:api_view", "apim:api_create", "apim:api_manage"})
WRITE_APIS: Final = frozenset({"apim:api_create", "apim:api_manage"})
DELETE_APIS: Final = frozenset({"apim:api_manage"})
READ_ENVIRONMENTS: Final = READ_CERTIFICATES | {"trustcast:gateways"}
READ_TRUSTSTORES: Final = frozenset({"trustcast:gateways"})
ADMINISTER: Final = frozenset({ADMINISTRATOR})

ALL: Final = READ_OPERATIONS | READ_APIS | WRITE_APIS | READ_ENVIRONMENTS | READ_TRUSTSTORES | ADMINISTER
# What reaches beyond one tenant is for the super tenant's principals only.
BEYOND_ONE_TENANT: Final = frozenset({"trustcast:gateways", ADMINISTRATOR})


def that_count(names: Iterable[str], *, tenant_id: int, bounded: bool) -> frozenset[str]:
    """Return those scopes among `names` that open something for a principal of this tenant.

    Unknown ones open nothing. Whoever is bounded to some aliases administers nothing: an administrator makes tokens
    that have no bounds.
    """
    known = ALL.intersection(names)
    if tenant_id != SUPER_TENANT:
        known -= BEYOND_ONE_TENANT
    return known - ADMINISTER if bounded else known
