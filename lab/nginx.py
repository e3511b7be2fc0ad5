"""The front door: nginx as an unprivileged user, with an access log in the format that the stack chooses."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.processes import USER

if TYPE_CHECKING:
    from lab.processes import Component, Run

_CONFIG = """{user}
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  default_type application/json;
  {log_format}
  {http}
  upstream app {{
    {balance}
    {servers}
    {keepalive}
  }}
  server {{
    listen 127.0.0.1:{port} backlog={backlog};
    access_log {home}/access.log main;
    {server}
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Request-Start "t=${{msec}}";
      proxy_connect_timeout 10s; proxy_read_timeout 30s;
      proxy_next_upstream {retry};
      {location}
    }}
  }}
}}
"""


class Nginx:
    """nginx in front of the application's workers.

    `log_format` is the whole directive, named ``main``. The other texts are nginx directives for their context; they may be
    changed and :meth:`reload` called while it runs.
    """

    def __init__(
        self,
        run: Run,
        upstreams: Sequence[int],
        log_format: str,
        *,
        balance: str = "",
        keepalive: int = 0,
        connections: int = 2048,
        backlog: int = 511,
        retry: str = "error timeout",
        http: str = "",
        server: str = "",
        location: str = "",
        name: str = "nginx",
    ) -> None:
        self.run, self.name, self.port = run, name, run.port()
        self.upstreams, self.log_format, self.balance, self.keepalive = list(upstreams), log_format, balance, keepalive
        self.connections, self.backlog, self.retry = connections, backlog, retry
        self.http, self.server, self.location = http, server, location
        self.home = run.home(name)
        self.access_log: Path = self.home / "access.log"
        self.error_log: Path = self.home / "error.log"
        self.component: Component | None = None

    def start(self) -> Component:
        """Starts it; ready when its port accepts."""
        self._write()
        self.component = self.run.start(self.name, ["nginx", "-e", "stderr", "-p", self.home, "-c", self.home / "nginx.conf"], ready=self.port, stop=signal.SIGQUIT)
        return self.component

    def reload(self) -> None:
        """Takes the changed directives into use without dropping a request."""
        self._write()
        assert self.component
        self.component.signal(signal.SIGHUP)

    def _write(self) -> None:
        text = _CONFIG.format(
            user="" if self.run.user.pw_name == USER or self.run.user.pw_uid else "user root;", home=self.home, port=self.port, connections=self.connections, backlog=self.backlog,
            log_format=self.log_format, http=self.http, balance=f"{self.balance};" if self.balance else "", retry=self.retry,
            servers="\n    ".join(f"server 127.0.0.1:{p} max_fails=0;" for p in self.upstreams),
            keepalive=f"keepalive {self.keepalive};" if self.keepalive else "", server=self.server, location=self.location,
        )  # fmt: skip
        (self.home / "nginx.conf").write_text(text)
