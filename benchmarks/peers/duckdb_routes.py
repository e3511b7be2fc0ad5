"""DuckDB doing the core of the job: percentiles per route and a series of 10 s. Lines are read whole: quoting loses some."""

import sys

import duckdb

LINE = r'^\S+ \S+ \S+ \[([^\]]+)\] "(\S+) ([^ ?"]+)[^"]*" (\d{3}) \d+ "[^"]*" "[^"]*" ([0-9.]+) '
connection = duckdb.connect(config={"threads": "2"})
connection.execute(
    f"""CREATE TABLE requests AS SELECT strptime(p.at, '%d/%b/%Y:%H:%M:%S +0000') AS time, p.method, regexp_replace(p.target, '[0-9]+', '{{id}}', 'g') AS route, p.status::SMALLINT AS status, p.seconds::DOUBLE AS seconds
    FROM (SELECT regexp_extract(line, '{LINE}', ['at', 'method', 'target', 'status', 'seconds']) AS p
          FROM read_csv(?, columns = {{'line': 'VARCHAR'}}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false))""",
    [sys.argv[1]],
)
routes = connection.execute("SELECT method, route, count(*), avg((status >= 500)::INT), quantile_disc(seconds, [0.5, 0.9, 0.95, 0.99, 0.999]), max(seconds) FROM requests GROUP BY ALL ORDER BY count(*) DESC").fetchall()
series = connection.execute("SELECT time_bucket(INTERVAL 10 SECONDS, time) AS at, count(*), quantile_disc(seconds, [0.5, 0.95, 0.99]) FROM requests GROUP BY 1 ORDER BY 1").fetchall()
print(len(routes), "routes,", len(series), "intervals,", sum(r[2] for r in routes), "requests")
