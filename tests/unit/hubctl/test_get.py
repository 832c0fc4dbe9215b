from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.api import JobView, view
from shared.machines import Machine
from tests.hubctl_jobs import ARTIFACTS, TARIFF, TEXT, a_job, failed, succeeded
from tests.hubctl_run import hubctl
from tests.hubctl_server import KEY, Hub


def test_get_shows_the_record_or_prints_it(hub: Hub) -> None:
    hub.add(failed(a_job(id="mine", labels={"team": "media"})))
    shown = hubctl(hub, "get", a_job().job_id)
    assert shown.exit_code == 0
    for text in ("failed", "mine", "team=media", "gs://media/film-1.mp4", "MP4 video, 1.0 MB", "moov atom not found"):
        assert text in shown.stdout
    printed = hubctl(hub, "get", a_job().job_id, "--json")
    assert JobView.model_validate_json(printed.stdout) == view(
        failed(a_job(id="mine", labels={"team": "media"})), hub.url, TARIFF
    )


def test_get_shows_what_the_job_cost_beside_the_other_route(hub: Hub) -> None:
    hub.add(succeeded(a_job()))
    shown = " ".join(hubctl(hub, "get", a_job().job_id).stdout.replace("│", " ").split())
    assert "cost about USD 0.0039 for 10 s of gpu-job; gke would have cost about USD 0.0027" in shown


def test_get_names_every_machine_that_worked_on_the_job(hub: Hub) -> None:
    spent = {Machine.GPU_JOB: 10.0, Machine.GKE_POD: 10.0}
    hub.add(succeeded(a_job()).model_copy(update={"machine_seconds": spent}))
    shown = " ".join(hubctl(hub, "get", a_job().job_id).stdout.replace("│", " ").split())
    assert (
        "cost about USD 0.0066 for 20 s of gpu-job and gke-pod; other routes would have cost about USD 0.0066" in shown
    )


def test_a_job_whose_cost_is_not_known_shows_none(hub: Hub) -> None:
    hub.add(a_job())
    assert "cost" not in hubctl(hub, "get", a_job().job_id).stdout


def test_artifact_goes_to_stdout_byte_for_byte(hub: Hub) -> None:
    hub.add(succeeded(a_job(), ARTIFACTS))
    result = hubctl(hub, "get", a_job().job_id, "--artifact", "thumbnails/0001.jpg")
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, ARTIFACTS["thumbnails/0001.jpg"], "")


def test_artifacts_are_downloaded_into_folders_of_their_own(hub: Hub, tmp_path: Path) -> None:
    hub.add(succeeded(a_job(), ARTIFACTS))
    result = hubctl(hub, "get", a_job().job_id, "--download", tmp_path / "out", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["state"] == "succeeded"
    for name, data in ARTIFACTS.items():
        assert (tmp_path / "out" / name).read_bytes() == data
    assert hubctl(hub, "get", a_job().job_id, "--artifact", "transcript.txt", "--output", tmp_path / "t").exit_code == 0
    assert (tmp_path / "t").read_bytes() == TEXT


def test_key_goes_to_the_hub_and_never_to_storage(hub: Hub, tmp_path: Path, film: Path) -> None:
    hub.arrives = lambda job: succeeded(job, ARTIFACTS)
    hubctl(hub, "submit", film)
    hubctl(hub, "get", hub.uploads[0].job.job_id, "--download", tmp_path / "out")
    storage = [*hub.of("GET", "/storage/.*"), *hub.of("PUT", ".*")]
    assert len(storage) == 6
    assert not [seen for seen in storage if KEY in str(seen.headers)]
    assert all(seen.headers["x-api-key"] == KEY for seen in hub.requests if seen.path.startswith("/v1/"))


def test_short_download_leaves_no_file(hub: Hub, tmp_path: Path) -> None:
    hub.add(succeeded(a_job(), ARTIFACTS))
    hub.artifacts["transcript.txt"] = TEXT[:5]
    result = hubctl(hub, "get", a_job().job_id, "--artifact", "transcript.txt", "--output", tmp_path / "t")
    assert (result.exit_code, "5 of the 42 bytes" in result.stderr) == (3, True)
    assert list(tmp_path.iterdir()) == []


def test_artifact_named_outside_of_the_folder_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.add(succeeded(a_job(), {"../evil": b"x"}))
    hub.artifacts["../evil"] = b"x"
    assert hubctl(hub, "get", a_job().job_id, "--download", tmp_path / "out").exit_code == 3
    assert list(tmp_path.rglob("evil")) == []


def test_file_that_cannot_be_written_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    hub.add(succeeded(a_job(), ARTIFACTS))
    (tmp_path / "file").touch()
    result = hubctl(hub, "get", a_job().job_id, "--artifact", "transcript.txt", "--output", tmp_path / "file" / "t")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "args", [("--output", "x"), ("--artifact", "a", "--download", "d"), ("--artifact", "a", "--json")]
)
def test_contradicting_options_of_get_are_bad_usage(hub: Hub, args: tuple[str, ...]) -> None:
    assert hubctl(hub, "get", a_job().job_id, *args).exit_code == 2
    assert hub.requests == []


def test_strangers_text_cannot_steer_the_terminal(hub: Hub) -> None:
    hub.add(failed(a_job(id="\x1b[2Jmine", reason="[red]as it is[/red]")))
    shown = hubctl(hub, "get", a_job().job_id).stdout
    assert "\x1b" not in shown
    assert "[red]as it is[/red]" in shown
