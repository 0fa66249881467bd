"""Health of a process that touches a file whenever it did its work: `fresh.py FILE SECONDS` exits 0 if lately."""

import sys
import time
from pathlib import Path

file, seconds = Path(sys.argv[1]), float(sys.argv[2])
sys.exit(0 if file.exists() and time.time() - file.stat().st_mtime < seconds else 1)
