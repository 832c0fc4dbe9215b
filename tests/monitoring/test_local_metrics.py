"""What the local cloud exports: log-based metrics from its logs, in Prometheus' format, under the cloud's names."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import grpc
import httpx
import pytest
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from local.exposition import Exporter, Sample
from local.log_counters import LogCounters, monitored_resource
from local.metrics import OpenJobs, backlog, platform_samples, server, whole_backlog
from local.processes import MissingTool
from local.prometheus_tools import PrometheusTools, ensure_prometheus
from local.tasks import CloudTasks
from monitoring.log_metrics import LogMetric, log_metrics
from shared.backlog import PrometheusBacklog, query, work_query
from shared.errors import Unavailable
from shared.lanes import Priority
from shared.operations import Probe, Transcribe
from shared.resources import declared
from shared.routing import Destination
from shared.store import Marker
from shared.submit import submit
from tests.contract.cloud_run import cloud_run
from tests.contract.task_queue import QUEUE, create, make_queue
from tests.fakes.services import FakeServices
from tests.fakes.world import request

RESOURCES = declared()


def write(log: Path, *lines: object) -> None:
    with log.open("a") as file:
        file.writelines(line if isinstance(line, str) else f"{json.dumps(line)}\n" for line in lines)


def counters(folder: Path) -> LogCounters:
    return LogCounters(log_metrics(), RESOURCES, folder)


def shown(counters: LogCounters) -> dict[str, float]:
    return {str(sample).rpartition(" ")[0]: sample.value for sample in counters.samples()}


def test_counter_is_shown_as_zero_first_and_then_as_it_stands(tmp_path: Path) -> None:
    """Cloud Monitoring counts differences; Prometheus would see no increase in a series that begins at 1."""
    counting = counters(tmp_path)
    write(tmp_path / "dispatch.log", {"event": "sweep.done"}, {"event": "sweep.done"})
    name = 'logging_googleapis_com:user_sweep_done{monitored_resource="cloud_run_revision",service_name="dispatch"}'
    assert shown(counting) == {name: 0}
    assert shown(counting) == {name: 2}
    write(tmp_path / "dispatch.log", {"event": "sweep.done"})
    assert shown(counting) == {name: 3}


def test_labels_are_those_of_the_line_and_of_what_wrote_it(tmp_path: Path) -> None:
    write(tmp_path / "nca-toolkit-gpu-job-a1b2c.log", {"event": "job.failed", "code": 'no "audio"', "cost": 0.25})
    write(tmp_path / "gpu-runner-1.log", {"event": "job.failed", "code": "truncated"})
    samples = counters(tmp_path).samples()
    assert {sample.name for sample in samples} == {
        "logging_googleapis_com:user_job_failed",
        "logging_googleapis_com:user_job_cost_sum",
        "logging_googleapis_com:user_job_cost_count",
    }
    [job] = [each.labels for each in samples if each.labels.get("code") == 'no "audio"']
    assert (job["monitored_resource"], job["job_name"]) == ("cloud_run_job", "nca-toolkit-gpu-job")
    [pod] = [each.labels for each in samples if each.labels.get("code") == "truncated"]
    assert (pod["monitored_resource"], pod["pod_name"]) == ("k8s_container", "gpu-runner-1")


def test_cost_is_added_up(tmp_path: Path) -> None:
    counting = counters(tmp_path)
    write(
        tmp_path / "nca-toolkit-cpu-job-a1b2c.log",
        {"event": "job.failed", "code": "x", "cost": 0.25},
        {"event": "job.succeeded", "device": "cpu", "cost": 0.5},
        {"event": "job.succeeded", "device": "cpu"},
    )
    shown(counting)
    labels = '{job_name="nca-toolkit-cpu-job",monitored_resource="cloud_run_job"}'
    assert shown(counting)[f"logging_googleapis_com:user_job_cost_sum{labels}"] == 0.75
    assert shown(counting)[f"logging_googleapis_com:user_job_cost_count{labels}"] == 2


def test_what_is_no_event_of_a_metric_is_passed_over_and_half_a_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "dispatch.log"
    write(log, 'Traceback: "event" is no JSON\n', {"event": "job.submitted"}, {"message": "no event"}, "\n")
    write(tmp_path / "pubsub.log", {"event": "sweep.done"})
    counting = counters(tmp_path)
    assert shown(counting) == {}
    write(log, '{"event": "sweep.')
    assert shown(counting) == {}
    write(log, 'done"}\n')
    assert list(shown(counting).values()) == [0]
    assert list(shown(counting).values()) == [1]


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        *((name, "cloud_run_revision") for name in RESOURCES.functions),
        *((f"{job.name}-x9y8z", "cloud_run_job") for job in RESOURCES.jobs.values()),
        ("gpu-runner-2", "k8s_container"),
        ("pubsub", None),
        ("nca-toolkit-gpu-job", None),
    ],
)
def test_log_belongs_to_the_resource_that_its_process_stands_for(log: str, kind: str | None) -> None:
    resource = monitored_resource(log, RESOURCES)
    assert (resource["monitored_resource"] if resource else None) == kind


@pytest.mark.parametrize("text", ["severity>=ERROR", 'jsonPayload.event="a" OR jsonPayload.event="b"', ""])
def test_filter_that_could_not_be_counted_here_is_refused(text: str) -> None:
    [metric, *_] = log_metrics()
    with pytest.raises(ValueError, match="not a filter of events"):
        assert LogMetric(**{**metric.model_dump(), "filter": text}).events


def test_platforms_metrics_are_those_of_jobs_queues_and_executions(services: FakeServices, tmp_path: Path) -> None:
    for key, priority in (("a", Priority.NORMAL), ("b", Priority.NORMAL), ("c", Priority.HIGH)):
        submit(request(services, idempotency_key=key, priority=priority), services)
        services.clock.advance(60)
    with (
        cloud_run(tmp_path) as run,
        CloudTasks() as tasks,
        grpc.insecure_channel(tasks.address) as channel,
    ):
        queues = CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
        make_queue(queues)
        queues.pause_queue(name=QUEUE)
        create(queues, "http://127.0.0.1:9/")
        run.ended(run.run())
        run.ended(run.run("sys.exit(1)"))
        run.run("time.sleep(60)")
        open_jobs = OpenJobs(services.store)
        samples = platform_samples(open_jobs, services.now(), tasks, run.service)
        now = {str(each).rpartition(" ")[0]: each.value for each in samples}
    backlog, age = "subscription_num_undelivered_messages", "subscription_oldest_unacked_message_age"
    executions = 'run_googleapis_com:job_completed_execution_count{monitored_resource="cloud_run_job",job_name="worker"'
    assert now == {
        f'pubsub_googleapis_com:{backlog}{{subscription_id="gpu-work"}}': 2,
        f'pubsub_googleapis_com:{age}{{subscription_id="gpu-work"}}': pytest.approx(180, abs=10),
        f'pubsub_googleapis_com:{backlog}{{subscription_id="gpu-work-high"}}': 1,
        f'pubsub_googleapis_com:{age}{{subscription_id="gpu-work-high"}}': pytest.approx(60, abs=10),
        **{
            f'pubsub_googleapis_com:{name}{{subscription_id="{lane}"}}': 0
            for name in (backlog, age)
            for lane in services.settings.gke_lanes
        },
        'cloudtasks_googleapis_com:queue_depth{queue_id="cpu-tasks"}': 1,
        'run_googleapis_com:job_running_executions{monitored_resource="cloud_run_job",job_name="worker"}': 1,
        f'{executions},result="succeeded"}}': 1,
        f'{executions},result="failed"}}': 1,
    }


def test_open_jobs_are_read_once_and_counted_as_long_as_they_are_open(services: FakeServices) -> None:
    jobs = [submit(request(services, idempotency_key=key), services).job for key in "ab"]
    open_jobs = OpenJobs(services.store)
    services.faults.calls.clear()
    for _ in range(3):
        assert {job.job_id for job in open_jobs} == {job.job_id for job in jobs}
    assert sum(call.startswith("objects.read jobs/") for call in services.faults.calls) == 2
    services.store.mark_closed(Marker.of(jobs[0]))
    assert [job.job_id for job in open_jobs] == [jobs[1].job_id]


def test_prometheus_reads_what_is_exported(tools: PrometheusTools, tmp_path: Path) -> None:
    samples = [Sample("a:b", 1.5, {"text": 'quote " slash \\ line \n end'}), Sample("c", 1e9), Sample("d_sum", 0)]
    (tmp_path / "metrics").write_text("".join(f"{sample}\n" for sample in samples))
    with (tmp_path / "metrics").open() as file:
        ran = subprocess.run([tools.promtool, "check", "metrics"], stdin=file, capture_output=True, text=True)
    # 3: it would like help texts and types. 1: it cannot parse.
    assert ran.returncode == 3, ran.stdout + ran.stderr


def test_exporter_answers_503_while_the_cloud_behind_it_is_down() -> None:
    answers = iter([Unavailable("storage is gone"), [Sample("up_again", 1)]])

    def samples() -> list[Sample]:
        answer = next(answers)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    with Exporter(samples) as exporter, httpx.Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{exporter.port}/metrics"
        assert client.get(url).status_code == 503
        assert client.get(url).text == "up_again 1\n"


def test_backlogs_are_counted_by_destination_and_for_all_without_reading_a_record(services: FakeServices) -> None:
    for number, operations in enumerate([(Transcribe(),), (Transcribe(),), (Probe(),)]):
        submit(request(services, idempotency_key=str(number), operations=operations), services)
    assert [backlog(services.store, each) for each in (Destination.GPU, Destination.CPU, Destination.GKE)] == [2, 1, 0]
    before = len(services.faults.calls)
    assert whole_backlog(services.store) == 3
    assert services.faults.calls[before:] == ["objects.list open/"]


def test_light_stand_in_answers_routings_query_and_admissions(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.backlog._TIMEOUT_SECONDS", 30.0)
    settings = services.settings
    answering = server(0, {query(*settings.gpu_lanes): lambda: 7, work_query(settings): lambda: 9})
    thread = threading.Thread(target=answering.serve_forever, args=(0.02,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{answering.server_port}/api/v1/query"
        backlogs = [PrometheusBacklog(url.removesuffix("/api/v1/query"), text) for text in
                    (query(*settings.gpu_lanes), work_query(settings), query("another"))]  # fmt: skip
        assert [each.waiting() for each in backlogs] == [7, 9, None]
    finally:
        answering.shutdown()
        thread.join()
        answering.server_close()


def test_tools_that_cannot_be_fetched_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match=r"could not be fetched \(this is no Debian, it has no apt-get\)"):
        ensure_prometheus(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_reason_why_apt_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: no network' >&2; exit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="apt-get failed: E: no network"):
        ensure_prometheus(tmp_path / "cache")


def test_programs_on_the_path_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prometheus", "promtool", "alertmanager"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ensure_prometheus(tmp_path / "cache").alertmanager == tmp_path / "alertmanager"
