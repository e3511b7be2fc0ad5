"""Views that SQL cannot say: made by Python when a query first names them, as Parquet in a temporary folder.

Each is a module of :mod:`perfaudit.evidence.views`, named after its view, with ``READS`` (tables), ``COLUMNS`` (``name → (DuckDB type, meaning)``) and
``write(bundle, path)``. Found by folder; light to import.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Callable
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from perfaudit.errors import QueryError

if TYPE_CHECKING:
    import duckdb

    from perfaudit.evidence.bundle import Bundle


@cache
def discover() -> dict[str, ModuleType]:
    """The computed views by name."""
    files = resources.files("perfaudit.evidence").joinpath("views").iterdir()
    names = sorted(f.name[:-3] for f in files if f.name.endswith(".py") and not f.name.startswith("_"))
    return {name: import_module(f"perfaudit.evidence.views.{name}") for name in names}


class Computed:
    """The computed views of one bundle. The folder goes with the object, or with the process."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._home = ""
        self._made: set[str] = set()

    @property
    def folder(self) -> str:
        """Where their files lie, without links; made at first use."""
        if not self._home:
            self._home = str(Path(tempfile.mkdtemp(prefix="perfaudit-views-")).resolve())
            weakref.finalize(self, shutil.rmtree, self._home, ignore_errors=True)
        return self._home

    def make(self, sql: str, connection: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        """Make the views that ``sql`` names and that are not there yet. Raises :class:`QueryError` when what they read is damaged, or the disk full."""
        missing = discover().keys() - self._made
        if not missing:
            return
        for name in sorted(missing & set(re.findall(r"[a-z_]+", sql.lower()))):
            self._write(name, connection)
            self._made.add(name)

    def _write(self, name: str, connection: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        import duckdb
        import pyarrow as pa

        path = Path(self.folder) / f"{name}.parquet"
        try:
            discover()[name].write(self.bundle, path)
            quoted = str(path).replace("'", "''")
            connection().execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{quoted}')")
        except (pa.ArrowException, duckdb.Error, OSError) as error:
            todo = f"it is read from {', '.join(discover()[name].READS)}: look whether these can be read"
            raise QueryError(f"{name} cannot be made: {' '.join(str(error).split())[:400]}", where="SQL", todo=todo) from error
