#!/bin/sh
# workers/build.sh gpu|cpu REPOSITORY VERSION
# Builds one worker's image from the repository's root and pushes it as REPOSITORY/…-worker:VERSION; an image that is
# there already is left alone, so that what was tested is what is released. Needs docker with buildx, and the model in
# build/models/gpu|cpu. MIRROR in the environment names a registry that stands for Docker Hub.
set -eu
worker=$1 repository=$2 version=$3
base=${MIRROR:+$MIRROR/library/}$(sed -n 's/^ARG BASE=//p' "workers/$worker/Dockerfile")
image=$repository/$worker-worker

digest_of() { docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}'; }

if answer=$(digest_of "$image:$version" 2>&1); then
  echo "$image:$version is there already: $answer"
  exit 0
fi
case $answer in
  *"$image:$version: not found"*) ;;
  *)
    # It may well be there: one built anew would take the place of what was tested.
    echo "cannot tell whether $image:$version is there: $answer" >&2
    exit 1
    ;;
esac

git() { command git -c safe.directory='*' "$@"; }
pinned=$base@$(digest_of "$base")
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
echo "building $image:$version on $pinned"

# One plain manifest (no provenance index), so that its digest is decided by the source and the base alone.
docker buildx build . \
  --file "workers/$worker/Dockerfile" \
  --build-arg "BASE=$pinned" \
  --build-arg "REVISION=$(git rev-parse HEAD)" \
  --build-arg "VERSION=$version" \
  --build-arg SOURCE_DATE_EPOCH \
  --platform linux/amd64 \
  --provenance=false \
  --sbom=false \
  --cache-from "type=registry,ref=$image:cache" \
  --cache-to "type=registry,ref=$image:cache,mode=max,image-manifest=true,oci-mediatypes=true" \
  --output "type=image,name=$image:$version,push=true,rewrite-timestamp=true,oci-mediatypes=true"
