"""Calls that pretend: forged and replayed tokens at each door, and secrets that are compared in constant time."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shared.callers import OidcCallers
from shared.errors import Unauthorized
from shared.resources import declared
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import event, serving, submitted
from tests.unit.test_callers import ACCOUNT, AUDIENCE, CachedGoogle, bearer, certificate
from tests.wiring.tree import parsed, python_files

#: Where a call of ours comes in by OIDC, and what good one would do.
DOORS = {
    "bell": ("dispatch", "/bell", event("pubsub_push_bell.json")),
    "task": ("dispatch", "/task", event("cpu_task.json")),
    "sweep": ("dispatch", "/sweep", {}),
    "webhook": ("deliver", "/", event("webhook_task.json")),
    "letter": ("dead_letter", "/", event("dead_letter_push.json")),
    "alert": ("alert_relay", "/", event("hub_alert_push.json")),
}
#: Methods that compare, and such as leave a secret what it is.
COMPARING = {"startswith", "endswith", "__eq__", "__contains__", "find", "index", "count", "fullmatch", "match", "get"}
#: Keys of the secret with each other, when it is parsed: no caller has a part in that.
OUR_OWN = {Path("shared/api_keys.py"): ["key.key.get_secret_value()"]}
SAME = {"encode", "decode", "strip", "lower", "upper", "casefold"}


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], signature: str = "", **claims: Any) -> str:
    now = int(time.time())
    whole = {
        "iss": "https://accounts.google.com", "aud": AUDIENCE, "email": ACCOUNT, "email_verified": True,
        "iat": now, "exp": now + 3600, **claims,
    }  # fmt: skip
    return f"Bearer {encoded(header)}.{encoded(whole)}.{signature}"


def signed_with_the_public_key() -> str:
    """HS256 with the certificate as its secret: who lets the token say how to check it is fooled by that."""
    head = unsigned({"alg": "HS256", "typ": "JWT", "kid": "k1"}).rstrip(".")
    said = head.removeprefix("Bearer ").encode()
    signature = hmac.new(certificate().encode(), said, hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def other_contents() -> str:
    """A good token's signature under other claims."""
    header, _, signature = bearer().removeprefix("Bearer ").split(".")
    claims = unsigned({}).split(".")[1]
    return f"Bearer {header}.{claims}A.{signature}"


@cache
def forged() -> dict[str, str | None]:
    return {
        "nothing": None,
        "another scheme": bearer().replace("Bearer", "Basic"),
        "no signature": unsigned({"alg": "none", "typ": "JWT", "kid": "k1"}),
        "no signature, no key": unsigned({"alg": "None"}),
        "public key as secret": signed_with_the_public_key(),
        "unknown key": unsigned({"alg": "RS256", "kid": "k2"}, "AAAA"),
        "key from elsewhere": unsigned({"alg": "RS256", "jku": "https://evil.example/keys", "kid": "x"}, "AAAA"),
        "path as key": unsigned({"alg": "RS256", "kid": "../../dev/null"}, "AAAA"),
        "other contents": other_contents(),
        "cut off": bearer()[:-10],
        "too many parts": bearer() + ".x",
        "expired": bearer(issued_in=-7200, expires_in=-3600),
        "of tomorrow": bearer(issued_in=86_400, expires_in=90_000),
        "never expires": bearer(exp=None),
        "for another service": bearer(aud="https://elsewhere.test"),
        "for several services": bearer(aud=["https://elsewhere.test", "https://another.test"]),
        "for no service": bearer(aud=""),
        "of another issuer": bearer(iss="https://evil.example"),
        "of another account": bearer(email="stranger@p.iam.gserviceaccount.com"),
        "of a look-alike": bearer(email=f"{ACCOUNT}.evil.example"),
        "of nobody": bearer(email=None),
        "not verified": bearer(email_verified=False),
        "in capitals": bearer(email=ACCOUNT.upper()),
    }


@pytest.fixture(scope="module")
def callers() -> OidcCallers:
    return OidcCallers([ACCOUNT], [AUDIENCE], CachedGoogle)


@pytest.mark.parametrize("kind", forged())
def test_a_forged_token_is_refused(kind: str, callers: OidcCallers) -> None:
    callers.verify(bearer())
    with pytest.raises(Unauthorized):
        callers.verify(forged()[kind])


@pytest.mark.parametrize("door", DOORS)
def test_every_door_refuses_it_before_anything_is_done(door: str, callers: OidcCallers) -> None:
    function, path, body = DOORS[door]
    everything = fake_services(callers=callers)
    job = submitted(everything, webhook_url="https://hooks.example.com/in")
    before = (list(everything.objects.writes), list(everything.topics.published), list(everything.queues.queued))
    with serving(function, everything) as client:
        for kind, authorization in forged().items():
            headers = {"Authorization": authorization} if authorization else {}
            answer = client.post(path, json=body, headers=headers)
            assert answer.status_code == 401, kind
    after = (list(everything.objects.writes), list(everything.topics.published), list(everything.queues.queued))
    assert after == before
    assert everything.executions.started == []
    assert everything.store.get(job.job_id) is not None


def test_doors_are_all_there_are() -> None:
    """`ingest` has API keys; to `on_upload` Cloud Run lets in the trigger's account alone."""
    functions = set(declared().functions)
    assert functions == {function for function, _, _ in DOORS.values()} | {"ingest", "on_upload"}
    assert not declared().functions["on_upload"].public


def test_a_bell_that_is_rung_again_and_again_starts_one_execution() -> None:
    everything = fake_services(max_gpu_executions=2)
    submitted(everything)
    with serving("dispatch", everything) as client:
        for _ in range(10):
            client.post("/bell", json=event("pubsub_push_bell.json"))
    assert len(everything.executions.started) == 1


@pytest.mark.parametrize("door", ["letter", "webhook"])
def test_a_call_that_is_repeated_does_nothing_new(door: str) -> None:
    """A token may be replayed until it expires: each call is safe to repeat, and answers as before."""
    function, path, body = DOORS[door]
    everything = fake_services()
    submitted(everything)
    with serving(function, everything) as client:
        first = client.post(path, json=body)
        seen = effects(everything)
        again = client.post(path, json=body)
    assert (again.status_code, effects(everything)) == (first.status_code, seen)


def effects(everything: FakeServices) -> tuple[Any, ...]:
    letters = everything.objects.names("state", "dead-letters/")
    return letters, list(everything.queues.queued), list(everything.executions.started)


@pytest.mark.parametrize(
    "authorization", ["Bearer ", "Bearer secret-alert-toke", "Bearer secret-alert-token ", "Basic :"]
)
def test_an_alert_token_that_is_nearly_right_is_wrong(authorization: str, callers: OidcCallers) -> None:
    with serving("alert_relay", fake_services(callers=callers)) as client:
        answer = client.post("/", json=event("alertmanager_v4.json"), headers={"Authorization": authorization})
    assert answer.status_code == 401


@pytest.mark.parametrize("text", ["", "secret-shop-ke", "secret-shop-key ", "SECRET-SHOP-KEY", "\u00e9", "secret\x00"])
def test_an_api_key_that_is_nearly_right_is_wrong(text: str) -> None:
    with serving("ingest", fake_services()) as client:
        answer = client.get("/v1/jobs", headers={"X-API-Key": text} if text else {})
    assert answer.status_code == 401


def compared_secrets(tree: ast.AST) -> Iterator[str]:
    """Comparisons, by operator, method or key, of what `get_secret_value` gave; each function by itself."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.Lambda):
            assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.NamedExpr)]
            tainted = {name for node in assigned if is_secret(node.value, set()) for name in names(node)}
            for node in ast.walk(function):
                yield from (ast.unparse(part) for part in compared(node) if is_secret(part, tainted))


def compared(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Compare(left, operators, others):
            is_identity = all(isinstance(each, ast.Is | ast.IsNot) for each in operators)
            return [] if is_identity else [left, *others]
        case ast.Call(ast.Attribute(value, name), arguments) if name in COMPARING:
            return [value, *arguments]
        case ast.Subscript(value, index):
            return [value, index]
        case ast.Match(subject):
            return [subject]
    return []


def names(node: ast.Assign | ast.NamedExpr) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def is_secret(part: ast.AST, tainted: set[str]) -> bool:
    """Is a secret, or holds one; what a function makes of it is none, but for a few methods."""
    match part:
        case ast.Name(name):
            return name in tainted
        case ast.Call(ast.Attribute(value, name)):
            return name == "get_secret_value" or (name in SAME and is_secret(value, tainted))
        case ast.Call():
            return False
    return any(is_secret(inside, tainted) for inside in ast.iter_child_nodes(part))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(a): return a == token.get_secret_value()", True),
        ("def f(a): return a in [key.key.get_secret_value() for key in keys]", True),
        ("def f(a):\n x = token.get_secret_value().encode()\n return x != a", True),
        ("def f(a): return a.startswith(token.get_secret_value())", True),
        ("def f(a): return {k.get_secret_value(): k for k in keys}[a]", True),
        ("def f(a): return hmac.compare_digest(token.get_secret_value(), a)", False),
        ("def f(a): return token is None", False),
    ],
)
def test_a_plain_comparison_of_a_secret_would_be_found(source: str, found: bool) -> None:
    assert bool(list(compared_secrets(ast.parse(source)))) is found


def test_no_secret_is_compared_but_in_constant_time() -> None:
    found: dict[Path, list[str]] = {}
    for file in python_files("functions", "shared", "workers"):
        if where := list(compared_secrets(parsed(file))):
            found[file] = where
    assert found == OUR_OWN
    users = [file for file in python_files("functions", "shared") if "compare_digest" in ast.unparse(parsed(file))]
    assert len(users) >= 2
