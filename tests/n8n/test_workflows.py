"""The shipped workflows by themselves: what n8n imports is whole, holds no secret, and says what it should."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest

from tests.n8n.workflows import FOLDER, NAMES, node, shipped

#: Node types and their versions as n8n 1.123 has them; newer ones would not import into somewhat older n8ns.
KNOWN: Final = {
    "code": 2,
    "httpRequest": 4.2,
    "if": 2.2,
    "manualTrigger": 1,
    "respondToWebhook": 1.1,
    "set": 3.4,
    "stickyNote": 1,
    "stopAndError": 1,
    "switch": 3.2,
    "wait": 1.1,
    "webhook": 2,
}
TRIGGERS: Final = {"webhook", "manualTrigger"}
#: Where a workflow may end.
ENDS: Final = {
    "alerts": {"Page", "Post", "Refuse"},
    "submit-and-wait": {"Result", "Failed", "Not accepted", "Refuse the caller"},
}
SECRETS: Final = {"token", "api_key", "webhook_secret", "channel_url", "critical_url"}

each_workflow = pytest.mark.parametrize("name", NAMES)


def kind(each: dict[str, Any]) -> str:
    return str(each["type"]).removeprefix("n8n-nodes-base.")


def following(workflow: dict[str, Any]) -> dict[str, set[str]]:
    """Each node's name, and the names of those it leads to."""
    leads = {each["name"]: set[str]() for each in workflow["nodes"] if kind(each) != "stickyNote"}
    for source, outputs in workflow["connections"].items():
        leads[source] |= {link["node"] for output in outputs["main"] for link in output}
    return leads


def expressions(value: Any) -> list[str]:
    """Every string anywhere in a node that n8n evaluates or runs."""
    if isinstance(value, dict):
        return [text for name, each in value.items() for text in ([each] if name == "jsCode" else expressions(each))]
    if isinstance(value, list):
        return [text for each in value for text in expressions(each)]
    return [value] if isinstance(value, str) and value.startswith("=") else []


def test_folder_holds_these_workflows() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(NAMES)


@each_workflow
def test_every_node_is_of_a_known_type_and_version(name: str) -> None:
    for each in shipped(name)["nodes"]:
        assert each["type"].startswith("n8n-nodes-base."), each["name"]
        assert KNOWN[kind(each)] == each["typeVersion"], each["name"]


@each_workflow
def test_ids_and_names_are_unique(name: str) -> None:
    nodes = shipped(name)["nodes"]
    for field in ("id", "name"):
        assert len({each[field] for each in nodes}) == len(nodes)


@each_workflow
def test_every_node_is_reached_from_a_trigger_and_ends_where_it_may(name: str) -> None:
    workflow = shipped(name)
    leads = following(workflow)
    reached = {each["name"] for each in workflow["nodes"] if kind(each) in TRIGGERS}
    assert reached
    waiting = list(reached)
    while waiting:
        for target in leads[waiting.pop()] - reached:
            reached.add(target)
            waiting.append(target)
    assert reached == set(leads)
    assert {source for source, targets in leads.items() if not targets} == ENDS[name]


@each_workflow
def test_switches_and_ifs_have_a_way_out_for_every_output(name: str) -> None:
    workflow = shipped(name)
    for each in workflow["nodes"]:
        outputs = workflow["connections"].get(each["name"], {"main": []})["main"]
        if kind(each) == "if" or each.get("onError") == "continueErrorOutput":
            assert len(outputs) == 2, each["name"]
        if kind(each) == "switch":
            assert len(outputs) == len(each["parameters"]["rules"]["values"]) + 1, each["name"]
        assert all(outputs), each["name"]


@each_workflow
def test_expressions_name_nodes_that_exist(name: str) -> None:
    workflow = shipped(name)
    names = {each["name"] for each in workflow["nodes"]}
    asked = {
        asked for text in expressions(workflow["nodes"]) for _, asked in re.findall(r"""\$\((["'])(.+?)\1\)""", text)
    }
    assert asked <= names


@each_workflow
def test_no_credential_no_secret_and_no_address_of_ours(name: str) -> None:
    workflow = shipped(name)
    assert [each["name"] for each in workflow["nodes"] if "credentials" in each] == []
    fields = node(workflow, "Settings")["parameters"]["assignments"]["assignments"]
    assert {each["name"]: each["value"] for each in fields if each["name"] in SECRETS and each["value"]} == {}
    hosts = set(re.findall(r"https?://([^/\s\"`\\\\]+)", json.dumps(workflow)))
    assert hosts <= {"YOUR-HUB.run.app", "YOUR-N8N", "www.standardwebhooks.com"}
    assert "$env" not in json.dumps(workflow), "n8n cloud has no environment, and others block it"


@each_workflow
def test_imports_inactive_and_without_an_id_of_some_other_n8n(name: str) -> None:
    workflow = shipped(name)
    assert workflow["active"] is False
    assert {"id", "versionId", "meta", "shared"} & set(workflow) == set()


def test_alert_that_meets_a_fault_is_not_answered_200() -> None:
    """With Respond nodes n8n answers 200 when a workflow fails before them (n8n issues 21827, 25340)."""
    workflow = shipped("alerts")
    assert node(workflow, "Alert from the hub")["parameters"]["responseMode"] == "lastNode"
    assert [each["name"] for each in workflow["nodes"] if each.get("onError") or kind(each) == "respondToWebhook"] == []


def test_answers_of_the_hub_are_kept_from_looking_like_errors() -> None:
    """A record has `error: null`, and n8n tries again whatever has an `error` at the top and "Retry On Fail" set."""
    for each in shipped("submit-and-wait")["nodes"]:
        if each.get("retryOnFail"):
            answer = each["parameters"]["options"]["response"]["response"]
            assert answer.get("fullResponse") or answer.get("outputPropertyName"), each["name"]


def test_webhook_is_verified_by_its_bytes() -> None:
    workflow = shipped("submit-and-wait")
    assert node(workflow, "Wait for the hub's webhook")["parameters"]["options"]["rawBody"] is True
    code = node(workflow, "Verify the webhook")["parameters"]["jsCode"]
    assert code == (FOLDER / "verify-webhook.js").read_text()
