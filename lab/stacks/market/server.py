"""MariaDB as an unprivileged process in a folder of the recording's own, copied from a template that was filled once."""

from __future__ import annotations

import fcntl
import hashlib
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql

from lab.processes import Run
from lab.stacks.market import data

if TYPE_CHECKING:
    from lab.processes import Component

#: Options of every start; `MariaDB.options` overrides them.
OPTIONS: dict[str, Any] = {
    "bind-address": "127.0.0.1", "skip-name-resolve": "ON", "character-set-server": "utf8mb4", "default-time-zone": "+00:00",
    "performance-schema": "ON", "performance-schema-instrument": "wait/lock/metadata/sql/mdl=ON", "performance-schema-digests-size": 400,
    "slow-query-log": "ON", "long-query-time": 0.015, "log-slow-verbosity": "query_plan,explain,innodb", "innodb-print-all-deadlocks": "ON",
    "innodb-buffer-pool-size": "96M", "innodb-log-file-size": "64M", "innodb-log-buffer-size": "8M", "innodb-flush-log-at-trx-commit": 1,
    "innodb-lock-wait-timeout": 20, "lock-wait-timeout": 60, "max-connections": 80, "thread-cache-size": 32, "table-open-cache": 400,
    "key-buffer-size": "1M", "aria-pagecache-buffer-size": "8M", "log-warnings": 2,
    "innodb-buffer-pool-dump-at-shutdown": "ON", "innodb-buffer-pool-dump-pct": 100, "innodb-buffer-pool-load-at-startup": "ON",
}  # fmt: skip


class MariaDB:
    """The server. `options` are mariadbd's own, without dashes in front; `counts` rows of the tables (see data.COUNTS)."""

    def __init__(self, run: Run, words: Mapping[str, str], counts: Mapping[str, int], salt: int, options: Mapping[str, Any] | None = None) -> None:
        self.run, self.words, self.port = run, words, run.port()
        self.options = {**OPTIONS, **(options or {})}
        self.counts, self.salt = {**data.COUNTS, **counts}, salt
        self.home = run.home("mariadb")
        self.folder, self.slow_log, self.error_log = self.home / "data", self.home / "slow.log", self.home / "error.log"
        self.component: Component | None = None

    def start(self) -> Component:
        """Copies the template where there is no data yet, and starts the server on it."""
        if not self.folder.is_dir():
            template = self._template()
            self.run.tool(["cp", "-a", "--reflink=auto", template, self.folder], timeout=60)
        files = {"slow-query-log-file": self.slow_log, "log-error": self.error_log}
        self.component = self._serve(self.run, "mariadb", self.folder, self.port, {**self.options, **files})
        return self.component

    def ask(self, statement: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """Runs a statement as administrator; it commits by itself."""
        with pymysql.connect(**self.where, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            return list(cursor.fetchall())

    @property
    def where(self) -> dict[str, Any]:
        """How an administrator connects, straight to the server."""
        return {"host": "127.0.0.1", "port": self.port, "user": "root", "database": self.words["database"]}

    def _template(self) -> Path:
        text = data.script(self.words, self.counts, self.salt)
        folder = self.run.cache / f"mariadb-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        with (self.run.cache / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                self._make(folder, text)
        return folder

    def _make(self, folder: Path, text: str) -> None:
        raw = self.run.home("mariadb-template") / "data"
        self.run.tool(["mariadb-install-db", "--no-defaults", f"--datadir={raw}", "--auth-root-authentication-method=normal", "--skip-test-db"], timeout=90)
        port = self.run.port()
        fast = {**OPTIONS, "innodb-flush-log-at-trx-commit": 0, "innodb-buffer-pool-size": "256M", "slow-query-log": "OFF", "performance-schema": "OFF", "innodb-doublewrite": "OFF"}
        server = self._serve(self.run, "mariadb-template", raw, port, fast)
        user, database = self.words["user"], self.words["database"]
        rights = f"CREATE USER '{user}'@'127.0.0.1'; GRANT ALL ON {database}.* TO '{user}'@'127.0.0.1'; GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
        self.run.tool(["mariadb", "--no-defaults", "-uroot", "-h127.0.0.1", f"-P{port}"], input=text + rights, timeout=180)
        server.stop(signal.SIGTERM, 60)
        self.run.tool(["cp", "-a", raw, f"{folder}.new"], timeout=60)
        Path(f"{folder}.new").rename(folder)

    @staticmethod
    def _serve(run: Run, name: str, folder: Path, port: int, options: Mapping[str, Any]) -> Component:
        home = run.home(name)
        given = [f"--{key}={value}" for key, value in options.items()]
        own = [f"--datadir={folder}", f"--socket={home / 's.sock'}", f"--pid-file={home / 'pid'}", f"--tmpdir={home}", f"--port={port}"]
        return run.start(name, ["mariadbd", "--no-defaults", *own, *given], ready=port, timeout=40)
