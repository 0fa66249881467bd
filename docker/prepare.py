"""Makes `compose-data/` for docker compose: fresh secrets, the signing key, and a sample home for each gateway.

    .venv/bin/python docker/prepare.py        (make secrets)

It is a data folder like that of `trustcast dev`, and beside it the passwords that only compose needs. What exists is
kept, so a second run changes nothing. The containers run as whoever ran this (`.env` tells compose), so that they can
read files of mode 0600 and write the gateway homes; root's containers run as a plain user who then owns the files.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from trustcast import atomic_file
from trustcast_cli import data_folder, secret_file

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "compose-data"
GATEWAYS = 2
PLAIN_USER = 10001
# Celery, the hints and Flower; no administration of the server.
SERVICES_MAY = "~* &* +@all -@admin -@dangerous +info"
# Listen for hints, and ping. Any environment's hints: environments are made while Redis runs, which reads this once.
GATEWAYS_MAY = "resetkeys resetchannels &trustcast:changes:* +subscribe +unsubscribe +ping"


def main() -> None:
    """Make what is missing and tell what comes next."""
    with data_folder.opened(FOLDER) as (folder, _lock):
        data_folder.prepare(folder, GATEWAYS)
    _passwords(FOLDER / "secrets")
    user, group = _owner()
    tell_compose(ROOT / ".env", {"TRUSTCAST_UID": user, "TRUSTCAST_GID": group})
    print(f"{FOLDER.name}/ is ready. Next: docker compose up --build")


def tell_compose(env: Path, ours: dict[str, int]) -> None:
    """Set our variables in compose's `.env`; the operator's other lines stay as they are."""
    before = env.read_bytes() if env.exists() else b""
    names = "|".join(ours).encode("ascii")
    is_ours = re.compile(rb"\s*(export\s+)?(%b)\s*[=:]" % names)
    others = b"".join(line for line in before.splitlines(keepends=True) if not is_ours.match(line))
    if others and not others.endswith(b"\n"):
        others += b"\n"
    after = others + "".join(f"{name}={value}\n" for name, value in ours.items()).encode("ascii")
    if after != before:
        atomic_file.replace(env, after, mode=0o644)


def _passwords(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    postgres, services, gateways = (_kept(folder / name) for name in ("postgres", "redis-services", "redis-gateways"))
    _derive(folder / "database-url", f"postgresql+psycopg://trustcast:{postgres}@postgres:5432/trustcast")
    _derive(folder / "redis-url", f"redis://services:{services}@redis:6379/0")
    _derive(folder / "redis-url-gateways", f"redis://gateways:{gateways}@redis:6379/0")
    _derive(folder / "flower-auth", f"admin:{_kept(folder / 'flower')}")
    acl = folder / "redis-acl"
    _derive(acl, _acl({"services": (services, SERVICES_MAY), "gateways": (gateways, GATEWAYS_MAY)}))
    # Redis runs as a user of its own. The hashes are of 256 random bits, and the folder is closed to others anyway.
    acl.chmod(0o644)


def _acl(users: dict[str, tuple[str, str]]) -> str:
    lines = ["user default off"]
    lines += [f"user {name} on #{_sha256(password)} {may}" for name, (password, may) in users.items()]
    return "\n".join(lines)


def _kept(path: Path) -> str:
    return secret_file.kept(path, lambda: secrets.token_urlsafe(32))


def _derive(path: Path, text: str) -> None:
    # Not replaced where nothing changed: a running container holds the file itself, not its name.
    if not path.exists() or path.read_text(encoding="ascii").strip() != text:
        secret_file.write(path, text + "\n")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _owner() -> tuple[int, int]:
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    for path in [FOLDER, *FOLDER.rglob("*")]:
        os.chown(path, PLAIN_USER, PLAIN_USER, follow_symlinks=False)
    return PLAIN_USER, PLAIN_USER


if __name__ == "__main__":
    main()
