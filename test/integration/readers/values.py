"""Reads chunks with DuckDB, pyarrow, pandas and polars, and compares every value with the expected lines.

values.py TOOL ROOT        TOOL: duckdb | pyarrow | pandas | polars
ROOT holds `data/tenant=*/service=*/date=*/hour=*/*.ndjson.gz`; beside each chunk the lines expected of it, as `.expected`.
Prints one line a chunk and ends with 0 if all are equal.
"""

import datetime
import decimal
import json
import pathlib
import sys


def plain(value):
    """The value without the empty fields that a table adds, and with times as text to the microsecond."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc)
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f")
    return value


def missing(value):
    return value is None or value != value


def by_duckdb(path):
    import duckdb

    found = duckdb.sql(f"select * from read_ndjson_auto('{path}', filename=false, hive_partitioning=false)")
    names = found.columns
    return [dict(zip(names, row)) for row in found.fetchall()]


def by_pyarrow(path):
    from pyarrow import json as arrow_json

    # One long line must fit a block of its reader.
    options = arrow_json.ReadOptions(block_size=1 << 24)
    return arrow_json.read_json(path, read_options=options).to_pylist()


def by_pandas(path):
    import pandas

    frame = pandas.read_json(path, lines=True, dtype=False, convert_dates=False)
    return [{key: None if not isinstance(value, (dict, list)) and missing(value) else value for key, value in row.items()}
            for row in frame.to_dict("records")]


def by_polars(path):
    import polars

    return polars.read_ndjson(path, infer_schema_length=None).to_dicts()


def compare(expected, found, path):
    if len(expected) != len(found):
        sys.exit(f"{path}: {len(found)} rows, expected {len(expected)}")
    for number, (line, row) in enumerate(zip(expected, found), 1):
        want, row = json.loads(line), plain(row)
        if isinstance(row.get("attributes"), str):
            row["attributes"] = json.loads(row["attributes"])
        # A reader that took the text for a time keeps microseconds of it.
        if row["timestamp"] != want["timestamp"]:
            want["timestamp"] = want["timestamp"][:26]
            row["timestamp"] = row["timestamp"][:26]
        if row != want:
            sys.exit(f"{path}: line {number}\n  expected {want}\n  found    {row}")


def main():
    tool, root = sys.argv[1], pathlib.Path(sys.argv[2])
    read = {"duckdb": by_duckdb, "pyarrow": by_pyarrow, "pandas": by_pandas, "polars": by_polars}[tool]
    total = 0
    for chunk in sorted(root.glob("data/tenant=*/service=*/date=*/hour=*/*.ndjson.gz")):
        # Split at line feeds only: messages may hold other characters that Python takes for the end of a line.
        expected = chunk.with_suffix("").with_suffix(".expected").read_text("utf-8").split("\n")[:-1]
        compare(expected, read(str(chunk)), chunk)
        total += len(expected)
        print(f"{chunk.name}: {len(expected)} rows are equal")
    if tool == "duckdb":
        import duckdb

        found = duckdb.sql(
            f"select count(*), count(distinct service) from "
            f"read_ndjson_auto('{root}/data/**/*.ndjson.gz', hive_partitioning=true, union_by_name=true)"
        ).fetchone()
        if found[0] != total:
            sys.exit(f"over all partitions {found[0]} rows, expected {total}")
    if total == 0:
        sys.exit("no chunks")


main()
