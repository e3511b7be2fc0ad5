"""Polars doing the core of the job: percentiles per route and a series of 10 s."""

import sys

import polars as pl

LINE = r'^\S+ \S+ \S+ \[(?<at>[^\]]+)\] "(?<method>\S+) (?<target>[^ ?"]+)[^"]*" (?<status>\d{3}) \d+ "[^"]*" "[^"]*" (?<seconds>[0-9.]+) '
lines = pl.scan_csv(sys.argv[1], has_header=False, new_columns=["line"], separator="\x01", quote_char=None)
requests = (
    lines.select(pl.col("line").str.extract_groups(LINE).alias("p"))
    .unnest("p")
    .select(
        pl.col("at").str.to_datetime("%d/%b/%Y:%H:%M:%S %z"),
        "method",
        pl.col("target").str.replace_all(r"[0-9]+", "{id}").alias("route"),
        pl.col("status").cast(pl.Int16),
        pl.col("seconds").cast(pl.Float64),
    )
    .collect()
)
quantiles = [pl.col("seconds").quantile(q).alias(f"p{q}") for q in (0.5, 0.9, 0.95, 0.99, 0.999)]
routes = requests.group_by("method", "route").agg(pl.len().alias("n"), (pl.col("status") >= 500).mean().alias("errors"), *quantiles, pl.col("seconds").max().alias("max"))
series = requests.group_by(pl.col("at").dt.truncate("10s")).agg(pl.len().alias("n"), *quantiles[:3]).sort("at")
print(len(routes), "routes,", len(series), "intervals,", routes["n"].sum(), "requests")
