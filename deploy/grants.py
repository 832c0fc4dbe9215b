"""Who may what: the table of resources.toml as grants, each on the one resource it is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deploy.access import WORDS, Grant, Resource
from deploy.command import Command
from deploy.situation import Situation
from deploy.target import Target


def declared_grants(target: Target, situation: Situation) -> frozenset[Grant]:
    """Everything that the accounts and Google's agents need, and nothing more."""
    return frozenset({*_of_accounts(target, situation), *_of_secrets(target), *_of_agents(target, situation)})


def bind(target: Target, grants: Iterable[Grant]) -> list[Command]:
    return [_command(target, grant, "add-iam-policy-binding") for grant in sorted(grants)]


def unbind(target: Target, grants: Iterable[Grant]) -> list[Command]:
    return [_command(target, grant, "remove-iam-policy-binding") for grant in sorted(grants)]


def surplus(target: Target, held: frozenset[Grant], wanted: frozenset[Grant]) -> frozenset[Grant]:
    """What our own accounts hold beyond the table, on the project and on what the table names."""
    ours = {_member(target.account(name)) for name in target.resources.accounts}
    return frozenset(grant for grant in held - wanted if grant.member in ours)


def grant_lane(resource: Resource) -> str:
    """A policy is read, changed and written back: one after the other for each resource."""
    return f"iam {resource.kind} {resource.name}"


def _command(target: Target, grant: Grant, verb: str) -> Command:
    resource = grant.resource
    return target.gcloud(
        *WORDS[resource.kind],
        verb,
        resource.name,
        about=f"{grant.role.removeprefix('roles/')} {grant.member.rpartition(':')[2].partition('@')[0]}",
        lane=grant_lane(resource),
        member=grant.member,
        role=grant.role,
        # Else gcloud asks, where any binding of the project has a condition.
        condition="None" if resource.kind == "project" else None,
        more=resource.flags,
    )


def _of_accounts(target: Target, situation: Situation) -> Iterator[Grant]:
    for name, account in target.resources.accounts.items():
        email = target.account(name)
        member = _member(email)
        for bucket, roles in account.buckets.items():
            for kind in roles:
                yield Grant(Resource("bucket", f"gs://{target.bucket(bucket)}"), f"roles/storage.{kind}", member)
        for topic in account.topics:
            yield Grant(Resource("topic", topic), "roles/pubsub.publisher", member)
        for subscription in account.subscriptions:
            present = situation.subscription(subscription)
            yield Grant(Resource("subscription", present), "roles/pubsub.subscriber", member)
        for queue in account.queues:
            yield Grant(Resource("queue", queue, target.region), "roles/cloudtasks.enqueuer", member)
        if account.queues:
            caller = Resource("account", target.account(target.invoker))
            yield Grant(caller, "roles/iam.serviceAccountUser", member)
        for job in account.jobs:
            resource = Resource("job", target.resources.jobs[job].name, target.job_region(job))
            yield Grant(resource, "roles/run.jobsExecutorWithOverrides", member)
            yield Grant(resource, "roles/run.viewer", member)
        for function in account.calls:
            yield Grant(Resource("service", target.service(function), target.region), "roles/run.invoker", member)
        if account.signs:
            yield Grant(Resource("account", email), "roles/iam.serviceAccountTokenCreator", member)
        for role in account.project:
            yield Grant(Resource("project", target.project), role, member)


def _of_secrets(target: Target) -> Iterator[Grant]:
    """Each function reads its own secrets; what it leaves public, it guards itself."""
    for name, function in target.resources.functions.items():
        for setting in function.secrets:
            secret = Resource("secret", target.resources.secrets[setting].name)
            yield Grant(secret, "roles/secretmanager.secretAccessor", _member(target.account(function.account)))
        if function.public:
            yield Grant(Resource("service", target.service(name), target.region), "roles/run.invoker", "allUsers")


def _of_agents(target: Target, situation: Situation) -> Iterator[Grant]:
    """What Google's own accounts need to deliver events, dead letters, tokens and incidents."""
    resources = target.resources
    pubsub = _member(target.agent("pubsub"))
    for name, subscription in resources.subscriptions.items():
        if subscription.dead_letter_topic:
            yield Grant(Resource("topic", subscription.dead_letter_topic), "roles/pubsub.publisher", pubsub)
            present = Resource("subscription", situation.subscription(name))
            yield Grant(present, "roles/pubsub.subscriber", pubsub)
    for name, trigger in resources.trigger.items():
        yield Grant(Resource("topic", trigger.dead_letter_topic), "roles/pubsub.publisher", pubsub)
        if name in situation.events:
            yield Grant(Resource("subscription", situation.events[name]), "roles/pubsub.subscriber", pubsub)
        # Only here: the topic that storage publishes to is Eventarc's own, and made with the trigger.
        storage = _member(target.agent("storage"))
        yield Grant(Resource("project", target.project), "roles/pubsub.publisher", storage)
    # Projects older than April 2021 lack it: https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
    caller = Resource("account", target.account(target.invoker))
    yield Grant(caller, "roles/iam.serviceAccountOpenIdTokenCreator", pubsub)


def _member(email: str) -> str:
    return f"serviceAccount:{email}"
