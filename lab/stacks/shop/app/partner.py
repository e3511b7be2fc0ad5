"""The client of the partner who takes payments."""

from __future__ import annotations

from typing import Any

import requests
from app import metrics, settings
from requests.adapters import HTTPAdapter

session: requests.Session


class PartnerError(Exception):
    """The partner refused, failed, or did not answer in time."""


def start() -> None:
    """Prepares the kept connections."""
    global session
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_connections=2, pool_maxsize=settings.PARTNER_CONNECTIONS))


def url(path: str) -> str:
    """An address at the partner."""
    return f"http://127.0.0.1:{settings.PARTNER_PORT}{path}"


def attempt(method: str, path: str, body: Any = None) -> Any:
    """One call; raises PartnerError."""
    try:
        response = session.request(method, url(path), json=body, timeout=settings.PARTNER_TIMEOUT_S)
        response.raise_for_status()
        answer = response.json()
    except requests.RequestException as error:
        metrics.partner_attempts.add(1, {"result": "failed"})
        raise PartnerError(type(error).__name__) from error
    metrics.partner_attempts.add(1, {"result": "ok"})
    return answer


def call(method: str, path: str, body: Any = None) -> Any:
    """A call with as many attempts as are allowed."""
    for left in range(settings.PARTNER_RETRIES, -1, -1):
        try:
            return attempt(method, path, body)
        except PartnerError:
            if not left:
                raise
    raise AssertionError


def charge(purchase: int, cents: int) -> str:
    """Takes a payment; the partner's reference."""
    return str(call("POST", "/charges", {"purchase": purchase, "cents": cents})["reference"])
