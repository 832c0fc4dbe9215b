"""Who may import whom (DESIGN section 8): main → functions → shared ← workers, and each Google client in one file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.wiring.tree import OURS, imported, imports, imports_any, module, nodes, python_files, reached

#: What the files of one folder may import of ours.
ARROWS = {
    "main": {"functions", "shared"},
    "functions": {"functions", "shared"},
    "shared": {"shared"},
    "workers": {"workers", "shared"},
    "hubctl": {"hubctl", "shared"},
    "deploy": {"deploy", "shared", "monitoring"},
    "monitoring": {"monitoring", "shared"},
}
HEAVY = frozenset({"av", "torch", "faster_whisper", "ctranslate2", "PIL", "numpy", "onnxruntime"})
#: The one file that imports each client.
CLIENTS = {
    "google.cloud.storage": "shared/gcs.py",
    "google.pubsub_v1": "shared/pubsub.py",
    "google.cloud.tasks_v2": "shared/queues.py",
    "google.cloud.run_v2": "shared/executions.py",
    "google.oauth2": "shared/callers.py",
    "opentelemetry": "shared/trace_export.py",
}
#: What every client needs besides itself.
GOOGLE_FILES = {*CLIENTS.values(), "shared/backlog.py"}
CONSTRUCTED = {
    "GcsObjects": "shared/gcs.py",
    "PubSubTopics": "shared/pubsub.py",
    "CloudTasksQueues": "shared/queues.py",
    "CloudRunExecutions": "shared/executions.py",
    "OidcCallers": "shared/callers.py",
    "PrometheusBacklog": "shared/backlog.py",
    "OtelTracer": "shared/trace_export.py",
}
#: The words that callers and service share; hubctl speaks HTTP and needs no more.
MODELS = {
    f"shared.{name}"
    for name in (
        *("api", "api_letters", "letters", "job", "job_parts", "machines", "costs", "operations", "moments"),
        *("classify", "formats", "sniff", "routing", "lanes", "errors", "faults"),
    )
}
PRODUCT = ("main", "functions", "shared", "workers", "hubctl")


def is_media(file: Path) -> bool:
    return file.parts[:2] == ("shared", "media")


def names(paths: list[Path]) -> list[str]:
    return [str(path) for path in paths]


def test_reader_sees_imports_wherever_they_stand() -> None:
    source = "import a.b\ndef f():\n    from c import d\nif TYPE_CHECKING:\n    from . import e\n"
    assert imports(ast.walk(ast.parse(source))) == {"a.b", "c", "c.d", ".", "..e"}


@pytest.mark.parametrize("folder", ARROWS)
def test_folder_imports_only_where_its_arrows_point(folder: str) -> None:
    files = python_files(folder)
    assert files
    for file in files:
        tops = {name.partition(".")[0] for name in imported(file)} & OURS
        assert tops <= ARROWS[folder], f"{file} imports {sorted(tops - ARROWS[folder])}"


def test_imports_are_absolute() -> None:
    assert [str(file) for file in python_files() if any(name.startswith(".") for name in imported(file))] == []


def test_entry_points_never_load_media_or_its_libraries() -> None:
    loaded = reached("main")
    assert {"functions.ingest", "shared.work", "shared.gcs"} & loaded == {"functions.ingest", "shared.gcs"}
    assert [name for name in sorted(loaded) if name.startswith("shared.media")] == []


def test_only_media_and_workers_import_heavy_libraries() -> None:
    light = [file for file in python_files("main", "functions", "shared", "hubctl") if not is_media(file)]
    assert {str(file): found for file in light if (found := imports_any(file, HEAVY))} == {}
    assert any(imports_any(file, HEAVY) for file in python_files("shared"))


def test_only_workers_import_media() -> None:
    users = [file for file in python_files(*PRODUCT) if imports_any(file, frozenset({"shared.media"}))]
    assert names([file for file in users if not is_media(file) and file.parts[0] != "workers"]) == []


def test_the_two_workers_know_nothing_of_each_other() -> None:
    for one, other in (("cpu", "gpu"), ("gpu", "cpu")):
        mine = [file for file in python_files("workers") if file.parts[1] == one]
        assert mine
        assert names([file for file in mine if imports_any(file, frozenset({f"workers.{other}"}))]) == []


def test_functions_know_nothing_of_each_others_handlers() -> None:
    entry_points = {module(file) for file in python_files("functions") if len(file.parts) == 2}
    for file in python_files("functions"):
        if len(file.parts) == 2:
            others = imports_any(file, frozenset(entry_points - {module(file), "functions"}))
            assert others == set(), f"{file} imports {others}"


@pytest.mark.parametrize(("client", "home"), CLIENTS.items())
def test_each_client_is_imported_by_one_file(client: str, home: str) -> None:
    users = [file for file in python_files(*PRODUCT) if imports_any(file, frozenset({client}))]
    assert names(users) == [home]


@pytest.mark.parametrize("library", ["google", "grpc", "requests"])
def test_google_and_its_transports_stay_in_the_clients_files(library: str) -> None:
    users = {str(file) for file in python_files(*PRODUCT) if imports_any(file, frozenset({library}))}
    assert users
    assert users <= GOOGLE_FILES


def test_flask_stays_at_the_door() -> None:
    users = [file for file in python_files(*PRODUCT) if imports_any(file, frozenset({"flask", "functions_framework"}))]
    at_the_door = ["shared/problems.py", "shared/request_body.py"]
    assert names([file for file in users if file.parts[0] != "functions"]) == at_the_door


@pytest.mark.parametrize(("name", "home"), CONSTRUCTED.items())
def test_services_alone_constructs_clients(name: str, home: str) -> None:
    users = {
        str(file)
        for file in python_files(*PRODUCT)
        for node in nodes(file)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    }
    assert users - {home} == {"shared/services.py"}


def test_only_drainers_construct_a_subscription() -> None:
    users = [file for file in python_files(*PRODUCT) if "shared.pubsub.PubSubSubscription" in imported(file)]
    assert names(users) == ["workers/gpu/main.py"]


def test_hubctl_needs_the_models_and_no_client() -> None:
    files = python_files("hubctl")
    for file in files:
        ours = {name for name in imported(file) if name.startswith("shared.")}
        foreign = {name for name in ours if not any(name == known or name.startswith(f"{known}.") for known in MODELS)}
        assert foreign == set(), f"{file} imports {sorted(foreign)}"
    loaded = reached(*(module(file) for file in files), *MODELS)
    assert loaded >= MODELS
    assert loaded & {module(Path(file)) for file in GOOGLE_FILES} == set()


def test_environment_is_read_in_two_files_only() -> None:
    users = []
    for file in python_files("main", "functions", "shared", "workers"):
        reads = any(
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            and node.attr in ("environ", "environb", "getenv", "getenvb", "putenv")
            for node in nodes(file)
        )
        if reads or imported(file) & {"os.environ", "os.getenv"}:
            users.append(str(file))
    assert users == ["shared/log.py", "shared/settings.py"]
