#!/usr/bin/env bash
# Deletes a Cloud TPU VM and its queued resource, in whatever state they are.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tpu_lib.sh
. "$(dirname "$0")/tpu_lib.sh"

usage() {
  cat <<END
usage: tpu_delete.sh --zone ZONE [flags]

Deletes the queued resource and the TPU VM with its disk; nothing is asked. Where they are gone already it says so.
A job that runs is killed: 'tpu_run.sh --stop' first lets it save.

$tpu_help
  --poll SECONDS       between two tries (default: 15)

$flags_help
Exit codes: 0 both are gone, 2 wrong flag, 69 gcloud failed: it may still cost money.
END
}

remove_queued() { run gcloud compute tpus queued-resources delete "${flag[name]}" "${place[@]}" --force; }
remove_node() { run gcloud compute tpus tpu-vm delete "${flag[name]}" "${place[@]}"; }

read_flags "poll=" "$@"
number poll 15
if [[ -n ${flag[dry-run]} ]]; then
  remove_queued
  remove_node
  exit 0
fi

# What is being deleted already refuses to be deleted; so look, delete, and look again.
for try in {1..20}; do
  queued=$(describe queued-resources state.state) && node=$(describe tpu-vm state) || queued=UNKNOWN node=UNKNOWN
  if [[ $queued$node == ABSENTABSENT ]]; then
    if ((try == 1)); then say "there is no ${flag[name]} in ${flag[zone]}"; else say "${flag[name]} is deleted"; fi
    exit 0
  fi
  ((try == 1)) || sleep "${flag[poll]}"
  if [[ $queued != ABSENT ]]; then
    [[ $queued == DELETING ]] || remove_queued || say "not deleted yet"
  elif [[ $node != DELETING ]]; then
    remove_node || say "not deleted yet"
  fi
done
stop $cloud_error "could not delete ${flag[name]}: the queued resource is $queued, the TPU is $node. It may still cost money: look at https://console.cloud.google.com/compute/tpus and run this again"
