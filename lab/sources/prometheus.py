"""A Prometheus server of the recording's own: it scrapes the application and node_exporter, and a cut is a dump of its database.

The dump is what ``promtool tsdb dump-openmetrics`` prints (Prometheus 2.51 and later). Older servers have only ``promtool tsdb
dump`` with the name of the metric among its labels and milliseconds; its lines are brought into the same form.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.sources import Source

if TYPE_CHECKING:
    from lab.processes import Component, Run

#: Of node_exporter only what people put on a dashboard.
NODE = (
    "node_cpu_seconds_total|node_load1|node_memory_(MemTotal|MemAvailable|Cached|Dirty|SwapFree)_bytes|node_(context_switches|forks)_total|node_procs_(running|blocked)"
    "|node_pressure_.*|node_vmstat_(pgmajfault|pswpin|pswpout|oom_kill)|node_disk_(reads|writes)_completed_total|node_disk_(read|written)_bytes_total"
    "|node_disk_io_time_seconds_total|node_filefd_.*|node_netstat_Tcp_(RetransSegs|OutSegs|CurrEstab)|node_netstat_TcpExt_(Listen.*|TCPTimeouts|TCPSynRetrans)"
    "|node_sockstat_TCP_(alloc|inuse|tw)|node_network_(receive|transmit)_bytes_total"
)
COLLECTORS = ("cpu", "loadavg", "meminfo", "stat", "pressure", "vmstat", "diskstats", "filefd", "netstat", "sockstat", "netdev")
#: Never of use, and many: creation times, the interpreter's build; and, left out of the dump, what a scrape says of itself.
NOISE = ".*_created|python_info|go_.*|promhttp_.*"
CHOSEN = '{job=~".+",__name__!~"scrape_s.*"}'
_LINE = re.compile(r'\{__name__="([^"]+)"(?:, )?(.*)\} (\S+) (\d+)')
_BETWEEN = re.compile(r'(?<="), (?=[A-Za-z_]\w*=")')


class Prometheus(Source):
    """The server, with node_exporter beside it.

    `targets` maps a job's name to the ports that are scraped (``/metrics``); `interval` is in seconds. More jobs can be added
    until :meth:`begin`.
    """

    def __init__(self, run: Run, targets: Mapping[str, Sequence[int]], *, interval: int = 2, node: bool = True, name: str = "prometheus.prom") -> None:
        super().__init__(name, "metrics")
        self.run, self.interval, self.node = run, interval, node
        self.targets = {job: list(ports) for job, ports in targets.items()}
        self.home = run.home("observer-prometheus")
        self.components: list[Component] = []

    def begin(self) -> None:
        """Starts both."""
        jobs = [_job(job, ports, "drop", NOISE) for job, ports in self.targets.items()]
        if self.node:
            port = self.run.port()
            chosen = [f"--collector.{c}" for c in COLLECTORS]
            argv = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}", "--web.disable-exporter-metrics", "--collector.disable-defaults", *chosen]
            self.components.append(self.run.start("observer-node", argv, ready=port, env={"GOMAXPROCS": "1"}))
            jobs.append(_job("node", [port], "keep", NODE))
        config = self.home / "prometheus.yml"  # JSON is YAML
        config.write_text(json.dumps({"global": {"scrape_interval": f"{self.interval}s", "scrape_timeout": f"{self.interval}s"}, "scrape_configs": jobs}, indent=1))
        port = self.run.port()
        argv = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.home / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        self.components.append(self.run.start("observer-prometheus", argv, ready=port, env={"GOMAXPROCS": "1"}))

    def end(self) -> None:
        """Stops both; the database stays."""
        for component in reversed(self.components):
            component.stop(signal.SIGTERM)

    def mark(self) -> float:
        """The time now (epoch seconds)."""
        return time.time()

    def cut(self, a: float, b: float, folder: Path) -> None:
        """Samples between two marks."""
        argv = ["promtool", "tsdb", "dump", f"--min-time={int(a * 1000)}", f"--max-time={int(b * 1000)}", f"--match={CHOSEN}", str(self.home / "tsdb")]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
        (folder / self.name).write_text(openmetrics(said))


def openmetrics(dump: str) -> str:
    """A dump of ``promtool tsdb dump`` as ``dump-openmetrics`` prints it: the name in front, times in seconds."""
    lines = []
    for line in dump.splitlines():
        if found := _LINE.fullmatch(line):
            name, labels, value, at = found.groups()
            lines.append(f"{name}{{{_BETWEEN.sub(',', labels)}}} {value} {int(at) / 1000:.3f}")
    return "\n".join([*sorted(lines, key=lambda text: text.rpartition("} ")[0]), "# EOF", ""])


def _job(name: str, ports: Sequence[int], action: str, regex: str) -> dict[str, object]:
    relabel = [{"source_labels": ["__name__"], "action": action, "regex": regex}]
    return {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}], "metric_relabel_configs": relabel}
