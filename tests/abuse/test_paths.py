"""Names that climb out of where they belong: of objects, jobs, artifacts, uploads."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from shared.media.messages import Made
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import MP4, SHOP, change, event, record, serving, submitted

CLIMBING = (
    *("..", ".", "../x", "../../state/jobs/x.json", "/etc/passwd", "a/../../b", "..\\..\\x", "....//x", "%2e%2e/x"),
    *("..%2f..%2fx", "..%252fx", "%00", "x\x00.json", "transcript.json/", "./transcript.json", "transcript.json%00"),
    *("thumbnails/../transcript.json", "//transcript.json", "\u2024\u2024/x", "\uff0e\uff0e/x", "C:\\x", "~root"),
)
OBJECTS = ("..", ".", "", "\u00e9" * 513)


@pytest.fixture
def everything() -> FakeServices:
    return fake_services()


@pytest.mark.parametrize("name", CLIMBING)
def test_an_artifact_is_what_the_record_lists_and_nothing_else(name: str, everything: FakeServices) -> None:
    job_id = change(everything, submitted(everything).job_id, "leased", "succeeded").job_id
    with serving("ingest", everything) as client:
        told = client.get(f"/v1/jobs/{job_id}/artifacts/{name}", headers=SHOP)
        assert told.status_code == 404
        assert client.get(f"/v1/jobs/{job_id}/artifacts/transcript.json", headers=SHOP).status_code == 302


@pytest.mark.parametrize("name", CLIMBING)
def test_a_job_is_32_digits_and_nothing_else(name: str, everything: FakeServices) -> None:
    submitted(everything)
    before = list(everything.faults.calls)
    with serving("ingest", everything) as client:
        for call in (client.get, client.post):
            for ending in ("", ":cancel", ":redrive", "/artifacts/x"):
                assert call(f"/v1/jobs/{name}{ending}", headers=SHOP).status_code in (308, 400, 404, 405, 415), name
    assert everything.faults.calls == before


@pytest.mark.parametrize("name", OBJECTS)
def test_a_source_has_a_name_that_storage_takes(name: str, everything: FakeServices) -> None:
    """`..` would end up in the path of a request, and mean the bucket."""
    with serving("ingest", everything) as client:
        told = client.post("/v1/jobs", json={"source": f"gs://uploads/{name}", "operations": ["probe"]}, headers=SHOP)
    assert told.status_code == 400


def test_a_source_is_in_the_bucket_that_it_names(everything: FakeServices) -> None:
    """A name that climbs is a name: storage knows no folders."""
    everything.objects.put("uploads", "../state/jobs/x.json", MP4)
    body = {"operations": ["probe"]}
    with serving("ingest", everything) as client:
        told = client.post("/v1/jobs", json={"source": "gs://uploads/../state/jobs/x.json", **body}, headers=SHOP)
        assert told.status_code == 202
        assert record(everything, told.json["job_id"]).source.bucket_and_name == ("uploads", "../state/jobs/x.json")
        for place in ("gs://state/jobs/x.json", "gs://uploads.evil/x", "gs://uploads@state/x", "gs://UPLOADS/x"):
            refused = client.post("/v1/jobs", json={"source": place, **body}, headers=SHOP)
            assert refused.status_code == 400, place


@pytest.mark.parametrize("name", [".", "..", "a/b", "../b", "a\\b", "a\x00b", "a\nb", "", "a" * 201])
def test_an_upload_has_a_name_and_no_path(name: str, everything: FakeServices) -> None:
    with serving("ingest", everything) as client:
        told = client.post("/v1/uploads", json={"filename": name, "content_type": "video/mp4"}, headers=SHOP)
    assert told.status_code == 400


@pytest.mark.parametrize("name", ["a.mp4", "...", "..a", ".hidden", "....mp4", "a..b", "\u00e9t\u00e9 1.mp4"])
def test_names_that_only_look_odd_are_names(name: str, everything: FakeServices) -> None:
    with serving("ingest", everything) as client:
        told = client.post("/v1/uploads", json={"filename": name, "content_type": "video/mp4"}, headers=SHOP)
    assert told.status_code == 201
    assert told.json["object"].endswith(f"/{name}")


@pytest.mark.parametrize("message_id", ["../../jobs/x", "a/b", "", ".", "x" * 101, "a\nb", 7, None, ["a"]])
def test_a_letters_name_is_no_path(message_id: object, everything: FakeServices) -> None:
    body = event("dead_letter_push.json")
    body["message"] |= {"messageId": message_id, "data": "bm90aGluZw=="}
    with serving("dead_letter", everything) as client:
        assert client.post("/", json=body).status_code == 204
    (name,) = everything.objects.names("state", "dead-letters/")
    assert re.fullmatch(r"dead-letters/\d{4}-\d\d-\d\d/message-[0-9a-f]{32}\.json", name)


@pytest.mark.parametrize("name", CLIMBING)
def test_a_decoders_child_names_no_file_elsewhere(name: str) -> None:
    """What decodes strangers' files is not trusted: the worker would upload whatever it names."""
    with pytest.raises(ValidationError):
        Made(name=name, content_type="text/plain")
    assert Made(name="thumbnails/0001.jpg", content_type="image/jpeg")
