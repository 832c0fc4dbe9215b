from __future__ import annotations

from pathlib import Path

import pytest

from hubctl.client import HubClient
from hubctl.errors import UploadFailed
from hubctl.upload import CHUNK
from shared.api import Accepted, JobView
from tests.hubctl_jobs import ARTIFACTS, failed, succeeded
from tests.hubctl_run import FILM, Clock, hubctl
from tests.hubctl_server import Hub


def test_file_is_uploaded_in_chunks_and_followed_though_its_job_is_late(hub: Hub, film: Path) -> None:
    hub.arrives = lambda job: succeeded(job, ARTIFACTS)
    hub.looks += [None, None, None]
    result = hubctl(hub, "submit", film, "-o", "probe", "--id", "mine", "--json")
    assert result.exit_code == 0
    (upload,) = hub.uploads
    assert upload.data == FILM
    assert (upload.body.filename, upload.body.content_type, upload.body.id) == ("film.mp4", "video/mp4", "mine")
    assert [sent.headers["content-range"] for sent in hub.of("PUT", "/session/0")] == [
        f"bytes 0-{CHUNK - 1}/{len(FILM)}",
        f"bytes {CHUNK}-{2 * CHUNK - 1}/{len(FILM)}",
        f"bytes {2 * CHUNK}-{len(FILM) - 1}/{len(FILM)}",
    ]
    assert JobView.model_validate_json(result.stdout).job_id == upload.job.job_id


def test_file_without_operations_gets_its_default_profile(hub: Hub, film: Path) -> None:
    assert hubctl(hub, "submit", film, "--no-watch").exit_code == 0
    (sent,) = hub.of("POST", "/v1/uploads")
    assert "operations" not in sent.json


def test_unwatched_upload_answers_as_an_address_does(hub: Hub, film: Path) -> None:
    result = hubctl(hub, "submit", film, "--no-watch", "--json")
    assert Accepted.model_validate_json(result.stdout).job_id == hub.uploads[0].job.job_id
    assert "session" not in result.output


def test_refused_upload_tells_why_though_nobody_watches(hub: Hub, film: Path) -> None:
    hub.arrives = failed
    result = hubctl(hub, "submit", film, "--no-watch")
    assert (result.exit_code, "moov atom not found" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([None, ("cut", 3 * 2**20 + 5)], id="chunk cut in the middle"),
        pytest.param([("cut", 10)], id="nothing kept of the first chunk"),
        pytest.param([503, None, 500], id="storage answers 5xx"),
        pytest.param([429], id="too many requests"),
        pytest.param(["lose the answer"], id="chunk kept, answer lost"),
        pytest.param([None, None, "lose the answer"], id="last answer lost"),
        pytest.param([None, ("cut", 2**20), ("cut", 0), 503], id="asking how far it is fails, too"),
        pytest.param(["keep nothing"], id="308 without a Range"),
    ],
)
def test_interrupted_upload_goes_on_from_what_storage_has(
    hub: Hub, client: HubClient, film: Path, faults: list[object]
) -> None:
    hub.faults += faults
    sent: list[int] = []
    ticket = client.upload(film, on_bytes=sent.append)
    (upload,) = hub.uploads
    assert upload.data == FILM
    assert upload.is_done
    assert ticket.job_id == upload.job.job_id
    assert max(sent) == len(FILM)
    assert any(put.headers["content-range"] == f"bytes */{len(FILM)}" for put in hub.of("PUT", "/session/0"))


def test_what_storage_has_kept_of_a_cut_chunk_is_not_sent_again(hub: Hub, client: HubClient, film: Path) -> None:
    hub.faults += [None, ("cut", 3 * 2**20 + 5)]
    client.upload(film)
    start = CHUNK + 3 * 2**20
    ranges = [put.headers["content-range"] for put in hub.of("PUT", "/session/0")]
    assert ranges[2:4] == [f"bytes */{len(FILM)}", f"bytes {start}-{len(FILM) - 1}/{len(FILM)}"]


@pytest.mark.parametrize("gone", [404, 410])
def test_forgotten_session_starts_anew(hub: Hub, client: HubClient, film: Path, gone: int) -> None:
    hub.faults += [None, gone]
    ticket = client.upload(film)
    assert [bytes(upload.data) == FILM for upload in hub.uploads] == [False, True]
    assert ticket.job_id == hub.uploads[1].job.job_id


def test_session_forgotten_because_it_is_done_makes_no_second_job(hub: Hub, client: HubClient, film: Path) -> None:
    hub.faults += [None, None, "lose the answer", 404]
    hub.looks += [None]
    ticket = client.upload(film)
    assert [upload.job.job_id for upload in hub.uploads] == [ticket.job_id]


def test_upload_without_progress_is_given_up(hub: Hub, client: HubClient, film: Path, clock: Clock) -> None:
    hub.faults += [503] * 50
    with pytest.raises(UploadFailed, match=r"film\.mp4 was given up: storage answers 503"):
        client.upload(film)
    assert clock.slept == [0.5, 1, 2, 4, 8, 16, 32]


def test_object_that_storage_cut_short_is_no_success(client: HubClient, hub: Hub, film: Path) -> None:
    hub.faults += [None, "end early"]
    with pytest.raises(UploadFailed, match=rf"kept {2 * CHUNK} of the {len(FILM)} bytes of film\.mp4"):
        client.upload(film)


def test_refused_upload_is_one_sentence(hub: Hub, film: Path) -> None:
    hub.faults += [403]
    result = hubctl(hub, "submit", film)
    assert (result.exit_code, "storage refused film.mp4: 403" in result.stderr) == (3, True)
