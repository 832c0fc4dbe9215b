"""Who may what: in the project, and by the table of resources.toml, both as (resource, role, member)."""

from __future__ import annotations

from collections.abc import Iterator

from shared.resources import Resources
from tests.gcloud.deployment import Deployment
from tests.gcloud.project import OPERATOR

Right = tuple[str, str, str]


def held(deployment: Deployment) -> set[Right]:
    return {
        (key, binding["role"], member)
        for key, policy in deployment.cloud.store.policies.items()
        for binding in policy["bindings"]
        for member in binding["members"]
    }


def declared_rights(deployment: Deployment, resources: Resources, trigger_subscription: str) -> set[Right]:
    """The whole table: our accounts', the public's, and what Google's own agents cannot do without."""
    return {
        *_of_accounts(deployment, resources),
        *_of_functions(deployment, resources),
        *_of_agents(deployment, resources, trigger_subscription),
        (f"cloudresourcemanager/projects/{deployment.cloud.project}", "roles/owner", OPERATOR),
    }


def _of_accounts(deployment: Deployment, resources: Resources) -> Iterator[Right]:
    project, region = f"projects/{deployment.cloud.project}", deployment.region
    for name, account in resources.accounts.items():
        member = deployment.member(name)
        itself = f"iam/{project}/serviceAccounts/{deployment.account(name)}"
        caller = f"iam/{project}/serviceAccounts/{deployment.account('nca-invoker')}"
        for bucket, roles in account.buckets.items():
            for role in roles:
                yield f"storage/b/{deployment.bucket(bucket)}", f"roles/storage.{role}", member
        for topic in account.topics:
            yield f"pubsub/{project}/topics/{topic}", "roles/pubsub.publisher", member
        for subscription in account.subscriptions:
            yield f"pubsub/{project}/subscriptions/{subscription}", "roles/pubsub.subscriber", member
        for queue in account.queues:
            key = f"cloudtasks/{project}/locations/{region}/queues/{queue}"
            yield key, "roles/cloudtasks.enqueuer", member
            yield caller, "roles/iam.serviceAccountUser", member
        for job in account.jobs:
            where = deployment.gpu_region if resources.jobs[job].gpu else region
            for role in ("roles/run.jobsExecutorWithOverrides", "roles/run.viewer"):
                yield f"run/{project}/locations/{where}/jobs/{resources.jobs[job].name}", role, member
        for function in account.calls:
            key = f"run/{project}/locations/{region}/services/{function.replace('_', '-')}"
            yield key, "roles/run.invoker", member
        if account.signs:
            yield itself, "roles/iam.serviceAccountTokenCreator", member
        for role in account.project:
            yield f"cloudresourcemanager/{project}", role, member


def _of_functions(deployment: Deployment, resources: Resources) -> Iterator[Right]:
    project = f"projects/{deployment.cloud.project}"
    for name, function in resources.functions.items():
        for setting in function.secrets:
            key = f"secretmanager/{project}/secrets/{resources.secrets[setting].name}"
            yield key, "roles/secretmanager.secretAccessor", deployment.member(function.account)
        if function.public:
            key = f"run/{project}/locations/{deployment.region}/services/{name.replace('_', '-')}"
            yield key, "roles/run.invoker", "allUsers"


def _of_agents(deployment: Deployment, resources: Resources, trigger_subscription: str) -> Iterator[Right]:
    project = f"projects/{deployment.cloud.project}"
    pubsub = deployment.agent("gcp-sa-pubsub")
    dead = [(name, each.dead_letter_topic) for name, each in resources.subscriptions.items() if each.dead_letter_topic]
    dead += [(trigger_subscription, each.dead_letter_topic) for each in resources.trigger.values()]
    for subscription, topic in dead:
        yield f"pubsub/{project}/subscriptions/{subscription}", "roles/pubsub.subscriber", pubsub
        yield f"pubsub/{project}/topics/{topic}", "roles/pubsub.publisher", pubsub
    invoker = f"iam/{project}/serviceAccounts/{deployment.account('nca-invoker')}"
    yield invoker, "roles/iam.serviceAccountOpenIdTokenCreator", pubsub
    storage = deployment.agent("gs-project-accounts")
    yield f"cloudresourcemanager/{project}", "roles/pubsub.publisher", storage
    alerts = resources.subscriptions["alerts-sub"].topic
    incidents = deployment.agent("gcp-sa-monitoring-notification")
    yield f"pubsub/{project}/topics/{alerts}", "roles/pubsub.publisher", incidents
