"""Answers SQL over one table of a lake with a peer, printing rows as Catchment's own test does.

usage: lake.py deltalake|pandas|duckdb|duckdb-live TABLE SQL FOLDER
`deltalake`: the files its table log names, read by delta-rs. `pandas`: the same as a data frame. `duckdb`: the Parquet files in the folder.
`duckdb-live`: of those, what the table log names.
"""

import os
import sys
from pathlib import Path

import duckdb


def show(value):
    if value is None:
        return "-"
    return str(value)


def main(reader, table, sql, folder):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    path = Path(folder) / table
    if reader == "deltalake":
        from deltalake import DeltaTable

        rows = DeltaTable(path).to_pyarrow_table()
        connection.register(table, rows)
    elif reader == "pandas":
        from deltalake import DeltaTable

        connection.register(table, DeltaTable(path).to_pandas())
    elif reader == "duckdb-live":
        from deltalake import DeltaTable

        files = DeltaTable(path).file_uris()
        connection.from_parquet(files, hive_partitioning=True).create_view(table)
    else:
        files = f"{path}/date=*/*.parquet"
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{files}', hive_partitioning = true)")
    for row in connection.execute(sql).fetchall():
        print(" ".join(map(show, row)))


main(*sys.argv[1:])
sys.stdout.flush()
# pyarrow's scanner threads may outlive the interpreter and abort it as it ends (apache/arrow#34314): the answer is printed, so
# the process ends without Python's own tear-down.
os._exit(0)
