"""The entry points as the platform finds them: root main.py, plain functions, named as they are deployed."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import functions_framework
import pytest
from functions_framework import _function_registry as registry

import main
import shared
from shared.resources import declared
from tests.wiring.tree import ROOT, imports, parsed, python_files

DECLARED = sorted(declared().functions)
FILES = {file.stem: file for file in python_files("functions") if len(file.parts) == 2 and file.stem != "__init__"}


def test_main_exports_exactly_the_declared_functions() -> None:
    assert sorted(main.__all__) == DECLARED


def test_each_function_has_a_file_of_its_name() -> None:
    assert sorted(FILES) == DECLARED


@pytest.mark.parametrize("name", DECLARED)
def test_entry_point_is_a_plain_function_under_its_own_name(name: str) -> None:
    """An alias would be deployed with the wrong signature: the framework looks a function's type up by `__name__`."""
    function = getattr(main, name)
    assert inspect.isfunction(function)
    assert (function.__name__, function.__module__) == (name, f"functions.{name}")


@pytest.mark.parametrize("name", DECLARED)
def test_framework_serves_the_entry_point_from_main(name: str) -> None:
    app = functions_framework.create_app(name, str(ROOT / "main.py"))
    expected = "cloudevent" if name == "on_upload" else "http"
    assert registry.get_func_signature_type(name, None) == expected
    takes_get = app.url_map.bind("localhost").test("/", method="GET")
    assert takes_get is (expected == "http")


@pytest.mark.parametrize("name", DECLARED)
def test_docstring_says_trigger_does_acks_raises(name: str) -> None:
    tree = parsed(FILES[name])
    doc = next(iter(tree.body)).value.value  # type: ignore[attr-defined]
    words = re.findall(r"^(Trigger|Does|Acks|Raises)\b", doc, re.MULTILINE)
    assert words == ["Trigger", "Does", "Acks", "Raises"]


def test_shared_is_this_repositorys_own() -> None:
    """Not a stale copy that some requirements file installed."""
    assert Path(shared.__file__ or "").resolve().is_relative_to(ROOT)


def load(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", program],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_on_the_platform_a_bad_setting_fails_the_deployment() -> None:
    run = load("import main", K_SERVICE="ingest", PROJECT="p")
    assert run.returncode == 1
    assert "INGEST_URL" in run.stderr


def test_main_loads_without_settings_and_without_media_libraries() -> None:
    """A build loads main.py before any setting is there; and what is loaded is paid for at each cold start."""
    program = "import json, sys, main; json.dump(sorted({n.partition('.')[0] for n in sys.modules}), sys.stdout)"
    run = load(program)
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stdout))
    assert {"shared", "functions", "google"} <= loaded
    assert loaded & {"av", "torch", "faster_whisper", "ctranslate2", "PIL", "numpy", "local", "tests"} == set()


@pytest.mark.parametrize("worker", ["gpu", "cpu"])
def test_worker_hears_a_sigterm_while_it_imports(worker: str) -> None:
    """The kernel keeps a signal without a handler from a container's first process."""
    file = Path("workers", worker, "__main__.py")
    at_the_top = {
        name for node in parsed(file).body if isinstance(node, ast.Import | ast.ImportFrom) for name in imports([node])
    }
    assert at_the_top == {"sys", "time", "workers.signals", "workers.signals.stop_on_sigterm"}
    program = (
        "import sys, workers.signals; print(sorted({n.partition('.')[0] for n in sys.modules} & {'shared', 'av'}))"
    )
    assert load(program).stdout == "[]\n"
