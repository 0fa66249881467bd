"""What every uvicorn that serves the api has in common."""

from __future__ import annotations

from typing import Any, Final

from trustcast_api.bounded_head import BoundedHead

OPTIONS: Final[dict[str, Any]] = {
    "http": BoundedHead,
    "proxy_headers": False,  # uvicorn believes whoever calls from 127.0.0.1, and anything; see `behind_proxies`
    "log_config": None,
    "access_log": False,
    "server_header": False,
}
