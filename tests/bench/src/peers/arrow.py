"""DuckDB and Parquet over the columns beside this file: times.i64 (microseconds) and values.i32 (one series after the other)."""

import json
import os
import resource
import statistics
import sys
import time

import pyarrow as pa


def columns():
    times, values = (open(name, "rb").read() for name in ("times.i64", "values.i32"))
    seconds = len(times) // 8
    at = pa.Array.from_buffers(pa.timestamp("us", "UTC"), seconds, [None, pa.py_buffer(times)])
    one = lambda n: pa.Array.from_buffers(pa.int32(), seconds, [None, pa.py_buffer(values[n * seconds * 4 : (n + 1) * seconds * 4])])
    return at, [one(n) for n in range(len(values) // 4 // seconds)]


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(work):
    wall, before = time.perf_counter(), cpu()
    work()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": cpu() - before}


def query(sql):
    import duckdb

    db = duckdb.connect("bench.duckdb", read_only=True)
    once = lambda: db.execute(sql).to_arrow_table()
    once()
    return {"wall_s": statistics.median(timed(once)["wall_s"] for _ in range(50))}


def duckdb_load():
    import duckdb

    if os.path.exists("bench.duckdb"):
        os.remove("bench.duckdb")
    at, series = columns()
    number = lambda n: pa.repeat(pa.scalar(n, pa.int16()), len(at))
    tables = [pa.table({"series": number(n), "t": at, "value": values}) for n, values in enumerate(series)]
    samples = pa.concat_tables(tables).combine_chunks()

    def load():
        db = duckdb.connect("bench.duckdb")
        db.register("samples_arrow", samples)
        db.execute("CREATE TABLE samples AS SELECT * FROM samples_arrow")
        db.execute("CHECKPOINT")
        db.close()

    return timed(load) | {"bytes": os.path.getsize("bench.duckdb")}


def parquet():
    import pyarrow.parquet as pq

    at, series = columns()
    table = pa.table({"t": at} | {f"s{n}": values for n, values in enumerate(series)})
    spent = timed(lambda: pq.write_table(table, "bench.parquet", compression="zstd", compression_level=12))
    return spent | {"bytes": os.path.getsize("bench.parquet")}


DO = {
    "duckdb-load": duckdb_load,
    "duckdb-raw": lambda: query("SELECT t, value FROM samples WHERE series = 2 ORDER BY t"),
    "duckdb-minutes": lambda: query(
        "SELECT time_bucket(INTERVAL 1 minute, t) AS minute, min(value), avg(value), max(value) FROM samples WHERE series = 2 GROUP BY 1 ORDER BY 1"
    ),
    "parquet": parquet,
}

print(json.dumps(DO[sys.argv[1]]()))
