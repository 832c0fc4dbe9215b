"""The queues of Cloud Tasks, and the scheduler's sweep."""

from __future__ import annotations

from typing import Any

from deploy.command import Command
from deploy.live import Live, is_as
from deploy.target import Target
from shared.resources import Queue, Schedule


def queues(target: Target, live: Live) -> list[Command]:
    known = live.of("queues")
    return [
        target.gcloud(
            "tasks", "queues", "update" if name in known else "create", name,
            location=target.region,
            max_dispatches_per_second=f"{queue.dispatches_per_second:g}",
            max_concurrent_dispatches=queue.concurrent_dispatches,
            max_attempts=queue.max_attempts,
            min_backoff=f"{queue.min_backoff:g}s",
            max_backoff=f"{queue.max_backoff:g}s",
        )
        for name, queue in target.resources.queues.items()
        if not is_as(known.get(name), _wanted_queue(queue))
    ]  # fmt: skip


def schedules(target: Target, live: Live) -> list[Command]:
    known = live.of("schedules")
    return [
        target.gcloud(
            "scheduler", "jobs", "update" if name in known else "create", "http", name,
            location=target.region,
            schedule=cron(schedule.every),
            time_zone="Etc/UTC",
            uri=f"{target.url(schedule.calls)}{schedule.path}",
            http_method="POST",
            oidc_service_account_email=target.account(target.invoker),
            oidc_token_audience=target.url(schedule.calls),
            # The next call is the retry.
            max_retry_attempts=0,
        )
        for name, schedule in target.resources.scheduler.items()
        if not is_as(known.get(name), _wanted_schedule(target, schedule))
    ]  # fmt: skip


def cron(seconds: int) -> str:
    """Whole minutes that divide an hour are all that cron knows; raises ValueError."""
    minutes, rest = divmod(seconds, 60)
    if rest or minutes < 1 or 60 % minutes:
        raise ValueError(f"every {seconds} s cannot be written for cron")
    return "* * * * *" if minutes == 1 else f"*/{minutes} * * * *"


def _wanted_queue(queue: Queue) -> dict[str, Any]:
    return {
        "rateLimits": {
            "maxDispatchesPerSecond": queue.dispatches_per_second,
            "maxConcurrentDispatches": queue.concurrent_dispatches,
        },
        "retryConfig": {
            "maxAttempts": queue.max_attempts,
            "minBackoff": f"{queue.min_backoff:g}s",
            "maxBackoff": f"{queue.max_backoff:g}s",
        },
    }


def _wanted_schedule(target: Target, schedule: Schedule) -> dict[str, Any]:
    token = {"serviceAccountEmail": target.account(target.invoker), "audience": target.url(schedule.calls)}
    return {
        "schedule": cron(schedule.every),
        "httpTarget": {"uri": f"{target.url(schedule.calls)}{schedule.path}", "oidcToken": token},
    }
