"""BigQuery's views on DuckDB: the same statements, transpiled, over sample rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import sqlglot

from monitoring.costs.sql import names, view
from shared.log import JsonFormatter

NAMES = names(dataset="p.costs", billing_export="b.billing.export", logs="p.nca_jobs", projects=["hub-stg", "hub-prod"])

_LABELS = "STRUCT(key VARCHAR, value VARCHAR)[]"
_TABLES = (
    "ATTACH ':memory:' AS p; ATTACH ':memory:' AS b",
    "CREATE SCHEMA p.costs; CREATE SCHEMA p.nca_jobs; CREATE SCHEMA b.billing",
    # Columns of the detailed usage cost export that the views use, with its types.
    f"""CREATE TABLE b.billing.export (
        usage_start_time TIMESTAMP, invoice STRUCT(month VARCHAR),
        project STRUCT(id VARCHAR, labels {_LABELS}), labels {_LABELS},
        service STRUCT(id VARCHAR, description VARCHAR), sku STRUCT(id VARCHAR, description VARCHAR),
        location STRUCT(region VARCHAR), cost_type VARCHAR, currency VARCHAR, cost DOUBLE,
        credits STRUCT(name VARCHAR, amount DOUBLE)[])""",
    "CREATE TABLE p.nca_jobs._AllLogs (timestamp TIMESTAMP, labels JSON, json_payload JSON)",
    """CREATE TABLE p.costs.prices (machine VARCHAR, region VARCHAR, usd_per_second DOUBLE,
        other_usd_per_second DOUBLE, as_of DATE, assumption VARCHAR)""",
)


class BigQuery:
    """A DuckDB with the tables that the views read."""

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        for statements in _TABLES:
            self._connection.execute(statements)

    def create(self, name: str) -> None:
        for statement in sqlglot.transpile(view(name, NAMES), read="bigquery", write="duckdb"):
            self._connection.execute(statement)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            columns = ", ".join(row)
            marks = ", ".join("?::JSON" if _is_nested(value) else "?" for value in row.values())
            values = [json.dumps(value) if _is_nested(value) else value for value in row.values()]
            self._connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)

    def rows(self, query: str) -> list[dict[str, Any]]:
        result = self._connection.execute(query)
        columns = [column[0] for column in result.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def _is_nested(value: Any) -> bool:
    return isinstance(value, list | dict)


class Lines(logging.Handler):
    """What our own formatter writes, as the linked dataset shows it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter("hub-prod"))
        self._lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(json.loads(self.format(record)))

    def stored(self, day: date) -> Iterator[dict[str, Any]]:
        for second, line in enumerate(self._lines):
            payload = dict(line)
            labels = payload.pop("logging.googleapis.com/labels", {})
            at = f"{day.isoformat()} 12:{second // 60:02d}:{second % 60:02d}"
            yield {"timestamp": at, "labels": json.dumps(labels), "json_payload": json.dumps(payload)}
