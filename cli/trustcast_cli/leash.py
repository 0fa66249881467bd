"""Run a command that ends when its parent ends, also when the parent was killed with SIGKILL.

Run as a file, `python -I -S leash.py PARENT_PID COMMAND…`: a small stage before the command itself, since nothing of
ours may run between fork and exec in a process that has threads. Elsewhere than on Linux there is no leash.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h; the setting survives exec, see prctl(2)


def main() -> None:
    """Become the command. Raises nothing a parent could catch: a failed exec ends with status 127."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)  # it died before the leash was on
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the command is the purpose
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()
