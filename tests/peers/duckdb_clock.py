"""Times DuckDB on a lake's table: SQL over the view `metrics` a line on stdin, seconds and rows of the answer a line on stdout.

usage: duckdb_clock.py FOLDER
"""

import sys
import time

import duckdb
from deltalake import DeltaTable

connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.execute("SET parquet_metadata_cache = true")
files = DeltaTable(sys.argv[1]).file_uris()
connection.execute(
    "CREATE VIEW metrics AS SELECT *, coalesce(value_double, value_int::DOUBLE) AS value "
    f"FROM read_parquet({files!r}, hive_partitioning = true)"
)
for sql in sys.stdin:
    started = time.perf_counter()
    rows = connection.execute(sql).to_arrow_table()
    print(time.perf_counter() - started, rows.num_rows, flush=True)
