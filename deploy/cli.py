"""./deploy.sh COMMAND: what each command does, in words of the plans that it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

from deploy import checks, cleanup, destroy, gke, jobs, phases, status, traffic, watch
from deploy.apply import Runner
from deploy.command import Plan, typed
from deploy.faults import CannotDeploy
from deploy.gcloud import Cloud, RealCloud
from deploy.live import Live
from deploy.options import parser
from deploy.revisions import CANARY, routed, services
from deploy.session import Session, target_of
from deploy.situation import situation, superseded
from deploy.smoke import api_key, smoke
from deploy.snapshot import digest_of
from deploy.target import UNKNOWN_NUMBER, Target
from shared.errors import JobError, NotFound

ROOT: Final = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str], out: TextIO = sys.stdout, cloud: Cloud | None = None) -> int:
    """Exit status: 0 done, 1 failed, 2 bad usage."""
    asked = parser().parse_args(arguments)
    runner = Runner(cloud or RealCloud(ROOT), out)
    try:
        if asked.command == "plan" and not asked.live:
            target = target_of(asked, ROOT, asked.project_number or UNKNOWN_NUMBER)
            _print(runner, target, phases.up(target, Live()))
            return 0
        session = _session(asked, cloud or RealCloud(ROOT), runner)
        _COMMANDS[asked.command](session)
    except ValueError as error:
        parser().error(str(error))
    except JobError as error:
        runner.say(f"✗ {error.message}")
        return 1
    except BrokenPipeError:
        # Whoever read has enough (`plan … | head`); what is left in the buffer must not be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return 1
    except OSError as error:
        runner.say(f"✗ {error.filename or 'this machine'}: {error.strerror}.")
        return 1
    except KeyboardInterrupt:
        runner.say("✗ interrupted: give the same command again, it goes on where it was.")
        return 1
    return 0


def _session(asked: argparse.Namespace, cloud: Cloud, runner: Runner) -> Session:
    target = target_of(asked, ROOT)
    number = str(cloud.read("projects", "describe", target.project)["projectNumber"])
    return Session(cloud, runner, replace(target, number=number), asked)


def _prepare(session: Session) -> None:
    session.require_place()
    live = session.live()
    session.require(checks.places(session.target, live), checks.environments(session.target, live))
    session.run(phases.prepare(session.target, live))


def _up(session: Session) -> None:
    target = session.target
    session.require_place()
    session.require_stg()
    live = _ready(session)
    session.require(checks.no_trial(target, live))
    if target.resources.images.repository in live.of("repositories"):
        session.require(checks.images(target, live))
        session.require_gpu(live)
    else:
        # A new project has no place for images yet.
        session.require_gpu(live)
        session.run(phases.prepare(target, live))
        live = session.live()
        session.require(checks.images(target, live))
    now = situation(target, live)
    session.run(phases.up(target, live))
    if now.gke_route and not gke.pulls(live, now):
        session.runner.say(
            "GKE takes work, and its subscriptions are new: give `gke up` now, or no pod pulls from them."
        )
    words = f"secrets versions access latest --secret={target.resources.secrets['API_KEYS'].name}"
    session.runner.say(f"The hub: {target.url('ingest')}")
    session.runner.say(f"Its keys: gcloud {words} --project={target.project}")


def _plan(session: Session) -> None:
    _print(session.runner, session.target, phases.up(session.target, session.live()))


def _canary(session: Session) -> None:
    """A second time with another number moves the split."""
    session.require_place()
    session.require_stg()
    live = _standing(session)
    session.require(checks.trial_is(session.target, live), checks.images(session.target, live))
    plan = phases.canary(session.target, live)
    session.run(plan)
    session.run(traffic.split(session.target, session.live() if plan else live, session.asked.percent))


def _watch(session: Session) -> None:
    """Too little traffic to judge counts as fine when a file of ours goes through the canary."""
    known = services(session.target, session.live())
    watched = watch.trials(known, session.target.resources)
    if not watched:
        raise CannotDeploy("no canary runs: `canary 10` starts one.")
    verdict = watch.watch(session.metrics(), watched, session.asked.minutes, session.runner.say)
    if verdict.worse:
        raise CannotDeploy(f"the canary is worse: {'; '.join(verdict.worse)}.")
    if verdict.unknown:
        session.runner.say(f"Too few calls to judge {', '.join(verdict.unknown)}: the smoke test decides.")
        url = known["ingest"].urls.get(CANARY) or session.target.url("ingest")
        session.runner.say(smoke(url, api_key(session.cloud, session.target)))
    session.runner.say("The canary is as good as what serves.")


def _promote(session: Session) -> None:
    live = _standing(session)
    target = session.target
    session.require(checks.trial_is(target, live), checks.images(target, live))
    move = traffic.promote(target, live)
    session.run((*phases.jobs_only(target, live), *move))


def _rollback(session: Session) -> None:
    """Traffic first; then Jobs, to the version that serves again, and to the file types it routes."""
    target, live = session.target, _standing(session)
    if session.asked.canary_only and not checks.trial_versions(target, live):
        session.runner.say("No canary runs.")
        return
    session.run(traffic.rollback(target, live))
    live = session.live()
    before = replace(target, settings={**target.settings, **routed(target, live)})
    for name, version in jobs.behind(before, live):
        session.run(_job_back(session, replace(before, version=version), live, name))


def _job_back(session: Session, before: Target, live: Live, name: str) -> Plan:
    version, image = before.version, before.resources.jobs[name].image
    try:
        digest = digest_of(session.cloud, f"{before.image(image)}:{version}")
    except NotFound as cause:
        raise CannotDeploy(f"the image {image}:{version} is gone from the registry: {name} stays as it is.") from cause
    return phases.jobs_only(before, replace(live, digests={image: digest}), names=(name,))


def _cleanup(session: Session) -> None:
    live = _standing(session)
    session.require(checks.same_file_types(session.target, live))
    left = [name for _, name in superseded(session.target, live)]
    empty = status.known_empty(session.metrics(), left) if left else frozenset()
    session.run(cleanup.cleanup(session.target, live, empty))


def _destroy(session: Session) -> None:
    """Prod is never taken down unasked."""
    target = session.target
    plan = destroy.destroy(target, _standing(session), buckets=session.asked.buckets)
    if not plan:
        session.runner.say("Nothing is there.")
        return
    count = sum(len(phase.commands) for phase in plan)
    session.runner.say(f"{count} things of {target.env} in {target.project} are going to be deleted.")
    if not session.asked.yes or target.env == "prod":
        session.runner.say("Type the project's name to go on:")
        if sys.stdin.readline().strip() != target.project:
            raise CannotDeploy("nothing was deleted.")
    session.run(plan)


def _status(session: Session) -> None:
    live = session.live()
    for line in status.lines(session.cloud, session.target, live, session.metrics):
        session.runner.say(line)


def _smoke(session: Session) -> None:
    key = api_key(session.cloud, session.target)
    url = session.asked.url or session.target.url("ingest")
    session.runner.say(smoke(url.rstrip("/"), key, session.asked.file, patience=session.asked.patience))


def _gke(session: Session) -> None:
    live = _standing(session)
    target = session.target
    if session.asked.direction == "down":
        if target.resources.gke.cluster in live.of("clusters"):
            session.require(checks.no_trial(target, live), checks.serves(target, live), checks.images(target, live))
        session.run(gke.down(target, live))
        return
    session.require_stg()
    image = target.resources.jobs["gpu"].image
    session.require(checks.no_trial(target, live), checks.serves(target, live), checks.images(target, live))
    address = f"{target.image(image)}@{live.digests[image]}"
    session.run(gke.up(target, live, image=address, max_replicas=session.asked.max_replicas))


def _ready(session: Session) -> Live:
    """What is there, once it is known to be this environment's and in its place."""
    live = session.live()
    session.require(checks.places(session.target, live), checks.environments(session.target, live))
    return live


def _standing(session: Session) -> Live:
    """What an earlier `up` has made, once it is known that the command line's regions are its."""
    live = _ready(session)
    session.require(checks.regions(session.target, live))
    return live


def _print(runner: Runner, target: Target, plan: Plan) -> None:
    if target.number == UNKNOWN_NUMBER:
        runner.say(f"# {UNKNOWN_NUMBER}: gcloud projects describe {target.project} --format='value(projectNumber)'")
    for number, phase in enumerate(plan, 1):
        runner.say(f"# {number}/{len(plan)} {phase.title}")
        for command in phase.commands:
            for file in command.files:
                file.write(ROOT)
            runner.say(typed(command))


_COMMANDS: Final[Mapping[str, Callable[[Session], None]]] = {
    "prepare": _prepare,
    "up": _up,
    "plan": _plan,
    "canary": _canary,
    "watch": _watch,
    "promote": _promote,
    "rollback": _rollback,
    "cleanup": _cleanup,
    "destroy": _destroy,
    "status": _status,
    "smoke": _smoke,
    "gke": _gke,
}
