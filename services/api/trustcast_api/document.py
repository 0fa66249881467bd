"""`python -m trustcast_api.document`: the OpenAPI document, as `make openapi` writes it to docs/openapi.json."""

from __future__ import annotations

import json
from typing import Any

from trustcast_api.app import application


def document() -> dict[str, Any]:
    """Return the document that the api serves at `/openapi.json`."""
    return application().openapi()


if __name__ == "__main__":
    print(json.dumps(document(), indent=2, ensure_ascii=False))  # noqa: T201 - a command's answer
