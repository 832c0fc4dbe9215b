#!/bin/sh
# workers/sbom.sh PROJECT REPOSITORY VERSION
# Writes the bills of materials, and stores the workers' beside REPOSITORY/…-worker:VERSION.
set -eu
project=$1 repository=$2 version=$3

make sbom
for worker in gpu cpu; do
  gcloud artifacts sbom load --project="$project" --source="build/sbom/$worker-worker.cdx.json" \
    --uri="$repository/$worker-worker:$version"
done
