"""One process that tries mutants, in a copy of the checkout that is its own: a job a line comes in, its fate goes out.

cosmic-ray makes each mutant and writes it into the copy. The tests run in a fork of this process, which has imported
what takes long and nothing of ours: so a mutant costs its tests' time and little more.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import json
import multiprocessing
import os
import sys
import time
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from hypothesis import HealthCheck, Phase, settings

from tests.certificates import rsa_key
from tests.mutants.modules import DOMAIN, tests_of

IMPORTED = ("cryptography.x509", "fastapi", "hypothesis.strategies", "sqlalchemy", "lxml.etree", "jks")
# Of all plugins only the one that pyproject.toml has a setting for: the order is that of the files, the first failure
# is enough, and there are no fixtures of databases.
OPTIONS = ("-x", "-q", "--noconftest", "--disable-plugin-autoload", "-p", "pytest_timeout", "-p", "no:cacheprovider")
LOG = Path("tests.log")
# A mutant that hangs takes the tests this many times as long as they need; a busy machine does not.
PATIENCE = 5
LEAST_SECONDS = 10


def main() -> None:
    """Read jobs until there are no more."""
    for name in IMPORTED:
        with suppress(ImportError):
            importlib.import_module(name)
    for bits in (1024, 2048, 3072):  # kept, so that no fork has to make them again
        rsa_key(bits)
    assert not any(name.partition(".")[0] == "trustcast" for name in sys.modules)
    seconds: dict[str, float] = {}
    for line in sys.stdin:
        job = json.loads(line)
        module = job["module"]
        if module not in seconds:
            seconds[module] = _seconds_unchanged(module)
        print(json.dumps(_tried(job, seconds[module])), flush=True)


def _tried(job: dict[str, str], seconds: float) -> dict[str, str | bool] | None:
    """None where the mutant is no Python, such as one with another operator for the `|` between patterns."""
    path = DOMAIN / f"{job['module']}.py"
    operator = get_operator(job["operator"])()
    # Two sources of one size and second would be one to the cache of compiled modules.
    Path(cache_from_source(str(path))).unlink(missing_ok=True)
    with use_mutation(path, operator, int(job["occurrence"])) as (before, after):
        if not _is_python(after):
            return None
        killed = _outcome(job["module"], max(LEAST_SECONDS, PATIENCE * seconds)) != pytest.ExitCode.OK
    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    return {"killed": killed, "change": "\n".join(changed)}


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _seconds_unchanged(module: str) -> float:
    """How long the tests take without a mutant; they have to pass. Leaves what is compiled in the copy."""
    started = time.monotonic()
    if _outcome(module, 600, keeps_compiled=True) != pytest.ExitCode.OK:
        raise SystemExit(f"{module}: its tests fail without a mutant.\n{LOG.read_text()}")
    return time.monotonic() - started


def _outcome(module: str, seconds: float, *, keeps_compiled: bool = False) -> int | None:
    """What pytest exits with; None where it had to be killed after so many seconds."""
    fork = multiprocessing.get_context("fork").Process(target=_run_tests, args=(module, keeps_compiled))
    fork.start()
    fork.join(seconds)
    if fork.is_alive():
        fork.kill()
        fork.join()
        return None
    return fork.exitcode


def _run_tests(module: str, keeps_compiled: bool) -> None:
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    sys.dont_write_bytecode = not keeps_compiled
    # The same examples each time, or the score would not be the same.
    settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=(HealthCheck.too_slow,),
    )
    settings.load_profile("mutants")
    mutated = importlib.import_module(f"trustcast.domain.{module}")
    assert Path(str(mutated.__file__)).is_relative_to(Path.cwd()), "the installed module is tested, not the copy"
    os._exit(pytest.main([*OPTIONS, *tests_of(module)]))


if __name__ == "__main__":
    main()
