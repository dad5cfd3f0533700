#!/usr/bin/env bash
# Asks for a Cloud TPU VM through a queued resource and waits until it is there.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tpu_lib.sh
. "$(dirname "$0")/tpu_lib.sh"

usage() {
  cat <<END
usage: tpu_create.sh --zone ZONE [flags]

Asks for a Cloud TPU VM and waits until it is ACTIVE. From then on it costs money, used or not, until
tpu_delete.sh deletes it. Run again it goes on waiting, or says that the TPU is there.

$tpu_help
  --type TYPE          accelerator type (default: v5litepod-4); 'gcloud compute tpus accelerator-types list' shows a zone's
  --runtime VERSION    the VM's image (default: the one for TYPE, such as v2-alpha-tpuv5-lite)
  --spot               cheaper, and taken away at any moment: see tpu_babysit.sh
  --create-flag FLAG   one more flag of 'gcloud compute tpus queued-resources create', such as
                       --create-flag --valid-until-duration=6h or --create-flag --service-account=NAME (again for more)
  --wait MINUTES       give up waiting after this time (default: never); the request stays in the queue
  --poll SECONDS       between two looks (default: 30)

$flags_help
Exit codes: 0 it is there, 2 wrong flag, 69 gcloud failed, 71 the TPU cannot be had or did not come in time.
END
}

# runtime_for TYPE: the image that Google names for it.
runtime_for() {
  case $1 in
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v6e-*) echo v2-alpha-tpuv6e ;;
    v2-* | v3-* | v4-*) echo tpu-ubuntu2204-base ;;
    *) return 1 ;;
  esac
}

request() {
  local words=(--node-id="${flag[name]}" --accelerator-type="${flag[type]}" --runtime-version="${flag[runtime]}")
  [[ -z ${flag[spot]} ]] || words+=(--spot)
  run gcloud compute tpus queued-resources create "${flag[name]}" "${place[@]}" "${words[@]}" --async "${create_flags[@]}" ||
    stop $cloud_error "gcloud could not make the request. Common causes: no quota for ${flag[type]}${flag[spot]:+ as spot} in ${flag[zone]}, the type is not offered there, the TPU API is off ('gcloud services enable tpu.googleapis.com')"
}

# refuse KIND STATE: says what to do about a request that will not come to anything.
refuse() {
  case $1 in
    failed)
      gcloud compute tpus queued-resources describe "${flag[name]}" "${place[@]}" '--format=value(state.failedData.error.message)' >&2 || true
      stop $no_tpu "the request is $2: its reason stands above if there is one (quota, type, zone, or its time ran out). Delete it with tpu_delete.sh, mend the cause or choose another --zone or --type, and run this again"
      ;;
    gone) stop $no_tpu "the TPU is $2: it was preempted, stopped or deleted, and does not come back. Run tpu_delete.sh, then this again; tpu_babysit.sh does both" ;;
    absent) stop $no_tpu "the request has vanished: somebody deleted it. Run this again to ask anew" ;;
  esac
}

# wait_until_active: shows each new state, and every five minutes that it still waits.
wait_until_active() {
  local began=$SECONDS shown='' shown_at=0 kind state unseen=0 troubles=0
  while :; do
    if read -r kind state < <(tpu_state); then
      troubles=0
    else
      ((++troubles < 10)) || stop $cloud_error "gcloud failed ten times in a row, as above; the request may still be in the queue: run this again"
      kind=coming state="unknown, gcloud failed"
    fi
    [[ $kind != ready ]] || break
    if [[ $kind == absent ]] && ((++unseen <= 3)); then kind=coming; fi # just made, and not yet listed
    [[ $kind == coming ]] || refuse "$kind" "$state"
    if [[ $state != "$shown" ]] || ((SECONDS - shown_at >= 300)); then
      say "$state for $(((SECONDS - began) / 60)) min$([[ $state != WAITING_FOR_RESOURCES ]] || echo ': there is no free TPU of this kind; it can take minutes or days. Ctrl-C leaves the request in the queue')"
      shown=$state shown_at=$SECONDS
    fi
    if ((flag[wait] > 0 && SECONDS - began >= 60 * flag[wait])); then
      stop $no_tpu "still $state after ${flag[wait]} min; the request stays in the queue and starts costing when it is filled: run this again to wait on, or tpu_delete.sh to withdraw it"
    fi
    sleep "${flag[poll]}"
  done
  say "${flag[name]} is ready and costs money from now on; tpu_delete.sh deletes it"
}

read_flags "type= runtime= spot create-flag= wait= poll=" "$@"
((${#arguments[@]} == 0)) || stop $usage_error "this script passes nothing on; see --create-flag"
number wait 0
number poll 30
flag[type]=${flag[type]:-v5litepod-4}
flag[runtime]=${flag[runtime]:-$(runtime_for "${flag[type]}")} ||
  stop $usage_error "--type ${flag[type]}: no image is known for it here; name one with --runtime ('gcloud compute tpus versions list' shows them)"

if [[ -n ${flag[dry-run]} ]]; then
  request
  run gcloud compute tpus queued-resources describe "${flag[name]}" "${place[@]}" '--format=value(state.state)'
  run gcloud compute tpus tpu-vm describe "${flag[name]}" "${place[@]}" '--format=value(state)'
  exit 0
fi
found=$(tpu_state) || stop $cloud_error "gcloud failed, as above: check --project, --zone and 'gcloud auth login'"
read -r kind state <<<"$found"
case $kind in
  absent)
    request
    say "asked for ${flag[name]}: ${flag[type]}${flag[spot]:+, spot}, ${flag[runtime]}, in ${flag[zone]}"
    ;;
  ready) say "${flag[name]} is there already" && exit 0 ;;
  coming) say "${flag[name]} was asked for already" ;;
  *) refuse "$kind" "$state" ;;
esac
wait_until_active
