"""`make dbscripts`: write every script anew."""

from __future__ import annotations

from dbscripts import scripts

if __name__ == "__main__":
    for name in scripts.SCRIPTS:
        (scripts.FOLDER / f"{name}.sql").write_text(scripts.text(name), encoding="utf-8")
