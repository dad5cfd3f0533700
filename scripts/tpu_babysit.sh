#!/usr/bin/env bash
# Keeps a run going on Cloud TPUs that come and go: makes the TPU, starts the job, watches both, makes a preempted TPU
# anew and goes on from the bucket's newest checkpoint, and stops where going on would not help.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tpu_lib.sh
. "$(dirname "$0")/tpu_lib.sh"

usage() {
  cat <<END
usage: tpu_babysit.sh --zone ZONE --bucket gs://BUCKET/RUN [flags] -- ELEKTRON-ARGUMENTS

Keeps elektron running on a TPU until it is done, also where the TPU is preempted: then it is made anew, and the run
goes on from the newest checkpoint in --bucket. Let it run on a machine that stays on (in tmux, or a small VM). It can
be stopped and started again at any time: it takes up the TPU and the job that it finds. A TPU that somebody else
deletes is not made anew.

Goes on after: preemption, exit code 75 (stopped by a signal and saved), 71 (the device was lost), a restart of the VM.
Stops with the reason after: 0 (done), and every other code of elektron's, which would come again (2, 65, 69, 70, 72, 74, 76 …).
Between two attempts it waits --back-off seconds, twice as long each time that no new checkpoint has reached the
bucket, at most half an hour; after --attempts such times it gives up.

$tpu_help
  --type, --runtime, --spot, --create-flag          as for tpu_create.sh
  --bucket, --copy-every, --job, --binary, --plugin, --ssh-flag    as for tpu_run.sh
  --attempts N         in a row without a new checkpoint before it gives up (default: 5)
  --back-off SECONDS   before the first new attempt (default: 30)
  --poll SECONDS       between two looks (default: 60)
  --delete             delete the TPU at the end, however the run ended; not where the last copy to the bucket failed

$flags_help
Exit codes: elektron's last one; 2 wrong flag, 69 gcloud or ssh failed, 71 no TPU could be had, or it was deleted.
END
}

create_words=() run_words=()

# pass NAME ARRAY: hands a flag on to another script.
pass() {
  local -n words=$2
  [[ -z ${flag[$1]} ]] || words+=("--$1=${flag[$1]}")
}

# conclude CODE MESSAGE: the end. The TPU is deleted where that was asked for and nothing is lost by it.
conclude() {
  say "${@:2}"
  if [[ -n ${flag[delete]} && -z $unsaved ]]; then
    "$scripts/tpu_delete.sh" "${place_words[@]}" || true
  else
    [[ -z $unsaved ]] || say "the last copy to the bucket failed: the newest results are on the VM only, below ~/elektron/jobs/${flag[job]}/run"
    say "the TPU, if it is still there, costs money until tpu_delete.sh"
  fi
  exit "$1"
}

# explain CODE: what elektron's exit code means, for those after which going on is of no use.
explain() {
  case $1 in
    2) echo "a wrong flag, value or configuration; its message stands in the log" ;;
    65) echo "bad data, vocabulary or checkpoint; its message names file and place" ;;
    69) echo "storage cannot be read or written; check the bucket and the rights of the VM's service account" ;;
    70) echo "a fault of elektron's own; please report it with its log" ;;
    72) echo "the step does not fit the TPU's memory; a smaller --batch-size, --accumulate or --remat ('elektron plan --topology' computes it)" ;;
    73) echo "another process uses the run's folder" ;;
    74) echo "the VM's disk is full; fewer checkpoints kept, or a larger run.checkpoint_every" ;;
    76) echo "the loss stayed not finite; a lower optim.lr or a longer warm-up" ;;
    *) echo "elektron does not end so by itself; 137 is a kill by the system, mostly for want of memory" ;;
  esac
}

# have_tpu: a TPU that is ready, made anew where it is gone. Fails where it cannot be had now.
have_tpu() {
  local kind state code=0
  read -r kind state < <(tpu_state) || return 1
  case $kind in
    ready) ours=yes && return ;;
    absent) [[ -z $ours ]] || conclude $no_tpu "the TPU was deleted by somebody else, so it is not made anew; start this again if it should be" ;;
    gone | failed)
      say "the TPU is $state: deleting it and asking for another"
      "$scripts/tpu_delete.sh" "${place_words[@]}" || return
      ours=''
      ;;
  esac
  "$scripts/tpu_create.sh" "${create_words[@]}" || code=$?
  ((code != usage_error)) || conclude $usage_error "the TPU could not be asked for, as above"
  ((code == 0)) || return 1
  ours=yes
}

# have_job: a job that runs. The binary is built once, so that all attempts run the same.
have_job() {
  local code=0
  "$scripts/tpu_run.sh" "${run_words[@]}" "${binary[@]}" --detach -- "${arguments[@]}" || code=$?
  case $code in
    0) [[ -n ${flag[binary]} ]] || binary=("--binary=$cache/elektron") ;;
    "$locked") say "taking up the job that runs already; its arguments stay as they were" ;;
    "$usage_error") conclude $usage_error "the job could not be started, as above" ;;
    *) return 1 ;;
  esac
}

# watch: until something is to be done; leaves it in outcome: exited=CODE, lost, or a state of the TPU.
watch() {
  local found verdict kind state splits=0 unreachable=0 shown=''
  while :; do
    sleep "${flag[poll]}"
    if read -r kind state < <(tpu_state); then
      case $kind in
        absent) have_tpu ;; # ends the script
        gone | failed) outcome=$state && return ;;
      esac
    fi
    if ! found=$(statuses); then
      outcome="ready, but its workers cannot be reached by ssh"
      ((++unreachable < 10)) || return 0
      continue
    fi
    unreachable=0 verdict=$(verdict <<<"$found")
    case $verdict in
      running)
        if [[ ${found##* } != "$shown" ]]; then shown=${found##* } && say "running, $shown"; fi
        ;;
      split)
        ((++splits < 3)) || "$scripts/tpu_run.sh" "${run_words[@]}" --stop || true
        ;;
      *)
        [[ $found != *copy=failed* ]] || unsaved=yes
        outcome=$verdict
        return
        ;;
    esac
  done
}

# judge: ends the script after what would come again.
judge() {
  local code=${outcome#exited=}
  case $outcome in
    exited=0) conclude 0 "done: the run is in ${flag[bucket]}" ;;
    exited=71 | exited=75) last_code=$code ;;
    exited=*) conclude "$code" "elektron ended with exit code $code: $(explain "$code"). Log: ${flag[bucket]}/logs/" ;;
    *) last_code=$no_tpu ;;
  esac
  unsaved=''
}

# pause: waits before the next attempt, or gives up after too many without a new checkpoint in the bucket.
pause() {
  local step delay
  step=$(bucket_step) || step=$best
  if ((step > best)); then best=$step attempts=0; fi
  ((++attempts <= flag[attempts])) ||
    conclude "$last_code" "giving up: ${flag[attempts]} attempts since step $best brought no new checkpoint (last: $outcome). Logs: ${flag[bucket]}/logs/. If it is preempted too soon, lower run.checkpoint_every"
  delay=$((flag[back-off] << (attempts - 1)))
  ((delay <= 1800)) || delay=1800
  say "$outcome at step $step; going on in $delay s (attempt $attempts of ${flag[attempts]} without a new checkpoint)"
  sleep "$delay"
}

read_flags "type= runtime= spot create-flag= bucket= copy-every= job= binary= plugin= ssh-flag= attempts= back-off= poll= delete" "$@"
number attempts 5
number back-off 30
number poll 60
number copy-every 60
((flag[attempts] <= 40)) || stop $usage_error "--attempts ${flag[attempts]}: 40 at most"
check_bucket
check_job
[[ -n ${flag[bucket]} ]] || stop $usage_error "--bucket is missing: what is to survive a preemption must be in a bucket, such as gs://BUCKET/runs/small"
((${#arguments[@]})) || stop $usage_error "say after -- what elektron is to do, as in: -- --preset small --data gs://BUCKET/shards"
check_arguments
[[ " ${arguments[*]} " != *" --resume never "* && " ${arguments[*]} " != *" --resume=never "* ]] ||
  stop $usage_error "leave out --resume never: every attempt would begin at step 0"

place_words=("--name=${flag[name]}" "--zone=${flag[zone]}")
[[ -z ${flag[project]} ]] || place_words+=("--project=${flag[project]}")
create_words=("${place_words[@]}" "${create_flags[@]/#/--create-flag=}") run_words=("${place_words[@]}" "${ssh_flags[@]/#/--ssh-flag=}")
for name in type runtime; do pass "$name" create_words; done
[[ -z ${flag[spot]} ]] || create_words+=(--spot)
for name in bucket copy-every job plugin; do pass "$name" run_words; done
binary=()
[[ -z ${flag[binary]} ]] || binary=("--binary=${flag[binary]}")

if [[ -n ${flag[dry-run]} ]]; then
  export ELEKTRON_TPU_DRY_RUN=yes
  echo "# the TPU, where it is not there yet"
  "$scripts/tpu_create.sh" "${create_words[@]}"
  echo "# the job"
  "$scripts/tpu_run.sh" "${run_words[@]}" "${binary[@]}" --detach -- "${arguments[@]}"
  echo "# every ${flag[poll]} s"
  "$scripts/tpu_run.sh" "${run_words[@]}" --status
  echo "# between attempts: how far the bucket is; where the TPU is gone it is deleted, and all begins again"
  run gcloud storage ls "${flag[bucket]}/checkpoints/*/manifest.json"
  "$scripts/tpu_delete.sh" "${place_words[@]}"
  exit 0
fi

trap 'say "the job, if it runs, goes on, and so do its costs; the same command takes it up again, tpu_delete.sh ends it"; exit 130' INT TERM
# What the environment says has been read; the other scripts get it by flags.
for name in "${!ELEKTRON_TPU_@}"; do unset "$name"; done
ours='' unsaved='' outcome='' attempts=0 last_code=$no_tpu
best=$(bucket_step) || stop $cloud_error "${flag[bucket]} cannot be read from here: check its name and 'gcloud auth login'"
say "the bucket's newest checkpoint: step $best"
while :; do
  outcome="no TPU could be had"
  if have_tpu; then
    outcome="the job could not be started"
    if have_job; then
      watch
      judge
    fi
  fi
  pause
done
