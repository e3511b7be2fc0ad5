"""nginx configuration: directives with the block in which they hold (nginx.org, "Beginner's Guide", structure; modules http_core, proxy, upstream).

An ``upstream`` block gives its servers (not those that are ``down`` or ``backup``) and its keepalive. ``if``, ``map`` and other blocks of values
are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from perfaudit.evidence import settings
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._settings import Settings, text

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "nginx configuration"
VERSION = 1
TABLES = ("settings",)
_DIRECTIVE = re.compile(rb"\s*+(?:[a-z_0-9]++[^;{}#]*+[;{]|[#}'\"]|[^=:;]*+;)")
_TELLING = re.compile(rb"(?m)^[ \t]*+(?:worker_processes|worker_connections|upstream\s+\S+\s*\{|proxy_\w+_timeout|proxy_pass|proxy_next_upstream\w*|keepalive_timeout|keepalive)\b")
_TOKEN = re.compile(r"#[^\n]*|'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\"|[;{}]|\n|[^\s;{}'\"#][^\s;{}]*+|['\"]", re.S)
_BLOCKS = frozenset({"http", "events", "server", "location", "upstream", "stream", "mail"})
_KEPT = frozenset({"proxy_next_upstream", "proxy_next_upstream_timeout", "proxy_http_version", "keepalive_requests", "client_body_timeout", "client_header_timeout", "send_timeout"})


def sniff(sample: Sample) -> Recognised | None:
    """By lines that end as directives do, and one directive that no other product has."""
    if not sample.lines or not _TELLING.search(sample.head):
        return None
    fitting = sum(_DIRECTIVE.match(line) is not None for line in sample.lines)
    return Recognised(0.85) if fitting >= 0.8 * len(sample.lines) else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each directive that is known."""
    lines = text(source, sink)
    found = Settings(source, sink, options, "nginx")
    for scope, words, line in _directives("\n".join(lines)):
        _one(found, scope, words, line)
    found.close()
    sink.parsed(len(lines))


def _directives(config: str) -> Iterator[tuple[list[str], list[str], int]]:
    """``(blocks, words, line)`` of each simple directive."""
    blocks: list[str] = []
    words: list[str] = []
    line = began = 1
    for match in _TOKEN.finditer(config):
        token = match[0]
        if token == "{":
            blocks.append(" ".join(words)[:120])
            words = []
        elif token == "}":
            blocks, words = blocks[:-1], []
        elif token == ";":
            if words:
                yield blocks, words, began
            words = []
        elif token != "\n" and not token.startswith("#"):
            began = began if words else line
            words.append(token[1:-1] if token[0] in "'\"" and len(token) > 1 else token)
        line += token.count("\n")


def _one(found: Settings, blocks: list[str], words: list[str], line: int) -> None:
    name, value = words[0], words[1] if len(words) > 1 else ""
    inner = blocks[-1].split(" ", 1)[0] if blocks else ""
    if inner and inner not in _BLOCKS:
        return
    scope = " / ".join(b for b in blocks if b not in ("http", "events", "server", "stream"))
    if inner == "upstream" and name == "server":
        if not {"down", "backup"} & set(words[2:]):
            found.add("server", value, line, scope=scope)
        for word in words[2:]:
            if word.startswith("max_conns="):
                found.add("max_conns", word.partition("=")[2], line, scope=scope)
    elif inner == "upstream" and name == "keepalive_timeout":
        found.add("upstream keepalive_timeout", value, line, scope=scope)
    elif (name in settings.names("nginx") and name not in ("server", "max_conns")) or name in _KEPT:
        found.add(name, value, line, scope=scope)
