"""A private PostgreSQL: its data folder comes from a template that is initialised and seeded once for each vocabulary and size."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.processes import Component, Run, lock
from lab.stacks.shop import data

if TYPE_CHECKING:
    import psycopg

#: What a careful team sets. The slow-statement limits are low because a 20 ms scan can own a database (6 of 10 teams log from 100 ms and miss it).
SETTINGS: dict[str, Any] = {
    "listen_addresses": "127.0.0.1", "max_connections": 60, "shared_buffers": "64MB", "work_mem": "4MB", "timezone": "UTC", "log_timezone": "UTC",
    "shared_preload_libraries": "pg_stat_statements,auto_explain", "pg_stat_statements.track": "top", "track_io_timing": "on", "log_lock_waits": "on",
    "deadlock_timeout": "250ms", "log_min_duration_statement": "15ms", "auto_explain.log_min_duration": "15ms", "auto_explain.log_format": "json",
    "auto_explain.log_analyze": "on", "auto_explain.log_buffers": "on", "auto_explain.log_timing": "off", "auto_explain.sample_rate": "0.1",
    "auto_explain.log_parameter_max_length": "0",
    "log_temp_files": "0", "log_checkpoints": "on", "log_autovacuum_min_duration": "0", "log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0", "logging_collector": "on",
    "log_directory": "log", "log_filename": "postgresql.log", "log_file_mode": "0644", "log_rotation_age": "0", "log_rotation_size": "0",
    "max_wal_size": "1GB", "synchronous_commit": "on", "autovacuum_naptime": "10s",
}  # fmt: skip


class Postgres:
    """One server of one recording."""

    def __init__(self, run: Run, words: Mapping[str, str], counts: Mapping[str, int], salt: int, log_format: str, settings: Mapping[str, Any] | None = None) -> None:
        self.run, self.words, self.counts, self.salt = run, words, counts, salt
        self.port = run.port()
        self.home = run.home("postgres")
        self.folder = self.home / "data"
        self.log_format = log_format
        self.settings = {**SETTINGS, "log_destination": log_format, "log_line_prefix": "%m [%p] %q%u@%d %a ", **(settings or {})}
        self.component: Component | None = None
        self._admin: psycopg.Connection[tuple[Any, ...]] | None = None

    @property
    def log(self) -> Path:
        """The server's log in its format."""
        return self.folder / "log" / {"stderr": "postgresql.log", "csvlog": "postgresql.csv", "jsonlog": "postgresql.json"}[self.log_format]

    @property
    def where(self) -> str:
        """Connection string of the administrator, straight to the server."""
        return f"host=127.0.0.1 port={self.port} user=admin dbname={self.words['database']}"

    def start(self) -> None:
        """Copies the template (making it the first time) and starts the server on it."""
        template = self._template()
        if not self.folder.exists():
            self.run.tool(["cp", "-a", "--reflink=auto", template, self.folder], timeout=60)
        self._configure(self.folder)
        self._serve()

    def restart(self, **settings: Any) -> None:
        """Stops the server and starts it with other settings."""
        self.settings.update(settings)
        self.stop()
        self._configure(self.folder)
        self._serve()

    def stop(self) -> None:
        """A fast shutdown: open transactions are rolled back."""
        if self._admin:
            self._admin.close()
            self._admin = None
        if self.component:
            self.component.stop(signal.SIGINT)

    def ask(self, statement: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a statement, each committed by itself."""
        import psycopg

        if self._admin is None or self._admin.closed:
            self._admin = psycopg.connect(self.where, autocommit=True, application_name="psql")
        with self._admin.cursor() as cursor:
            cursor.execute(statement, args or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def _serve(self) -> None:
        self.component = self.run.start("postgres", ["postgres", "-D", self.folder, "-k", self.home], ready=self._ready, stop=signal.SIGINT, timeout=30)

    def _ready(self) -> bool:
        done = subprocess.run(["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], env=self.run.env(), check=False)
        return done.returncode == 0

    def _configure(self, folder: Path) -> None:
        lines = [f"{name} = '{value}'" for name, value in {**self.settings, "port": self.port}.items()]
        file = folder / "postgresql.auto.conf"
        file.write_text("\n".join(lines) + "\n")
        if os.getuid() == 0:
            os.chown(file, self.run.user.pw_uid, self.run.user.pw_gid)

    def _template(self) -> Path:
        script = data.script(self.words, self.counts, self.salt)
        version = self.run.tool(["postgres", "--version"])
        key = hashlib.sha256(json.dumps([script, version, self.words["user"]]).encode()).hexdigest()[:16]
        template = self.run.cache / f"postgres-{key}"
        with lock(self.run.cache / "postgres.lock"):
            if template.is_dir():
                return template
            making = self.run.home("postgres-template") / "data"
            self.run.tool(["initdb", "-D", making, "-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], timeout=60)
            (making / "postgresql.auto.conf").write_text("max_wal_size = '2GB'\nfsync = off\nshared_buffers = '256MB'\n")
            prepare = f"CREATE USER {self.words['user']}; CREATE DATABASE {self.words['database']};"
            single = ["postgres", "-D", making, "-k", self.home, "-p", self.port, "-c", "listen_addresses=127.0.0.1"]
            server = self.run.start("postgres-template", single, ready=self._ready, stop=signal.SIGINT, timeout=30)
            psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.port, "-U", "admin"]
            self.run.tool([*psql, "-d", "postgres"], input=prepare)
            self.run.tool([*psql, "-d", self.words["database"], "-o", "/dev/null"], input=script, timeout=180)
            self.run.tool([*psql, "-d", self.words["database"]], input="CREATE EXTENSION pg_stat_statements; GRANT pg_monitor TO " + self.words["user"] + ";\nVACUUM ANALYZE;\nCHECKPOINT;", timeout=60)
            server.stop(timeout=60)
            (making / "postgresql.auto.conf").unlink()
            shutil.move(making, template)
        return template
