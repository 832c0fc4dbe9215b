"""fake-gcs-server as it is started here: what it must do like Cloud Storage, and its events up to the function."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from cloudevents.http import from_http
from google.api_core.exceptions import PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.pubsub_v1 import types as pubsub

from local import pubsub as local_pubsub
from local import storage as local_storage
from local.eventarc import EventarcShim, Trigger
from local.ports import LOOPBACK, Ports
from local.processes import MissingTool, Processes
from tests.contract.conftest import PROJECT, PubSub
from tests.fakes.http_target import Target, http_target
from tests.waiting import eventually

TOPIC = "local-storage-events"


def client_of(port: int) -> storage.Client:
    """As STORAGE_EMULATOR_HOST would have it."""
    options = {"api_endpoint": f"http://{LOOPBACK}:{port}"}
    return storage.Client(project=PROJECT, credentials=AnonymousCredentials(), client_options=options)


@pytest.fixture(scope="module")
def function() -> Iterator[Target]:
    with http_target() as target:
        yield target


@pytest.fixture(scope="module")
def port(
    pub_sub: PubSub, processes: Processes, ports: Ports, function: Target, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The server with two buckets, whose events go through Pub/Sub and the shim to the function."""
    folder = tmp_path_factory.mktemp("storage")
    port = ports.take()
    topic = pub_sub.publisher.topic_path(PROJECT, TOPIC)
    pub_sub.publisher.create_topic(name=topic)
    child = local_storage.start(
        processes,
        port=port,
        data_dir=folder / "data",
        log=folder / "log",
        project=PROJECT,
        event_topic=TOPIC,
        pubsub_port=int(pub_sub.address.rpartition(":")[2]),
    )
    with EventarcShim([Trigger("uploads", function.url)]) as shim, client_of(port) as client:
        client.create_bucket("uploads")
        client.create_bucket("results")
        pub_sub.subscriber.create_subscription(
            pubsub.Subscription(
                name=pub_sub.subscriber.subscription_path(PROJECT, TOPIC),
                topic=topic,
                push_config=pubsub.PushConfig(push_endpoint=shim.url),
            )
        )
        yield port
        child.stop()


@pytest.fixture
def client(port: int) -> Iterator[storage.Client]:
    with client_of(port) as client:
        yield client


def test_of_many_writers_of_an_absent_object_exactly_one_wins(client: storage.Client) -> None:
    together = threading.Barrier(8)

    def wins(number: int) -> bool:
        blob = client.bucket("results").blob("slot")
        together.wait()
        try:
            blob.upload_from_string(str(number), if_generation_match=0, retry=None)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(wins, range(8)))
    assert sum(won) == 1
    assert client.bucket("results").blob("slot").download_as_text() == str(won.index(True))


def test_write_over_another_generation_is_refused(client: storage.Client) -> None:
    blob = client.bucket("results").blob("record")
    blob.upload_from_string("1")
    first = blob.generation
    client.bucket("results").blob("record").upload_from_string("2", if_generation_match=first)
    with pytest.raises(PreconditionFailed):
        client.bucket("results").blob("record").upload_from_string("3", if_generation_match=first)
    assert client.bucket("results").blob("record").download_as_text() == "2"


def test_resumable_session_is_filled_by_plain_http_and_becomes_the_job(
    client: storage.Client, port: int, function: Target
) -> None:
    blob = client.bucket("uploads").blob("in/talk é.mp4")
    blob.metadata = {"operations": '["probe"]', "id": "42"}
    url = blob.create_resumable_upload_session(content_type="video/mp4")
    assert url.startswith(f"http://{LOOPBACK}:{port}/")
    before = len(function.received)
    content = bytes(range(256)) * 4096
    answer = httpx.put(url, content=content, headers={"Content-Type": "video/mp4"}, trust_env=False)
    assert answer.status_code == 200

    stored = client.bucket("uploads").get_blob("in/talk é.mp4")
    assert stored.download_as_bytes() == content
    eventually(lambda: len(function.received) > before)
    received = function.received[-1]
    event = from_http(dict(received.headers), received.body)
    assert event["type"] == "google.cloud.storage.object.v1.finalized"
    assert event["source"] == "//storage.googleapis.com/projects/_/buckets/uploads"
    assert event.data["name"] == "in/talk é.mp4"
    assert event.data["metadata"] == {"operations": '["probe"]', "id": "42"}
    assert event.data["contentType"] == "video/mp4"
    assert (event.data["size"], event.data["generation"]) == (str(len(content)), str(stored.generation))


def test_resumable_upload_in_pieces(client: storage.Client) -> None:
    content = bytes(range(256)) * 4096
    blob = client.bucket("results").blob("big", chunk_size=256 * 1024)
    with blob.open("wb", content_type="video/mp4") as file:
        file.write(content)
    assert client.bucket("results").blob("big").download_as_bytes() == content


def test_media_link_leads_to_the_content(client: storage.Client) -> None:
    blob = client.bucket("results").blob("a/b.txt")
    blob.upload_from_string("hello")
    blob.reload()
    assert httpx.get(blob.media_link, trust_env=False).text == "hello"


def test_one_event_for_each_upload_and_none_for_other_buckets_or_lost_races(
    client: storage.Client, function: Target
) -> None:
    before = len(function.received)
    client.bucket("results").blob("no-event").upload_from_string("x")
    for number in range(30):
        blob = client.bucket("uploads").blob(f"burst/{number}")
        blob.upload_from_string("x", if_generation_match=0)
        with pytest.raises(PreconditionFailed):
            client.bucket("uploads").blob(f"burst/{number}").upload_from_string("y", if_generation_match=0)
    client.bucket("uploads").blob("burst/last").upload_from_string("x")

    def names() -> list[str]:
        return [from_http(dict(each.headers), each.body).data["name"] for each in function.received[before:]]

    eventually(lambda: len(names()) == 31)
    assert sorted(names()) == sorted([*(f"burst/{number}" for number in range(30)), "burst/last"])


def test_event_that_the_function_did_not_take_comes_again(client: storage.Client, function: Target) -> None:
    before = len(function.received)
    function.answers(500, 503)
    client.bucket("uploads").blob("again").upload_from_string("x")
    eventually(lambda: len(function.received) == before + 3, within_s=20)
    ids = {received.headers["ce-id"] for received in function.received[before:]}
    assert len(ids) == 1


def test_objects_survive_a_restart_on_the_same_port(processes: Processes, ports: Ports, tmp_path: Path) -> None:
    port = ports.take()
    generation = None
    for _ in range(2):
        child = local_storage.start(
            processes, port=port, data_dir=tmp_path / "data", log=tmp_path / "log", project=PROJECT
        )
        with client_of(port) as client:
            if generation is None:
                blob = client.create_bucket("state").blob("jobs/1.json")
                blob.metadata = {"a": "b"}
                blob.upload_from_string("{}")
                generation = blob.generation
            kept = client.bucket("state").get_blob("jobs/1.json")
            assert (kept.generation, kept.metadata, kept.download_as_text()) == (generation, {"a": "b"}, "{}")
        child.kill()


def test_missing_emulator_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match="gcloud components install pubsub-emulator"):
        local_pubsub.emulator_jar([tmp_path])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with Processes() as processes, pytest.raises(MissingTool, match="default-jre-headless"):
        local_pubsub.start(processes, port=1, log=tmp_path / "log")
