"""Views that SQL cannot say: made by Python when a query first names them, as Parquet in a temporary folder.

Each is a module of :mod:`perfaudit.evidence.views`, named after its view, with ``READS`` (tables), ``COLUMNS`` (``name → (DuckDB type, meaning)``) and
``write(bundle, path)``. Found by folder; light to import.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

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

    def make(self, sql: str, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the views that ``sql`` names and that are not there yet."""
        missing = discover().keys() - self._made
        if not missing:
            return
        for name in sorted(missing & set(re.findall(r"[a-z_]+", sql.lower()))):
            path = Path(self.folder) / f"{name}.parquet"
            discover()[name].write(self.bundle, path)
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{str(path).replace(chr(39), chr(39) * 2)}')")
            self._made.add(name)
