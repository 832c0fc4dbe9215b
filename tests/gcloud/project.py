"""What a new project with billing holds before anything is deployed."""

from __future__ import annotations

import hashlib

from tests.gcloud.cloud import Cloud
from tests.gcloud.store import Resource

REGIONS = ("asia-northeast1", "asia-southeast1", "europe-west4", "us-central1")
BILLING = "billingAccounts/0A0A0A-0B0B0B-0C0C0C"
OPERATOR = "user:operator@example.com"


def new_project(cloud: Cloud) -> None:
    project, put = f"projects/{cloud.project}", cloud.store.resources
    put[f"cloudresourcemanager/{project}"] = {
        "projectId": cloud.project,
        "projectNumber": cloud.number,
        "name": cloud.project,
        "lifecycleState": "ACTIVE",
    }
    cloud.store.policy(f"cloudresourcemanager/{project}")["bindings"] = [{"role": "roles/owner", "members": [OPERATOR]}]
    put[f"cloudbilling/{project}/billingInfo"] = {
        "name": f"{project}/billingInfo",
        "projectId": cloud.project,
        "billingAccountName": BILLING,
        "billingEnabled": True,
    }
    put[f"billingbudgets/{BILLING}"] = {"name": BILLING}
    for region in REGIONS:
        put[f"run/{project}/locations/{region}"] = {"name": f"{project}/locations/{region}", "locationId": region}
        put[f"compute/{project}/regions/{region}"] = {
            "name": region,
            "status": "UP",
            "quotas": [{"metric": "NVIDIA_L4_GPUS", "limit": 8.0, "usage": 0.0}],
        }
    set_gpu_quota(cloud, 3)


def set_gpu_quota(cloud: Cloud, gpus: int) -> None:
    """Cloud Run's L4 quota, the same in every region that has the GPU."""
    regions = [region for region in REGIONS if region != "asia-northeast1"]
    parent = f"cloudquotas/projects/{cloud.project}/locations/global/services/run.googleapis.com/quotaInfos"
    quota = "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"
    info: Resource = {
        "name": f"{parent.partition('/')[2]}/{quota}",
        "quotaId": quota,
        "metric": "run.googleapis.com/nvidia_l4_gpu_allocation_no_zonal_redundancy",
        "service": "run.googleapis.com",
        "containerType": "PROJECT",
        "dimensions": ["region"],
        "dimensionsInfos": [
            {"dimensions": {"region": region}, "details": {"value": str(gpus)}, "applicableLocations": [region]}
            for region in regions
        ],
    }
    cloud.store.resources[f"{parent}/{quota}"] = info


def put_image(cloud: Cloud, region: str, repository: str, name: str, version: str) -> str:
    """What a build has pushed: an image and its tag; the digest."""
    digest = f"sha256:{hashlib.sha256(f'{name}:{version}'.encode()).hexdigest()}"
    place = f"projects/{cloud.project}/locations/{region}/repositories/{repository}"
    package = f"{place}/packages/{name}"
    put = cloud.store.resources
    put.setdefault(f"artifactregistry/{place}", {"name": place, "format": "DOCKER"})
    tag = {"name": f"{package}/tags/{version}", "version": f"{package}/versions/{digest}"}
    put[f"artifactregistry/{tag['name']}"] = tag
    put[f"artifactregistry/{tag['version']}"] = {"name": tag["version"], "relatedTags": [tag]}
    return digest
