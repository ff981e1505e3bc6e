#!/usr/bin/env bash
# install_wheels s3://bucket/wheels/ python3.9: a bootstrap action that installs every wheel of a folder in S3 for a
# Python of the instance. It needs no internet: nothing but the folder is asked for packages.
set -euo pipefail
wheels=$1
python=${2:-python3}
folder=$(mktemp -d)
aws s3 cp --recursive --no-progress --exclude '*' --include '*.whl' "$wheels" "$folder/"
shopt -s nullglob
files=("$folder"/*.whl)
if [ ${#files[@]} -eq 0 ]; then
  echo "$wheels holds no wheel" >&2
  exit 1
fi
sudo "$python" -m pip install --no-index --find-links "$folder" "${files[@]}"
