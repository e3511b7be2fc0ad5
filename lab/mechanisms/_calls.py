"""What the cases about calls to others have in common: readings of traces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.observed.clients import quantile
from lab.observed.spans import Span, own_ms

if TYPE_CHECKING:
    from lab.observed import Phase


def calls_ms(phase: Phase, service: str, q: float = 0.5, url: str = "") -> float:
    """A quantile (ms) of the calls from a service to others over HTTP, as the caller saw them; `url`: only those whose address matches."""
    return quantile(sorted(s.ms for s in http_calls(phase, service) if re.search(url, str(s.attributes.get("http.url") or s.attributes.get("url.full")))), q)


def http_calls(phase: Phase, service: str) -> list[Span]:
    """Client spans of a service that went over HTTP."""
    return [s for s in phase.spans(service, kind="client") if "http.method" in s.attributes or "http.request.method" in s.attributes]


def calls_each(phase: Phase, service: str, handled: str | None = None) -> float:
    """Mean number of calls over HTTP of a request that makes any; `handled`: only requests whose span has such a name."""
    made = http_calls(phase, service)
    within = {s.trace for s in (made if handled is None else phase.spans(service, handled, "server"))}
    return sum(s.trace in within for s in made) / len(within) if within else 0.0


def attempts_each(phase: Phase, service: str) -> float:
    """Mean number of attempts of a call over HTTP: calls to one address within a request are attempts of one call."""
    made = http_calls(phase, service)
    calls = {(s.trace, s.parent, s.attributes.get("http.url") or s.attributes.get("url.full")) for s in made}
    return len(made) / len(calls) if calls else 0.0


def caller(phase: Phase) -> str:
    """The service that calls another one over HTTP, more than any other."""
    found = [s.service for s in phase.spans(kind="client") if "http.method" in s.attributes or "http.request.method" in s.attributes]
    return max(set(found), key=found.count) if found else ""


def own_with_calls(phase: Phase, service: str, q: float = 0.5) -> float:
    """A quantile (ms) of a service's own time in requests that make calls over HTTP: what no call and no step below explains."""
    making = {s.trace for s in http_calls(phase, service)}
    served = [s for s in phase.spans(service, kind="server") if s.trace in making]
    return quantile(sorted(own_ms(phase.all_spans, served)), q)
