from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from shared.classify import FileFacts, classify, presume
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.formats import FORMATS
from shared.operations import Operation
from shared.routing import Destination, Route, RoutingRules, Wish, filter_text, route
from shared.settings import Settings
from tests.unit.pubsub_filter import matches
from tests.unit.samples import MEDIA_TYPES

GPU_TYPES = frozenset({"mp4", "mov", "wav"})
OPEN = RoutingRules(gpu_file_types=GPU_TYPES, gke_enabled=True, max_gpu_executions=2)
NO_GKE = RoutingRules(gpu_file_types=GPU_TYPES, gke_enabled=False, max_gpu_executions=2)
ONE_SLOT = RoutingRules(gpu_file_types=GPU_TYPES, gke_enabled=True, max_gpu_executions=1)

GPU, GKE, CPU = Destination.GPU, Destination.GKE, Destination.CPU
TRANSCRIBE, LIGHT = ("transcribe",), ("probe", "thumbnails", "storyboard", "shots", "loudness", "waveform")


def facts_of(file_type: str) -> FileFacts:
    row = FORMATS[file_type]
    return FileFacts(kind=row.kind, file_type=file_type, content_type=row.content_types[0], size=1, found=row.phrase)


def routed(
    file_type: str = "mp4",
    names: tuple[str | dict[str, str], ...] = TRANSCRIBE,
    wish: Wish | None = None,
    slots_taken: int | None = 0,
    backlog: int | None = 0,
    rules: RoutingRules = OPEN,
) -> Route:
    operations = TypeAdapter(tuple[Operation, ...]).validate_python(names)
    return route(facts_of(file_type), operations, wish=wish, slots_taken=slots_taken, backlog=backlog, rules=rules)


#: What is asked, where it goes, and the whole reason.
TABLE = [
    # Work for the GPU on its file types.
    ({}, GPU, "gpu: transcribe on mp4"),
    ({"file_type": "mov"}, GPU, "gpu: transcribe on mov"),
    ({"file_type": "wav"}, GPU, "gpu: transcribe on wav"),
    ({"names": (*LIGHT, "transcribe", "transcribe")}, GPU, "gpu: transcribe on mp4"),
    ({"names": ("probe", {"name": "shots", "model": "transnetv2"})}, GPU, "gpu: shots on mp4"),
    # Light work and other types.
    ({"names": ({"name": "shots", "model": "luma"},)}, CPU, "cpu: no operation needs the GPU"),
    ({"names": LIGHT}, CPU, "cpu: no operation needs the GPU"),
    ({"names": ()}, CPU, "cpu: no operation needs the GPU"),
    ({"names": LIGHT, "slots_taken": 2}, CPU, "cpu: no operation needs the GPU"),
    (
        {"file_type": "mp3"},
        CPU,
        "cpu: transcribe on mp3, which is not among the GPU's file types (mov, mp4, wav)",
    ),
    ({"file_type": "png", "names": LIGHT}, CPU, "cpu: no operation needs the GPU"),
    # The GPU Job is busy: slots.
    ({"slots_taken": 1}, GPU, "gpu: transcribe on mp4"),
    ({"slots_taken": 2}, GKE, "gpu: transcribe on mp4; all 2 GPU slots are taken, so GKE takes it"),
    ({"slots_taken": 3}, GKE, "gpu: transcribe on mp4; all 2 GPU slots are taken, so GKE takes it"),
    (
        {"slots_taken": 1, "rules": ONE_SLOT},
        GKE,
        "gpu: transcribe on mp4; the only GPU slot is taken, so GKE takes it",
    ),
    ({"slots_taken": 2, "rules": NO_GKE}, GPU, "gpu: transcribe on mp4"),
    # The GPU Job is busy: backlog.
    ({"backlog": 99}, GPU, "gpu: transcribe on mp4"),
    (
        {"backlog": 100},
        GKE,
        "gpu: transcribe on mp4; 100 messages wait for the GPU (the limit is 100), so GKE takes it",
    ),
    ({"backlog": 250, "rules": NO_GKE}, GPU, "gpu: transcribe on mp4"),
    # What is not known speaks for "not busy", and does not hide the other number.
    ({"slots_taken": None, "backlog": None}, GPU, "gpu: transcribe on mp4"),
    (
        {"slots_taken": None, "backlog": 100},
        GKE,
        "gpu: transcribe on mp4; 100 messages wait for the GPU (the limit is 100), so GKE takes it",
    ),
    (
        {"slots_taken": 2, "backlog": None},
        GKE,
        "gpu: transcribe on mp4; all 2 GPU slots are taken, so GKE takes it",
    ),
    # X-Destination moves work bound for the GPU, and nothing else.
    ({"wish": "gke"}, GKE, "gpu: transcribe on mp4; X-Destination asks for gke"),
    ({"wish": "cloud-run", "slots_taken": 2}, GPU, "gpu: transcribe on mp4; X-Destination asks for cloud-run"),
    ({"wish": "cloud-run", "rules": NO_GKE}, GPU, "gpu: transcribe on mp4; X-Destination asks for cloud-run"),
    (
        {"wish": "gke", "names": LIGHT},
        CPU,
        "cpu: no operation needs the GPU; X-Destination: gke moves only work bound for the GPU",
    ),
    (
        {"wish": "gke", "file_type": "mkv"},
        CPU,
        "cpu: transcribe on mkv, which is not among the GPU's file types (mov, mp4, wav); "
        "X-Destination: gke moves only work bound for the GPU",
    ),
    (
        {"wish": "cloud-run", "names": LIGHT},
        CPU,
        "cpu: no operation needs the GPU; X-Destination: cloud-run moves only work bound for the GPU",
    ),
]


@pytest.mark.parametrize(("question", "destination", "reason"), TABLE)
def test_every_rule(question: dict, destination: Destination, reason: str) -> None:
    assert routed(**question) == Route(destination, reason)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"", "an empty file"),
        (b"%PDF-1.7", "a PDF document"),
        (b"hello\n", "plain text"),
        (b"\0\1", "unknown binary data"),
    ],
)
def test_what_is_not_media_is_refused_with_what_was_found(head: bytes, found: str) -> None:
    facts = classify("film.mp4", "video/mp4", head, len(head))

    with pytest.raises(UnsupportedMedia, match=rf"not video, audio or an image: found {found}\.$"):
        route(facts, (), wish=None, slots_taken=0, backlog=0, rules=OPEN)


@pytest.mark.parametrize("file_type", ["mp4", "pdf"])
@pytest.mark.parametrize("names", [TRANSCRIBE, LIGHT])
def test_asking_for_gke_where_it_is_off_is_a_bad_request(file_type: str, names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        routed(file_type, names, wish="gke", rules=NO_GKE)

    assert caught.value.reason_code == "gke_disabled"
    assert [fault.field for fault in caught.value.faults] == ["X-Destination"]


def test_a_source_that_could_not_be_read_goes_where_any_type_may_go() -> None:
    unread = presume("download", None, None)
    operations = TypeAdapter(tuple[Operation, ...]).validate_python(TRANSCRIBE)

    found = route(unread, operations, wish=None, slots_taken=0, backlog=0, rules=OPEN)

    assert found == Route(CPU, "cpu: transcribe on a source that could not be read yet")


def test_content_decides_over_the_name() -> None:
    facts = classify("song.mp3", "audio/mpeg", b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00", 16)
    operations = TypeAdapter(tuple[Operation, ...]).validate_python(TRANSCRIBE)

    assert route(facts, operations, wish=None, slots_taken=0, backlog=0, rules=OPEN).destination == GPU


DEFAULT_GPU_TYPES = frozenset(Settings.model_fields["gpu_file_types"].default)


@pytest.mark.parametrize("gpu_types", [DEFAULT_GPU_TYPES, frozenset({"wav"}), frozenset({"mp4", "mkv", "webm", "3gp"})])
def test_the_filter_passes_exactly_what_the_router_sends_to_the_gpu(gpu_types: frozenset[str]) -> None:
    rules = RoutingRules(gpu_file_types=gpu_types, gke_enabled=True, max_gpu_executions=2)

    passed = {name for name in FORMATS if matches(filter_text(gpu_types), {"fileType": name})}
    sent = {name for name in MEDIA_TYPES if routed(name, rules=rules).destination is not CPU}

    assert passed == sent == gpu_types
    assert not matches(filter_text(gpu_types), {})


def test_the_default_gpu_types_are_types_the_classifier_knows() -> None:
    assert DEFAULT_GPU_TYPES <= MEDIA_TYPES


def test_the_filter_text_is_stable() -> None:
    assert filter_text(["wav", "mov", "mp4", "wav"]) == (
        'attributes.fileType = "mov" OR attributes.fileType = "mp4" OR attributes.fileType = "wav"'
    )


@pytest.mark.parametrize("gpu_types", [(), ('mp4" OR attributes:x',), (".mp4",), ("MP4",), ("",), sorted(MEDIA_TYPES)])
def test_a_filter_that_pubsub_would_refuse_or_misread_is_not_made(gpu_types: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="file type"):
        filter_text(gpu_types)
