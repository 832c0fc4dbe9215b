"""The real gcloud's environment in which every request of it reaches the stand-in, and none anything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.gcloud.certificate import self_signed
from tests.gcloud.cloud import Cloud
from tests.gcloud.project import new_project
from tests.gcloud.proxy import proxy


@dataclass(frozen=True)
class Google:
    cloud: Cloud
    #: For gcloud and for what runs it.
    environment: dict[str, str]


@contextmanager
def google(folder: Path) -> Iterator[Google]:
    """A fresh project behind a proxy on loopback; `folder` takes gcloud's own files."""
    cloud = Cloud()
    new_project(cloud)
    authority, tls = self_signed(folder)
    token = folder / "token"
    token.write_text("not-a-real-token")
    with proxy(cloud.answer, tls) as port:
        address = f"http://127.0.0.1:{port}"
        yield Google(
            cloud,
            {
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "LANG": "C.UTF-8",
                "HTTPS_PROXY": address,
                "https_proxy": address,
                "SSL_CERT_FILE": str(authority),
                "CLOUDSDK_CONFIG": str(folder / "gcloud"),
                "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
                "CLOUDSDK_CORE_ACCOUNT": "operator@example.com",
                "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": str(authority),
                "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
                "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
                "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "1",
                "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
                "CLOUDSDK_PROXY_TYPE": "http",
                "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
                "CLOUDSDK_PROXY_PORT": str(port),
            },
        )
