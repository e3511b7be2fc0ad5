"""What a file's name tells: the service that wrote it, the instance, and how it is shown."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

#: The service of a load generator's requests: outside of every server that it asks.
LOAD_GENERATOR = "load-generator"

_DATE = r"(?:19|20)\d\d[._-]?[01]\d[._-]?[0-3]\d(?:[T._-]?[0-2]\d(?:[._-]?[0-5]\d){0,2}Z?)?"
_ENDING = re.compile(rf"(?:\.(?:gz|zst|zstd|log|json|jsonl|ndjson|txt|csv|out|prom)|[._-](?:\d{{1,4}}|{_DATE}|1\d{{9}}))$", re.I)
#: Words that say what kind of file it is, not whose.
_NOISE = frozenset(
    ["access", "log", "logs", "json", "jsonl", "ndjson", "txt", "csv", "other", "vhosts", "vhost", "error", "errors", "out", "err", "current", "ssl", "tls", "stdin", "stdout", "stderr", "standard", "input", "localhost", "default", "combined", "archive"]
)
#: Folders that say where logs lie, not whose they are.
_PLACES = _NOISE | frozenset(["var", "tmp", "data", "evidence", "nginx", "apache", "apache2", "httpd", "pods", "containers", "incident", "healthy", "baseline", "before", "after"])
#: Names that end in a digit without being numbered.
_NAMES = frozenset(["http2", "http3", "oauth2", "s3", "ec2", "log4j", "python3", "ipv4", "ipv6", "h2", "k8s", "apache2", "php7", "php8"])
_IIS = re.compile(r"(?:u_)?(?:ex|in|nc)\d{6,8}(?:_x)?")
_ALB = re.compile(r"\d{12}_elasticloadbalancing_[a-z0-9-]+_(?:app|net)\.([^.]+)\.")
_CONTAINER = re.compile(r"(.+)_[a-z0-9-]+_.+-[0-9a-f]{64}")
_POD = re.compile(r"(.+?)-[0-9a-f]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}")  # Deployment: template hash and five of Kubernetes' safe letters
_HOST = re.compile(r"ip-\d{1,3}(?:-\d{1,3}){3}|\d{1,3}(?:\.\d{1,3}){3}|i-[0-9a-f]{8,17}")
_DOMAIN = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", re.I)
_NUMBERED = re.compile(r"(.*?[a-z]{2,})[-_]?\d{1,3}", re.I)


def shown(name: str) -> str:
    """``name`` as it is kept and shown: control characters and bytes that are no UTF-8 become visible escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def identify(name: str) -> tuple[str, str]:
    """``(service, instance)`` told by a file's name, "" where it does not tell.

    ``web1.access.log.2.gz`` → ``("web", "web1")``, ``downstream.access.log`` → ``("downstream", "")``, ``access.log`` →
    ``("", "")``. A name that says nothing takes the folder's inside what was given: ``logs/web1/access.log``.
    """
    path = PurePosixPath(name)
    found = _of(path.name)
    folders = [part for part in path.parts[1:-1] if part.lower() not in _PLACES]
    return found if found != ("", "") or not folders else _of(folders[-1])


def _of(name: str) -> tuple[str, str]:
    if match := _ALB.match(name):
        return match[1], ""
    stem = _stem(name)
    if match := _CONTAINER.fullmatch(stem):
        stem = match[1]
    if _IIS.fullmatch(stem.lower()) or stem.isdigit():
        return "", ""
    if match := _POD.fullmatch(stem):
        return match[1].lower(), stem.lower()
    stem = _without_noise(stem)
    if _HOST.fullmatch(stem):
        return "", stem
    host, _, domain = stem.partition(".")
    if domain and _DOMAIN.fullmatch(stem):
        numbered = _NUMBERED.fullmatch(host)
        return (numbered[1].rstrip("-_"), stem) if numbered else (stem, "")
    stem = stem.replace("_", "-").replace(".", "-")
    numbered = _NUMBERED.fullmatch(stem)
    if numbered is None or stem in _NAMES:
        return stem, ""
    service = numbered[1].rstrip("-_")
    return ("" if service in _NOISE else service), stem


def _stem(name: str) -> str:
    """``name`` without endings: compression, rotation numbers, dates, file types."""
    while match := _ENDING.search(name):
        if re.fullmatch(r"\D\d{1,4}", match[0]) and not _rotated(name[: match.start()]):
            break
        name = name[: match.start()]
    return name


def _rotated(before: str) -> bool:
    """Whether a short number behind ``before`` is a rotation's (``access.log.1``) and not the host's (``web-1``)."""
    return bool(re.search(r"(?:^|[._-])(?:log|json|csv|txt|out)$", before, re.I))


def _without_noise(stem: str) -> str:
    """``stem`` in lower case without the words that say what kind of file it is, at either end or anywhere, and dates."""
    pieces = re.split(r"([._\s-]+)", re.sub(rf"(?:^|[._-]){_DATE}(?=[._-]|$)", "", stem.lower()))
    kept = ""
    for i in range(0, len(pieces), 2):
        word = pieces[i]
        if word and word not in _NOISE and not re.fullmatch(r"\d{4,}", word):
            kept += (pieces[i - 1] if kept else "") + word
    return kept
