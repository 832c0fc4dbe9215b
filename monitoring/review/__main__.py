"""python -m monitoring.review --url URL [--days 7] [--until TIME] [--out build/review]

URL is what /api/v1/query_range follows: http://127.0.0.1:9090, or
https://monitoring.googleapis.com/v1/projects/PROJECT/location/global/prometheus
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from monitoring.review.alerts import fired
from monitoring.review.findings import findings
from monitoring.review.page import page
from monitoring.review.prometheus import Prometheus
from monitoring.review.weeks import Period, ask
from monitoring.rules import rules
from shared.errors import Unavailable


def main(arguments: Sequence[str] | None = None) -> int:
    """0: the page is written, whatever it says. 2: bad usage. 3: nobody answers."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.review", description="The weekly review as a page.")
    parser.add_argument("--url", type=_url, required=True, help="a Prometheus, or Cloud Monitoring's endpoint")
    parser.add_argument("--days", type=_days, default=7, help="beside as many before; 7 unless given")
    parser.add_argument("--until", type=_time, help="ISO 8601; the last full hour unless given")
    parser.add_argument("--out", type=Path, default=Path("build/review"), help="the folder for index.html")
    asked = parser.parse_args(arguments)
    end = (asked.until or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
    period = Period(end, asked.days)
    try:
        source = Prometheus(asked.url)
        weeks = ask(source, period)
    except Unavailable as error:
        print(f"review: {error.message}", file=sys.stderr)  # noqa: T201
        return 3
    if not any(each.is_answered for each in weeks.answers.values()):
        print(f"review: {next(iter(weeks.answers.values())).problem}", file=sys.stderr)  # noqa: T201
        return 3
    alerts = fired(source, rules(), period)
    asked.out.mkdir(parents=True, exist_ok=True)
    file = asked.out / "index.html"
    file.write_text(page(weeks, alerts, asked.url))
    for finding in findings(weeks, alerts):
        print(f"{finding.tone:5} {finding.text}")  # noqa: T201
    print(file)  # noqa: T201
    return 0


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError("must be http://… or https://…")
    return text


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 31:
        raise argparse.ArgumentTypeError("must be 1 to 31")
    return days


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
