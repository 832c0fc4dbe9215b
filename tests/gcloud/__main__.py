"""`python -m tests.gcloud FOLDER`: the stand-in by hand; source FOLDER/env, and read FOLDER/requests."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

from shared.resources import declared
from tests.gcloud.environment import google
from tests.gcloud.project import put_image


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with google(folder) as started, (folder / "requests").open("w") as requests:
        for image in declared().images.names:
            put_image(started.cloud, "asia-northeast1", declared().images.repository, image, "v1")
        exports = [f"export {name}={shlex.quote(value)}" for name, value in started.environment.items()]
        (folder / "env").write_text("\n".join(exports) + "\n")
        written = 0
        while True:
            seen = started.cloud.requests[written:]
            requests.writelines(f"{request}\n" for request in seen)
            requests.flush()
            written += len(seen)
            time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
