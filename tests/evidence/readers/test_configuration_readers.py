"""Configuration: each format's own lines, what looks like it, secrets, and hostile bytes."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from perfaudit.evidence import settings
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.intake import add
from perfaudit.evidence.readers import (
    ReadOptions,
    Sample,
    database_conf,
    gunicorn_conf,
    haproxy_cfg,
    manifest,
    nginx_conf,
    properties,
    recognise,
)
from perfaudit.evidence.readers._settings import owner, spring

READERS = (database_conf, gunicorn_conf, haproxy_cfg, manifest, nginx_conf, properties)

NGINX = rb"""user www-data;
worker_processes auto;
events { worker_connections 1024; }
http {
    log_format timed '$remote_addr - $remote_user [$time_local] "$request" '
                     '$status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time';
    keepalive_timeout 65s; # of clients
    upstream shop {
        server 10.0.0.1:8000;
        server 10.0.0.2:8000 max_conns=50;
        server 10.0.0.3:8000 backup;
        keepalive 32;
        keepalive_timeout 1m30s;
    }
    map $http_upgrade $connection { default upgrade; keepalive_timeout 9; }
    server {
        location / {
            proxy_pass http://shop;
            proxy_read_timeout
                500ms;
        }
    }
}
"""
POSTGRES = b"""# connections
listen_addresses = '*'
max_connections = 100\t\t\t# (change requires restart)
statement_timeout = 30s
lock_timeout = 500
primary_conninfo = 'host=a user=b password=hunter2'
shared_buffers = 128MB
"""
PG_SETTINGS = b"""name,setting,unit
max_connections,100,
shared_buffers,16384,8kB
statement_timeout,5000,ms
idle_session_timeout,0,ms
primary_conninfo,"host=a password=hunter2",
"""
MYSQL = b"[client]\npassword = hunter2\n\n[mysqld]\nmax_connections = 151\nwait-timeout=600\nskip-name-resolve\ninnodb_buffer_pool_size = 1G\n"
VARIABLES = b"Variable_name\tValue\nmax_connections\t151\nwait_timeout\t28800\nversion_comment\tSource distribution\n"
ENV = b"""# shop
export DB_POOL_SIZE="20"
WEB_CONCURRENCY=4
GUNICORN_CMD_ARGS="--threads 8 --timeout=45 -k gthread"
DATABASE_URL=postgresql://shop:hunter2@db/shop
DB_PASSWORD=123456
STRIPE=hunter2
FEATURE=true
SPRING_DATASOURCE_HIKARI_MAXIMUM_POOL_SIZE=12
"""
PROPERTIES = b"""spring.datasource.url=jdbc:postgresql://db/shop?user=shop&password=hunter2
spring.datasource.password=hunter2
spring.datasource.hikari.maximumPoolSize=15
spring.datasource.hikari.max-lifetime=1800000
server.tomcat.threads.max: 200
server.tomcat.keep-alive-timeout=PT20S
"""
APPLICATION = b"""spring:
  datasource:
    password: hunter2
    hikari:
      maximum-pool-size: ${POOL:25}
      connection-timeout: 2000
server:
  tomcat:
    threads:
      max: 50
"""
GUNICORN = b"import multiprocessing\n\nbind = '0.0.0.0:8000'\nworkers = multiprocessing.cpu_count() * 2 + 1\nworker_class = 'gthread'\nthreads = 4\nkeepalive = 5\n"
HAPROXY = b"global\n    maxconn 4000\ndefaults\n    mode http\n    timeout connect 5s\n    timeout server 30000\n    retries 3\nbackend shop\n    balance roundrobin\n    server a 10.0.0.1:80 check\n    server b 10.0.0.2:80 check backup\n"
MANIFEST = b"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: orders
spec:
  replicas: 4
  template:
    spec:
      containers:
        - name: app
          command: [gunicorn, "--workers", "2", "shop:app"]
          env:
            - name: DB_POOL_SIZE
              value: "20"
            - name: API_TOKEN
              value: hunter2
            - name: DB_PASSWORD
              valueFrom: {secretKeyRef: {name: db, key: password}}
          resources:
            limits: {cpu: 500m, memory: 512Mi}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
spec:
  scaleTargetRef: {name: orders}
  maxReplicas: 8
"""

SAMPLES: tuple[tuple[ModuleType, str, bytes, dict[str, float]], ...] = (
    (nginx_conf, "nginx.conf", NGINX, {"proxy read timeout": 0.5, "upstream idle": 90, "client keep-alive": 65, "upstream keep-alive": 32, "upstream limit": 50, "proxy connections": 1024}),
    (database_conf, "postgresql.conf", POSTGRES, {"max connections": 100, "statement timeout": 30, "lock timeout": 0.5, "buffers": 128 * 2**20}),
    (database_conf, "pg_settings.csv", PG_SETTINGS, {"max connections": 100, "buffers": 128 * 2**20, "statement timeout": 5, "session idle limit": 0}),
    (database_conf, "my.cnf", MYSQL, {"max connections": 151, "session idle limit": 600, "buffers": 2**30}),
    (database_conf, "variables.txt", VARIABLES, {"max connections": 151, "session idle limit": 28800}),
    (properties, "orders.env", ENV, {"workers": 4, "threads": 8, "request timeout": 45}),
    (properties, "application.properties", PROPERTIES, {"pool": 15, "pool lifetime": 1800, "threads": 200, "server keep-alive": 20}),
    (manifest, "application.yml", APPLICATION, {"pool": 25, "acquire timeout": 2, "threads": 50}),
    (gunicorn_conf, "gunicorn.conf.py", GUNICORN, {"threads": 4, "server keep-alive": 5}),
    (haproxy_cfg, "haproxy.cfg", HAPROXY, {"proxy connect timeout": 5, "proxy read timeout": 30, "proxy retries": 3, "proxy limit": 4000}),
    (manifest, "deploy.yaml", MANIFEST, {"replicas": 4, "replicas at most": 8, "workers": 2, "pool": 20, "cpu limit": 0.5, "memory limit": 512 * 2**20}),
)
each = pytest.mark.parametrize(("reader", "name", "data", "numbers"), SAMPLES, ids=[name for _, name, _, _ in SAMPLES])


@each
def test_the_numbers_by_role(read: Callable[..., Any], reader: ModuleType, name: str, data: bytes, numbers: dict[str, float]) -> None:
    sink = read(reader, data, name)
    found = {row["role"]: row["number"] for row in sink.rows["settings"] if row["role"] in numbers}
    assert found == numbers
    assert all(row["source"] == name and 1 <= row["line"] <= data.count(b"\n") for row in sink.rows["settings"])
    assert sink.n_lines == data.count(b"\n") and not sink.rejected


@each
def test_no_secret_is_kept(read: Callable[..., Any], reader: ModuleType, name: str, data: bytes, numbers: dict[str, float]) -> None:
    sink = read(reader, data, name)
    said = json.dumps([sink.rows, sink.notes, {k: v[0].decode() for k, v in sink.examples.items()}], ensure_ascii=False)
    assert "hunter2" not in said and "123456" not in said


@each
def test_the_right_reader_is_the_surest(reader: ModuleType, name: str, data: bytes, numbers: dict[str, float]) -> None:
    for called in (name, "x.txt"):
        found = recognise(Sample(called, data))
        if called == name or reader is not gunicorn_conf:
            assert found is not None and found[0] == reader.__name__.rpartition(".")[2]


@each
def test_hostile_bytes_are_counted(read: Callable[..., Any], reader: ModuleType, name: str, data: bytes, numbers: dict[str, float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for tail in (b"\xff\xfe\x00\n", b"{{ .Values.x }}: [\n", b'"' * 3000 + b"\n", b"[" * 5000 + b"\n", b"'\\" * 2000):
            assert read(reader, data * (1 if reader is manifest else 12) + tail, name).n_lines > 0
        read(reader, data.replace(b"\n", b"\r\n"), name)
        read(reader, data + b"# " + b"x" * (600 << 10) + b"\n", name)


LOOK_ALIKES = {
    "access log": b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET /keepalive_timeout HTTP/1.1" 200 5 "-" "-"\n' * 20,
    "nginx error log": b'2026/11/23 08:00:00 [error] 7#7: *1 upstream timed out (110: Operation timed out) while reading upstream, proxy_read_timeout 60; client\n' * 20,
    "status": b"Variable_name\tValue\nThreads_connected\t5\nMax_used_connections\t9\n",
    "postgres log": b"2026-11-23 08:00:00.000 UTC [7] LOG:  parameter \"max_connections\" changed to \"100\"\n" * 5,
    "a program's variables": b"HOME=/root\nPATH=/bin\nFOO=1\n",
    "logfmt": b"time=2026-11-23T08:00:00Z level=info msg=started pool_size=20\n" * 5,
    "openslo": b"apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: x\n",
    "events of a cluster": b'{"apiVersion": "v1", "kind": "Event", "involvedObject": {"kind": "Deployment", "name": "web"}}\n',
    "a script": b"import os\ntimeout = 30\nprint(timeout)\n",
    "notes": b"We raised max_connections yesterday. It was 100 before, said the manual.\nThen all was well.\n",
}


@pytest.mark.parametrize("what", LOOK_ALIKES)
def test_what_is_no_configuration_is_not_claimed(what: str) -> None:
    sample = Sample("x.txt", LOOK_ALIKES[what])
    assert [reader.NAME for reader in READERS if reader.sniff(sample)] == []


def test_a_log_format_alone_stays_a_directive_and_a_whole_file_is_both(tmp_path: Path) -> None:
    line = b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-" 0.250\n'
    for config, tables in ((b"log_format timed '$remote_addr $request_time';\n", {"requests"}), (NGINX, {"requests", "settings"})):
        folder = tmp_path / str(len(config))
        folder.mkdir()
        (folder / "nginx.conf").write_bytes(config)
        (folder / "access.log").write_bytes(line * 30)
        bundle = Bundle.create(tmp_path / f"bundle{len(config)}", durable=False)
        report = add(bundle, [folder], ReadOptions())
        assert {t for s in bundle.sources for t in s["tables"]} == tables
        assert [c["formats"] for c in report.configuration] == [1]
        if len(tables) > 1:
            assert next(s for s in bundle.sources if "requests" in s["tables"])["parsed"] == 30


def test_servers_that_take_no_requests_are_not_counted(read: Callable[..., Any]) -> None:
    sink = read(nginx_conf, NGINX, "nginx.conf")
    servers = [row for row in sink.rows["settings"] if row["role"] == "upstream server"]
    assert [row["value"] for row in servers] == ["10.0.0.1:8000", "10.0.0.2:8000"] and {row["scope"] for row in servers} == {"upstream shop"}
    assert all(row["number"] != 9 for row in sink.rows["settings"])  # the map is no place for directives


def test_a_number_that_only_the_machine_knows_is_unknown(read: Callable[..., Any]) -> None:
    sink = read(gunicorn_conf, GUNICORN, "gunicorn.conf.py")
    workers = next(row for row in sink.rows["settings"] if row["name"] == "workers")
    assert workers["number"] is None and sink.notes == ["workers is worked out when Gunicorn starts: unknown"]


def test_gunicorn_is_never_run(read: Callable[..., Any], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    read(gunicorn_conf, f"bind = 'x'\nworkers = open({str(mark)!r}, 'w').write('x')\n__import__('os').mkdir({str(mark)!r})\n".encode(), "gunicorn.conf.py")
    assert not mark.exists()


def test_the_workload_names_the_service(read: Callable[..., Any]) -> None:
    sink = read(manifest, MANIFEST, "deploy.yaml")
    assert {row["service"] for row in sink.rows["settings"]} == {"orders"}
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [{"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}}]}).encode()
    assert read(manifest, listed, "all.json").column("settings", "number") == [3.0]


def test_yaml_that_expands_without_end_is_refused(read: Callable[..., Any]) -> None:
    bomb = b"apiVersion: v1\nkind: Deployment\na0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 9))
    sink = read(manifest, bomb, "bomb.yaml")
    assert "settings" not in sink.rows and sink.n_rejected == sink.n_lines == 11


@pytest.mark.parametrize(("text", "bare", "expected"), [("1m30s", "s", 90.0), ("500ms", "s", 0.5), ("30000", "ms", 30.0), ("PT1M5S", "ms", 65.0), ("2min", "ms", 120.0), ("auto", "", None), ("5 apples", "s", None), ("512Mi", "B", 2.0**29), ("1500m", "cores", 1.5), ("2", "cores", 2.0), ("1e9", "", None)])  # fmt: skip
def test_quantities(text: str, bare: str, expected: float | None) -> None:
    assert settings.quantity(text, bare)[0] == expected


def test_names_of_timeouts_of_sessions_are_no_secrets() -> None:
    assert settings.read("postgresql", "idle_session_timeout", "60000", "ms").number == 60
    assert settings.read("environment", "SESSION_KEY", "777").value == "…"
    assert settings.read("environment", "DB_POOL_SIZE", "hunter2").value == "…"


@pytest.mark.parametrize(("name", "service"), [("nginx.conf", ""), ("orders.env", "orders"), ("evidence/billing/application.yml", "billing"), ("evidence/conf.d/default.conf", ""), ("gunicorn.conf.py", ""), (".env", "")])
def test_whose_it_is(name: str, service: str) -> None:
    assert owner(name) == service


def test_spellings_of_spring() -> None:
    for name in ("spring.datasource.hikari.maximum-pool-size", "spring.datasource.hikari.maximumPoolSize", "SPRING_DATASOURCE_HIKARI_MAXIMUM_POOL_SIZE"):
        assert spring(name) == ("hikari", "maximum-pool-size")
    assert spring("my.secret") == ("", "")


@each
def test_blanks_without_end_cost_no_time(reader: ModuleType, name: str, data: bytes, numbers: dict[str, float]) -> None:
    for tail in (b"\n" * 200_000, b" " * 200_000 + b"'", b"a" + b" " * 100_000 + b"'", b";" * 100_000 + b"="):
        begun = time.process_time()
        reader.sniff(Sample(name, data + tail))
        assert time.process_time() - begun < 1
