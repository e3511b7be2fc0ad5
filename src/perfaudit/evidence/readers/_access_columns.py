"""What the readers of access logs share: nullable and symbol columns, upstream tries, client keys, trace ids, zones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from perfaudit.kernels.siphash import siphash

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_MAX_CLIENTS = 200_000
_LIST = re.compile(r"\s*[,:]\s*")
_PORT = re.compile(r"^(\d+\.\d+\.\d+\.\d+):\d+$|^\[([0-9A-Fa-f:.%]+)\](?::\d+)?$")


class ClientKeys:
    """Keyed hashes of client addresses (the text as logged, without port), remembered for a bounded number."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, int | None] = {}

    def __call__(self, address: Any) -> int | None:
        """The key of the first address in ``address`` (a list, as of X-Forwarded-For); None for ``-``, "" and what is no text."""
        if not isinstance(address, str):
            return None
        if address not in self._known:
            if len(self._known) >= _MAX_CLIENTS:
                self._known.clear()
            self._known[address] = self._hash(address)
        return self._known[address]

    def _hash(self, address: str) -> int | None:
        first = address.split(",", 1)[0].strip()
        port = _PORT.match(first)
        if port:
            first = port[1] or port[2]
        return None if first in ("", "-") else siphash(self._key, first.encode("utf-8", "replace"))


class Symbols:
    """A bounded table of strings with few distinct values; further ones become ``overflow``."""

    def __init__(self, limit: int, overflow: str) -> None:
        self.values: list[str] = []
        self._limit, self._overflow = limit, overflow
        self._codes: dict[str | None, int] = {None: -1}

    def encode(self, texts: Sequence[str | None]) -> pa.DictionaryArray:
        """A dictionary column of ``texts``, None as null."""
        import numpy as np

        return self.column(np.array(self.codes(texts), np.int32), self.values)

    def codes(self, texts: Iterable[str | None]) -> list[int]:
        """The codes of ``texts``, -1 for None."""
        codes = self._codes
        return [codes[t] if t in codes else self._add(t) for t in texts]

    def _add(self, text: str | None) -> int:
        if len(self.values) >= self._limit:
            text = self._overflow
        if text not in self._codes:
            self._codes[text] = len(self.values)
            self.values.append(str(text))
        return self._codes[text]

    @staticmethod
    def column(codes: np.ndarray[Any, Any], values: Sequence[str]) -> pa.DictionaryArray:
        """A dictionary column from int32 ``codes`` (negative: null) into distinct ``values``."""
        import pyarrow as pa

        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=codes < 0), pa.array(values, pa.string()))


def trace_id(value: Any) -> str | None:
    """A trace identifier in lower case: of a W3C ``traceparent`` its second part, else as logged; None for ``-`` and what is no text."""
    if not isinstance(value, str) or value in ("", "-"):
        return None
    text = value[3:35] if len(value) == 55 and value[2] == "-" and value[35] == "-" else value[:200]
    return text.lower()


def parse_tries(text: str) -> list[float | None]:
    """Upstream times as nginx lists them, in seconds: ``0.1, 0.2 : 0.3`` is three tries, ``-`` and "" are none.

    A ``-`` beside numbers is a try without a time (ngx_http_upstream_module: servers are separated by commas, groups by colons).
    Raises ``ValueError`` for anything else.
    """
    text = text.strip()
    if text in ("", "-"):
        return []
    return [None if item == "-" else float(item) for item in _LIST.split(text)]


def nullable(values: np.ndarray[Any, Any], null: np.ndarray[Any, Any] | None) -> Any:
    """``values`` as a pyarrow array with nulls where ``null``; the array itself when nothing is null."""
    import pyarrow as pa

    return values if null is None or not null.any() else pa.array(values, mask=null)


def filled(column: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """``(values with 0 for null, where there is a value)`` of what :func:`nullable` gave."""
    import numpy as np

    if isinstance(column, np.ndarray):
        return column, np.ones(len(column), bool)
    return column.fill_null(0).to_numpy(zero_copy_only=False), column.is_valid().to_numpy(zero_copy_only=False)


class Zone:
    """Local clock times of a log without zone, as UTC; ``note`` says what was assumed."""

    def __init__(self, name: str | None) -> None:
        self._zone: ZoneInfo | None = None
        self.note = "its times carry no zone and are read as UTC; say otherwise with --timezone SOURCE=Zone"
        if name:
            try:
                self._zone = ZoneInfo(name)
                self.note = f"its times carry no zone and are read as {name}"
            except (ZoneInfoNotFoundError, ValueError):
                self.note = f"unknown time zone {name[:60]!r}; its times are read as UTC"

    def to_utc(self, local: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Local µs → UTC µs. Offsets change on quarter hours; of a repeated hour the first is taken."""
        import numpy as np

        if self._zone is None or not len(local):
            return local
        quarters, where = np.unique(local // 900_000_000, return_inverse=True)
        return np.asarray(local - np.array([self._offset(int(q)) for q in quarters], np.int64)[where])

    def _offset(self, quarter: int) -> int:
        from datetime import UTC, datetime

        moment = datetime.fromtimestamp(quarter * 900, UTC).replace(tzinfo=self._zone)
        offset = moment.utcoffset()
        return int(offset.total_seconds() * 1e6) if offset else 0
