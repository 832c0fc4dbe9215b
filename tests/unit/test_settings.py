from __future__ import annotations

import json
import os

import pytest
from pydantic import ValidationError

from shared import webhooks
from shared.settings import Settings, from_environment, parse

REQUIRED = {
    "PROJECT": "shop-prod",
    "REGION": "us-central1",
    "GPU_REGION": "us-east4",
    "UPLOADS_BUCKET": "uploads",
    "RESULTS_BUCKET": "results",
    "STATE_BUCKET": "state",
    "INGEST_URL": "https://ingest.example",
    "DISPATCH_URL": "https://dispatch.example",
    "DELIVER_URL": "https://deliver.example",
    "INVOKER_ACCOUNTS": "a@x.iam.gserviceaccount.com, b@x.iam.gserviceaccount.com,",
    "AUDIENCES": "https://dispatch.example,https://deliver.example",
    "TASKS_ACCOUNT": "a@x.iam.gserviceaccount.com",
}
EMULATORS = {
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:1",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:2",
    "TASKS_EMULATOR_HOST": "127.0.0.1:3",
    "RUN_EMULATOR_HOST": "127.0.0.1:4",
}
LOCAL = {**REQUIRED, **EMULATORS, "PROJECT": "local-hub", "LOCAL_CLOUD": "true"}
KEYS = [{"name": "shop", "key": "k1"}, {"name": "operator", "key": "k2", "sees": "all"}]


def test_the_required_variables_are_enough() -> None:
    settings = parse(REQUIRED)
    assert (settings.project, settings.gpu_file_types, settings.enable_gke_route) == (
        "shop-prod",
        ("mp4", "mov", "wav"),
        False,
    )
    assert settings.invoker_accounts == ("a@x.iam.gserviceaccount.com", "b@x.iam.gserviceaccount.com")


def test_text_becomes_numbers_lists_and_switches() -> None:
    settings = parse(
        {
            **REQUIRED,
            "GPU_FILE_TYPES": "mp4 , mkv",
            "ENABLE_GKE_ROUTE": "true",
            "MAX_ATTEMPTS": "7",
            "BEAT_SECONDS": "2.5",
            "API_KEYS": json.dumps(KEYS),
        }
    )
    assert (settings.gpu_file_types, settings.enable_gke_route) == (("mp4", "mkv"), True)
    assert (settings.max_attempts, settings.beat_seconds) == (7, 2.5)
    assert [(key.name, key.key.get_secret_value(), key.sees) for key in settings.api_keys] == [
        ("shop", "k1", "own"),
        ("operator", "k2", "all"),
    ]


def test_an_empty_variable_counts_as_absent() -> None:
    assert parse({**REQUIRED, "MAX_ATTEMPTS": "", "ALERT_TOKEN": ""}) == parse(REQUIRED)
    with pytest.raises(ValidationError, match="REGION"):
        parse({**REQUIRED, "REGION": ""})


def test_all_faults_are_told_at_once() -> None:
    wrong = {**REQUIRED, "MAX_ATTEMPTS": "many", "BEAT_SECONDS": "0", "API_KEYS": "{", "DEVICE": "tpu"}
    del wrong["PROJECT"], wrong["STATE_BUCKET"]
    with pytest.raises(ValidationError) as caught:
        parse(wrong)
    assert {str(fault["loc"][0]) for fault in caught.value.errors()} == {
        *("PROJECT", "STATE_BUCKET", "MAX_ATTEMPTS", "BEAT_SECONDS", "API_KEYS", "DEVICE")
    }


def test_all_contradictions_are_told_at_once() -> None:
    wrong = {**REQUIRED, **EMULATORS, "INVOKER_ACCOUNTS": "", "LEASE_SECONDS": "60", "WEBHOOK_SECRET": "whsec_?"}
    with pytest.raises(ValidationError) as caught:
        parse(wrong)
    for part in ("ACK_DEADLINE_SECONDS", "LOCAL_CLOUD is not", "INVOKER_ACCOUNTS is missing", "WEBHOOK_SECRET must be"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["INVOKER_ACCOUNTS", "AUDIENCES", "TASKS_ACCOUNT"])
def test_what_only_the_local_cloud_can_do_without_is_asked_for(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} is missing"):
        parse({**REQUIRED, name: ""})
    assert parse({**LOCAL, name: ""}).local_cloud


@pytest.mark.parametrize(("service", "secret"), [("deliver", "WEBHOOK_SECRET"), ("ingest", "API_KEYS")])
def test_a_secret_is_asked_for_only_where_it_is_used(service: str, secret: str) -> None:
    with pytest.raises(ValidationError, match=f"{secret} is missing"):
        parse({**REQUIRED, "K_SERVICE": service})
    assert parse({**REQUIRED, "K_SERVICE": "dispatch"}).k_service == "dispatch"


@pytest.mark.parametrize(
    ("beat", "lease", "deadline", "holds"),
    [("4", "45", "60", True), ("5", "10", "11", True), ("5", "9.9", "60", False), ("4", "60", "60", False)],
)
def test_a_beat_a_lease_and_a_deadline_fit_into_each_other(beat: str, lease: str, deadline: str, holds: bool) -> None:
    times = {"BEAT_SECONDS": beat, "CALL_SECONDS": "1", "LEASE_SECONDS": lease, "ACK_DEADLINE_SECONDS": deadline}
    if holds:
        assert parse({**REQUIRED, **times}).lease_seconds == float(lease)
    else:
        with pytest.raises(ValidationError, match="must hold"):
            parse({**REQUIRED, **times})


@pytest.mark.parametrize("outlasts", ["LEASE_SECONDS", "ACK_DEADLINE_SECONDS", "SLOT_SECONDS"])
def test_what_a_beat_renews_outlasts_a_call_that_hangs(outlasts: str) -> None:
    times = {"BEAT_SECONDS": "4", "CALL_SECONDS": "20", "LEASE_SECONDS": "25", "ACK_DEADLINE_SECONDS": "26"}
    assert parse({**REQUIRED, **times}).call_seconds == 20
    lasts = {"LEASE_SECONDS": "24", "ACK_DEADLINE_SECONDS": "24", "SLOT_SECONDS": "24"}[outlasts]
    with pytest.raises(ValidationError, match=f"BEAT_SECONDS \\+ CALL_SECONDS < {outlasts} must hold"):
        parse({**REQUIRED, **times, outlasts: lasts})


def test_by_default_a_lease_outlasts_a_beat_all_of_whose_calls_hang() -> None:
    """The extension, the read and the write, and as much again as a beat may be late."""
    settings = parse(REQUIRED)
    longest = settings.beat_seconds + settings.progress_seconds + 3 * settings.call_seconds
    assert longest < settings.lease_seconds < settings.slot_seconds


def test_the_local_cloud_is_taken_with_all_its_emulators() -> None:
    assert parse(LOCAL).local_cloud


@pytest.mark.parametrize("change", [{"PROJECT": "shop-prod"}, *({name: ""} for name in EMULATORS)])
def test_the_local_cloud_which_trusts_everybody_is_refused_with_anything_real(change: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="trusts unsigned callers"):
        parse({**LOCAL, **change})


@pytest.mark.parametrize("name", EMULATORS)
def test_an_emulator_is_refused_outside_the_local_cloud(name: str) -> None:
    with pytest.raises(ValidationError, match="LOCAL_CLOUD is not"):
        parse({**REQUIRED, name: EMULATORS[name]})


@pytest.mark.parametrize(
    "secret", ["whsec_not base64!!", "whsec_abcde", "whsec_", "whsec_ü", "plain-words", "whsec_a=b="]
)
def test_a_secret_that_signs_nothing_is_refused_and_not_shown(secret: str) -> None:
    """Found at the first webhook, it would cost every one of them in silence."""
    with pytest.raises(ValidationError, match="WEBHOOK_SECRET must be") as caught:
        parse({**REQUIRED, "WEBHOOK_SECRET": secret})
    assert f"{secret!r}" not in str(caught.value)


@pytest.mark.parametrize(
    "secret", ["whsec_c2VjcmV0", "whsec_c2VjcmV0cw==", "whsec_c2VjcmV0cw", "c2VjcmV0", "whsec_+/+/\n"]
)
def test_a_secret_that_is_taken_signs(secret: str) -> None:
    given = parse({**REQUIRED, "WEBHOOK_SECRET": secret}).webhook_secret
    assert given is not None
    assert webhooks.sign(given.get_secret_value(), "id", 1, b"{}").startswith("v1,")


def test_a_secret_is_not_printed() -> None:
    names = ("ALERT_TOKEN", "N8N_ALERT_URL", "SLACK_WEBHOOK_URL")
    secrets = {"WEBHOOK_SECRET": "whsec_hiddenhidden", **{name: f"hidden-{name}" for name in names}}
    settings = parse({**REQUIRED, **secrets, "API_KEYS": '[{"name": "shop", "key": "hidden-key"}]'})
    assert "hidden" not in f"{settings!r} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    "keys",
    ['[{"name": "shop", "key": "hidden-key", "more": 1}]', '[{"name": "SHOP", "key": "hidden-key"}]', "hidden-key"],
)
def test_an_error_prints_no_secret_either(keys: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse({**REQUIRED, "API_KEYS": keys})
    assert "hidden" not in str(caught.value)


def test_a_gs_source_may_be_in_the_uploads_bucket_and_those_named() -> None:
    assert parse({**REQUIRED, "SOURCE_BUCKETS": "archive"}).readable_buckets == {"uploads", "archive"}


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        parse(REQUIRED).project = "another"  # type: ignore[misc]


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    first = from_environment()
    monkeypatch.setenv("PROJECT", "another")
    assert from_environment() is first


def test_a_test_sees_no_settings_of_the_shell_it_was_started_from() -> None:
    assert not {name.upper() for name in Settings.model_fields} & set(os.environ)
