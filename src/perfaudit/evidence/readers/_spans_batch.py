"""Spans as columns: what a reader hands to the table of spans, and the form of identifiers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers._spans_attributes import Said

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

#: No number.
NULL = -(1 << 63)
#: Links and exceptions of a span that are kept.
LINKS, EXCEPTIONS = 32, 8

_HEX = re.compile(r"[0-9a-fA-F]{1,32}")
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_SILENT = Said()


@dataclass(eq=False)
class Owner:
    """What runs spans: its service and what the attributes of its resource say. ``known`` is None where the text that says so
    comes behind its spans."""

    service: str | None = None
    said: Said = _SILENT
    known: Owner | None = None


@dataclass
class Batch:
    """Columns of spans in the making, one entry for each span. Ids are lists or columns. ``names`` are codes of operations, ``words`` indices in
    :attr:`Reading.words`, ``numbers`` a column for each of :data:`NUMBERS` (:data:`NULL`: none), ``owner`` indices in ``owners``; ``starts`` and ``ends`` are in
    units of which a µs has ``per_us``, an end of -1 is not known; ``kinds`` and ``statuses`` are codes (-1: not said). The rest is sparse, by row."""

    traces: Any
    spans: Any
    parents: Any
    names: Array
    words: Array
    numbers: Array
    owner: Array
    owners: list[Owner]
    starts: Array
    ends: Array
    kinds: Array
    statuses: Array
    links: dict[int, list[str]] = field(default_factory=dict)
    exceptions: dict[int, list[str]] = field(default_factory=dict)
    weights: dict[int, float] = field(default_factory=dict)
    shared: Array | None = None


def merged(batches: list[Batch]) -> Batch:
    """Batches behind one another."""
    import numpy as np
    import pyarrow as pa

    if len(batches) == 1:
        return batches[0]
    sizes = [len(batch.starts) for batch in batches]
    owners = np.cumsum([0, *(len(batch.owners) for batch in batches[:-1])])
    firsts = np.cumsum([0, *sizes[:-1]]).tolist()

    def joined(name: str) -> Any:
        return np.concatenate([getattr(batch, name) for batch in batches])

    def ids(name: str) -> pa.Array:
        return pa.concat_arrays([identifiers(getattr(batch, name)) for batch in batches])

    def sparse(name: str) -> dict[int, Any]:
        return {first + row: value for first, batch in zip(firsts, batches, strict=True) for row, value in getattr(batch, name).items()}

    shared = None if all(batch.shared is None for batch in batches) else np.concatenate([np.zeros(n, bool) if b.shared is None else b.shared for n, b in zip(sizes, batches, strict=True)])
    return Batch(
        ids("traces"), ids("spans"), ids("parents"), joined("names"), joined("words"), joined("numbers"), joined("owner") + np.repeat(owners, sizes), [o for b in batches for o in b.owners],
        joined("starts"), joined("ends"), joined("kinds"), joined("statuses"), sparse("links"), sparse("exceptions"), sparse("weights"), shared,
    )  # fmt: skip


def identifiers(values: Any) -> pa.Array:
    """Ids as a column: most are lower-case hex of full length and stay as they are; see :func:`identifier`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, pa.Array):
        return values
    column = pa.array(values, pa.string())
    lengths = pc.fill_null(pc.binary_length(column), 16).to_numpy()
    lower = pc.ascii_lower(column)
    if np.isin(lengths, (16, 32)).all() and not pc.any(pc.starts_with(column, "00000000")).as_py() and lower.equals(column):
        return column
    return pa.array([None if v is None else identifier(v) for v in values], pa.string())


def identifier(text: str) -> str | None:
    """An id: hexadecimal in lower case with its leading zeros, from base64 where protobuf's JSON wrote it so; anything else is an
    opaque string. None for "" and for zero, which mean "none"."""
    if _HEX.fullmatch(text):
        text = text.lower()
        return text.zfill(16 if len(text) <= 16 else 32) if text.strip("0") else None
    if len(text) in (12, 24) and text.endswith("="):
        try:
            data = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if len(data) in (8, 16):
            return data.hex() if any(data) else None
    text = _UNPRINTABLE.sub("?", text)
    return text if len(text) <= 64 else hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
