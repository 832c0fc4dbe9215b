"""The views over the billing export, on rows as it has them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.costs.bigquery import BigQuery


def labels(**given: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in given.items()]


def line(day: str, cost: float, **changes: Any) -> dict[str, Any]:
    """A line of the export: the GPU Job's on that day, unless told otherwise."""
    values: dict[str, Any] = {
        "usage_start_time": f"{day} 07:00:00",
        "invoice": {"month": day[:7].replace("-", "")},
        "project": {"id": "hub-prod", "labels": []},
        "labels": labels(app="nca-fanout", env="prod"),
        "service": {"id": "152E-C115-5142", "description": "Cloud Run"},
        "sku": {"id": "1", "description": "Jobs NVIDIA L4"},
        "location": {"region": "us-central1"},
        "cost_type": "regular",
        "currency": "USD",
        "cost": cost,
        "credits": [],
    }
    return {**values, **changes}


STORAGE = {"service": {"id": "2", "description": "Cloud Storage"}, "sku": {"id": "2", "description": "Standard"}}


@pytest.fixture
def bigquery() -> BigQuery:
    made = BigQuery()
    made.create("bill")
    made.create("monthly")
    return made


def bill(bigquery: BigQuery, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    bigquery.insert("b.billing.export", lines)
    return bigquery.rows("SELECT * FROM p.costs.bill ORDER BY day, env, service, sku")


def test_lines_of_a_day_and_sku_are_one_row_and_credits_are_taken_off(bigquery: BigQuery) -> None:
    credits = [{"name": "free tier", "amount": -0.5}, {"name": "discount", "amount": -0.25}]
    (row,) = bill(bigquery, line("2026-11-02", 2.0, credits=credits), line("2026-11-02", 1.0))
    assert (row["cost"], row["credits"], row["net"]) == (3.0, -0.75, 2.25)
    assert (row["day"], row["month"], row["service"]) == (date(2026, 11, 2), date(2026, 11, 1), "Cloud Run")


def test_days_environments_services_and_skus_are_told_apart(bigquery: BigQuery) -> None:
    rows = bill(
        bigquery,
        line("2026-11-02", 1.0),
        line("2026-11-03", 2.0),
        line("2026-11-02", 4.0, project={"id": "hub-stg", "labels": []}, labels=labels(app="nca-fanout", env="stg")),
        line("2026-11-02", 8.0, **STORAGE),
        line("2026-11-02", 16.0, sku={"id": "3", "description": "Jobs CPU"}),
    )
    assert sorted(row["net"] for row in rows) == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert {row["env"] for row in rows} == {"prod", "stg"}


def test_a_line_without_labels_stands_under_its_projects_and_else_under_none(bigquery: BigQuery) -> None:
    rows = bill(
        bigquery,
        line("2026-11-01", 1.0, labels=[], project={"id": "hub-stg", "labels": labels(env="stg")}),
        line("2026-11-02", 2.0, labels=[]),
        line("2026-11-03", 4.0, labels=labels(env="stg"), project={"id": "hub-stg", "labels": labels(env="prod")}),
    )
    assert [(row["env"], row["app"]) for row in rows] == [("stg", "(none)"), ("(none)", "(none)"), ("stg", "(none)")]
    assert sum(row["net"] for row in rows) == 7.0, "nothing is left out"


def test_other_projects_bills_are_not_ours(bigquery: BigQuery) -> None:
    assert bill(bigquery, line("2026-11-02", 9.0, project={"id": "another", "labels": []})) == []


def test_the_invoices_month_counts_and_not_the_days(bigquery: BigQuery) -> None:
    """Usage of the last hours of a month in UTC is on the same invoice, whose days are Pacific time's."""
    (row,) = bill(bigquery, line("2026-12-01", 1.0, invoice={"month": "202611"}))
    assert (row["day"], row["month"]) == (date(2026, 12, 1), date(2026, 11, 1))


def test_the_report_sets_each_service_beside_the_month_before(bigquery: BigQuery) -> None:
    bigquery.insert(
        "b.billing.export",
        [
            line("2026-10-05", 10.0),
            line("2026-10-06", 4.0, **STORAGE),
            line("2026-11-05", 12.0),
            line("2026-11-06", 3.0, credits=[{"name": "free tier", "amount": -3.0}]),
            line("2026-12-06", 5.0, **STORAGE),
        ],
    )
    rows = bigquery.rows("SELECT * FROM p.costs.monthly ORDER BY month, service")
    told = [
        (row["month"].month, row["service"], row["net"], row["month_before"], row["change"], row["share"])
        for row in rows
    ]
    assert told == [
        (10, "Cloud Run", 10.0, 0.0, 10.0, 0.7143),
        (10, "Cloud Storage", 4.0, 0.0, 4.0, 0.2857),
        (11, "Cloud Run", 12.0, 10.0, 2.0, 1.0),
        (11, "Cloud Storage", 0.0, 4.0, -4.0, 0.0),
        (12, "Cloud Run", 0.0, 12.0, -12.0, 0.0),
        (12, "Cloud Storage", 5.0, 0.0, 5.0, 1.0),
    ]


def test_environments_shares_are_of_their_own_month(bigquery: BigQuery) -> None:
    stg = {"project": {"id": "hub-stg", "labels": []}, "labels": labels(app="nca-fanout", env="stg")}
    bigquery.insert("b.billing.export", [line("2026-11-05", 9.0), line("2026-11-05", 1.0, **stg)])
    assert [row["share"] for row in bigquery.rows("SELECT * FROM p.costs.monthly")] == [1.0, 1.0]
