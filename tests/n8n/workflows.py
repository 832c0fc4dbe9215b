"""The workflows as they are shipped, and as somebody who has filled in their settings has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[2] / "integrations" / "n8n"
NAMES: Final = ("alerts", "submit-and-wait")


def shipped(name: str) -> dict[str, Any]:
    workflow: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return workflow


def node(workflow: dict[str, Any], name: str) -> dict[str, Any]:
    """A node by its name; KeyError when there is none."""
    return {each["name"]: each for each in workflow["nodes"]}[name]


def filled(name: str, *, as_id: str | None = None, **settings: str) -> dict[str, Any]:
    """With these values in its Settings node, and an id; under another id its webhook has another path, too."""
    workflow = {**shipped(name), "id": as_id or name}
    fields = {each["name"]: each for each in node(workflow, "Settings")["parameters"]["assignments"]["assignments"]}
    for field, value in settings.items():
        fields[field]["value"] = value
    if as_id is not None:
        for each in workflow["nodes"]:
            if each["type"] == "n8n-nodes-base.webhook":
                each["parameters"]["path"] = each["webhookId"] = as_id
    return workflow
