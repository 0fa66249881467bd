"""What Trustcast has is asked, and what it has not is sent, over HTTP: environments, tenants, certificates."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx

from trustcast.domain.policy import Warning  # noqa: A004 - the word of the contract
from trustcast_cli import client as api_client
from trustcast_cli.api_manager import Environment
from trustcast_cli.wso2.candidates import Candidate
from trustcast_cli.wso2.comparing import Held, present
from trustcast_cli.wso2.report import Line, Made, Outcome, Problem

AT_ONCE = 8
_WAIT_SECONDS = 30
_DECIDED_WITHIN = 120.0
_ATTEMPTS = 4
_PAUSE_SECONDS = 2.0  # what the api's Retry-After says
_OUTCOME_OF: dict[int, Outcome] = {
    httpx.codes.CONFLICT: Outcome.CONFLICT,
    httpx.codes.SERVICE_UNAVAILABLE: Outcome.FAILED,
}


@dataclass(frozen=True, slots=True)
class Trustcast:
    """The api, through `client`, which carries the address and an administrator's token.

    `run` tells this run from every other: what was refused once may be let in later, when a setting was changed, so
    an Idempotency-Key must not bring back the verdict of an earlier run. Within the run it makes repeats harmless.
    """

    client: httpx.Client
    run: str
    pause: Callable[[float], None] = field(default=time.sleep)

    def tenants(self) -> dict[int, str]:
        """Return id -> domain. Raises `CannotRun`."""
        return {one["id"]: one["domain"] for one in api_client.pages(self.client, "/v1/tenants", "tenants")}

    def environments(self) -> dict[str, str]:
        """Return name -> type. Raises `CannotRun`."""
        listed = api_client.ask(self.client, "GET", "/v1/environments").json()["environments"]
        return {one["name"]: one["type"] for one in listed}

    def certificates(self, domain: str) -> list[Held]:
        """Return all that a tenant has. Raises `CannotRun`."""
        listed = api_client.pages(self.client, "/v1/certificates", "certificates", headers=_of_tenant(domain))
        return [_held(one) for one in listed]

    def put_environment(self, one: Environment) -> Problem | None:
        """Create it; return why not."""
        return self._put("environments", one.name, {"type": one.type, "description": one.description})

    def put_tenant(self, tenant_id: int, domain: str) -> Problem | None:
        """Create it; return why not."""
        return self._put("tenants", str(tenant_id), {"domain": domain, "on_expiry": "keep"})

    def send(self, one: Candidate) -> Line:
        """Ask for the certificate to be trusted, wait for the verdict and say what it is."""
        try:
            answer = self._decided(self._posted(one), one.line.tenant)
            return self._refused(one, answer) if answer.is_error else _accepted(one.line, answer.json())
        except httpx.TransportError as error:
            problem = Problem("unreachable", f"The api does not answer: {error}.", "Run the same again.")
            return replace(one.line, outcome=Outcome.FAILED, problems=(problem,))

    def _posted(self, one: Candidate) -> httpx.Response:
        fields = {"alias": one.alias, "endpoint": one.endpoint}
        fields |= {"ca": "true"} if one.ca else {}
        fields |= {"accept_expired": "true"} if one.expired else {}
        certificate = {"certificate": ("certificate.der", one.certificate.der, "application/pkix-cert")}
        headers = _of_tenant(one.line.tenant) | {
            "Idempotency-Key": self._key(one.line.tenant, one.alias_key, one.certificate.fingerprint_sha256),
            "Prefer": f"wait={_WAIT_SECONDS}",
        }
        return self._patiently("POST", "/v1/certificates", data=fields, files=certificate, headers=headers)

    def _decided(self, answer: httpx.Response, tenant: str) -> httpx.Response:
        """Follow an operation that was accepted and not decided while the api waited."""
        until = time.monotonic() + _DECIDED_WITHIN
        location = answer.headers.get("Location", "")
        while answer.status_code == httpx.codes.ACCEPTED and time.monotonic() < until:
            self.pause(_PAUSE_SECONDS)
            told = self._patiently("GET", location, headers=_of_tenant(tenant))
            if told.is_error or told.json()["state"] in {"applied", "rejected", "failed"}:
                return told
        return answer

    def _refused(self, one: Candidate, answer: httpx.Response) -> Line:
        problem = _problem(answer)
        if problem.code == "alias_exists":  # by an earlier run that was interrupted, or one beside this
            path = f"/v1/certificates/{quote(one.alias, safe='')}"
            there = self._patiently("GET", path, headers=_of_tenant(one.line.tenant))
            if there.is_success and there.json()["fingerprint_sha256"] == one.line.fingerprint_sha256:
                return present(one, _held(there.json()))
        outcome = _OUTCOME_OF.get(answer.status_code, Outcome.REFUSED)
        return replace(one.line, outcome=outcome, problems=(problem,))

    def _put(self, kind: str, name: str, body: Mapping[str, Any]) -> Problem | None:
        headers = {"Idempotency-Key": self._key(kind, name)}
        answer = self._patiently("PUT", f"/v1/{kind}/{quote(name, safe='')}", json=body, headers=headers)
        return _problem(answer) if answer.is_error else None

    def _patiently(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send, and again if the api cannot be reached or asks for it; the key makes that harmless."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self.client.request(method, path, **options)
            except httpx.TransportError:
                if attempt == _ATTEMPTS:
                    raise
            else:
                if attempt == _ATTEMPTS or not _asks_for_patience(answer):
                    return answer
            self.pause(_PAUSE_SECONDS)
        raise AssertionError("the last attempt returns or raises")

    def _key(self, *what: str) -> str:
        return hashlib.sha256("\0".join(("import wso2", self.run, *what)).encode()).hexdigest()


def made_environments(api: Trustcast, named: Sequence[Environment], *, dry_run: bool) -> list[Made]:
    """Create the environments that are not there; one of another type is never changed."""
    there = api.environments() if named else {}
    return [_environment(api, one, there, dry_run=dry_run) for one in named]


def made_tenants(api: Trustcast, wanted: Mapping[int, str], there: Mapping[int, str], *, dry_run: bool) -> list[Made]:
    """Create the tenants that are not there (`wanted`: id -> domain); those that are stay as they are."""
    return [_tenant(api, tenant_id, domain, there, dry_run=dry_run) for tenant_id, domain in sorted(wanted.items())]


def sent(api: Trustcast, candidates: Iterable[Candidate], *, advance: Callable[[], None]) -> dict[Candidate, Line]:
    """Send several at a time; `advance` is called after each.

    Those of one endpoint go one after the other, the one that lasts longest first: where only one of them is let in,
    it shall be that one.
    """
    by_endpoint: dict[tuple[int, str], list[Candidate]] = defaultdict(list)
    for one in candidates:
        by_endpoint[one.line.tenant_id, one.endpoint].append(one)

    def in_turn(group: list[Candidate]) -> list[tuple[Candidate, Line]]:
        lines = []
        for one in sorted(group, key=lambda each: each.certificate.not_after, reverse=True):
            lines.append((one, _advised(api.send(one), len(group))))
            advance()
        return lines

    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return {one: line for lines in pool.map(in_turn, by_endpoint.values()) for one, line in lines}
    finally:
        pool.shutdown(cancel_futures=True)  # what waits is not begun any more after Ctrl-C


def _environment(api: Trustcast, one: Environment, there: Mapping[str, str], *, dry_run: bool) -> Made:
    if there.get(one.name) == one.type:
        return Made(one.name, one.type, Outcome.PRESENT)
    if one.name in there:
        detail = f"Trustcast has this environment as {there[one.name]}; it stays so."
        advice = "`trustcast environments import FILE` gives it the file's type."
        return Made(one.name, one.type, Outcome.CONFLICT, Problem("environment_differs", detail, advice))
    problem = None if dry_run else api.put_environment(one)
    return Made(one.name, one.type, Outcome.REFUSED if problem else Outcome.IMPORTED, problem)


def _tenant(api: Trustcast, tenant_id: int, domain: str, there: Mapping[int, str], *, dry_run: bool) -> Made:
    """One tenant's certificates must not become another's because the two installations counted differently."""
    if there.get(tenant_id) == domain:
        return Made(str(tenant_id), domain, Outcome.PRESENT)
    if tenant_id in there:
        detail = f"The tenant {tenant_id} is {there[tenant_id]} in Trustcast, and here it is {domain}."
        advice = f"If they are the same, say so: --tenant {tenant_id}={there[tenant_id]}."
        return Made(str(tenant_id), domain, Outcome.CONFLICT, Problem("tenant_differs", detail, advice))
    if other := next((id_ for id_, name in there.items() if name == domain), None):
        detail = f"{domain} is the tenant {other} in Trustcast, and here it is the tenant {tenant_id}."
        advice = f"Give it a domain of its own here: --tenant {tenant_id}=DOMAIN."
        return Made(str(tenant_id), domain, Outcome.CONFLICT, Problem("tenant_domain_taken", detail, advice))
    problem = None if dry_run else api.put_tenant(tenant_id, domain)
    return Made(str(tenant_id), domain, Outcome.REFUSED if problem else Outcome.IMPORTED, problem)


def _of_tenant(domain: str) -> dict[str, str]:
    return {"Trustcast-Tenant": domain}


def _held(certificate: Mapping[str, Any]) -> Held:
    return Held(certificate["alias"], certificate["endpoint"], certificate["fingerprint_sha256"])


def _asks_for_patience(answer: httpx.Response) -> bool:
    """A 503 that names an operation is that operation's end, and stays what it is."""
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "operation" not in _body(answer)


def _accepted(line: Line, operation: Mapping[str, Any]) -> Line:
    if operation["state"] == "applied":
        told = tuple(Warning(one["code"], one["detail"]) for one in operation["warnings"])
        codes = {one.code for one in told}
        notes = tuple(note for note in line.warnings if note.code not in codes)
        return replace(line, outcome=Outcome.IMPORTED, operation=operation["id"], warnings=(*notes, *told))
    problem = Problem("undecided", "It is accepted, but not decided yet.", "Run the same again later.")
    if operation["problem"] is not None:
        problem = Problem(operation["problem"]["code"], operation["problem"]["detail"])
    outcome = Outcome.REFUSED if operation["state"] == "rejected" else Outcome.FAILED
    return replace(line, outcome=outcome, operation=operation["id"], problems=(problem,))


def _advised(line: Line, at_endpoint: int) -> Line:
    """Say which setting stands in the way."""
    if not any(problem.code == "endpoint_has_certificate" for problem in line.problems):
        return line
    advice = (
        f"Set TRUSTCAST_CERTIFICATES_PER_ENDPOINT={max(at_endpoint, 2)} (or unlimited) for the worker, start it anew, "
        "and run the same again."
    )
    # The api's further sentences say what else could be done; here one thing is to be done, and it is said once.
    problems = (
        replace(problem, detail=problem.detail.partition(". ")[0].rstrip(".") + ".", advice=advice)
        for problem in line.problems
    )
    return replace(line, problems=tuple(problems))


def _problem(answer: httpx.Response) -> Problem:
    body = _body(answer)
    said = " ".join(
        f"{error['field']}: {error['detail']}" if error["field"] else error["detail"]
        for error in body.get("errors", [])
        if error["code"] != body["code"]
    )
    return Problem(body.get("code", f"http_{answer.status_code}"), said or body.get("detail", answer.reason_phrase))


def _body(answer: httpx.Response) -> Any:
    """A proxy in between may answer anything."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
