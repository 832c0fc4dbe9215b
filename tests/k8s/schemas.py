"""A custom resource definition's schema as a strict JSON schema: a field that it does not know is a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator

from tests.wiring.tree import ROOT

#: KEDA's own definitions, beside the repository (not part of it).
KEDA = ROOT.parent / "shared" / "schemas" / "keda"


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """As the API server prunes: what `properties` does not list may not be there, unless the schema says it may."""
    made = {name: _strict(value) for name, value in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if "properties" in schema and not is_open:
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        made["type"] = [schema["type"], "null"]
    return made


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return strict(value)
    return [_strict(item) for item in value] if isinstance(value, list) else value


def keda_schemas(folder: Path = KEDA) -> dict[tuple[str, str], Draft7Validator]:
    """(apiVersion, kind) to its validator."""
    found = {}
    for file in sorted(folder.glob("*.yaml")):
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # The definition leaves these to Kubernetes.
            schema["properties"]["metadata"] = {"type": "object"}
            Draft7Validator.check_schema(schema)
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = Draft7Validator(schema)
    return found
