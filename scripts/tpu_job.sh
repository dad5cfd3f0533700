#!/usr/bin/env bash
# Runs elektron on a Cloud TPU VM as a unit of systemd, so that it outlives the ssh session, is told when the VM is
# taken away, and can be asked how it is. tpu_run.sh copies this file to ~/elektron of every worker and calls it there:
#
#   tpu_job.sh start JOB [--bucket gs://…] [--copy-every SECONDS] [--install] [--own-plugin] -- ELEKTRON-ARGUMENTS
#   tpu_job.sh status JOB      one line: "elektron-job JOB worker=N STATE step=S", STATE running, exited=CODE, lost, absent
#   tpu_job.sh follow JOB [LINES]      shows the log until the job ends
#   tpu_job.sh stop JOB        lets it save (exit code 75)
#
# elektron keeps a run in a local folder only. With --bucket, worker 0 copies that folder there every --copy-every
# seconds and when elektron ends, and every worker begins with what is there if that is further than its own.
set -euo pipefail

home=$HOME/elektron
export XDG_CACHE_HOME=$home/cache PATH=$PATH:/snap/bin # gcloud is a snap on TPU VMs
usage_error=2 storage_error=69 no_device=71 locked=73 stopped=75

say() { printf 'tpu_job.sh: %s\n' "$*" >&2; }

# worker: this VM's number in the slice, from its metadata, else from its name (t1v-n-0a1b2c3d-w-3).
worker() {
  local number
  number=$(curl -sf -m 3 -H 'Metadata-Flavor: Google' \
    http://metadata.google.internal/computeMetadata/v1/instance/attributes/agent-worker-number 2>/dev/null) || number=''
  [[ $number =~ ^[0-9]+$ ]] || number=$(hostname | sed -n 's/.*-w-\([0-9][0-9]*\)$/\1/p')
  echo "${number:-0}"
}

active() { systemctl is-active --quiet "elektron-$job"; }

# local_step: the newest checkpoint's step on this disk, 0 where there is none.
local_step() { newest_step <<<"$(ls "$folder/run/checkpoints" 2>/dev/null)"; }

# newest_step: reads names that end in step-N or step-N/manifest.json.
newest_step() {
  local step
  step=$(sed -n 's|^\(.*/\)\{0,1\}step-0*\([0-9][0-9]*\)\(/manifest.json\)\{0,1\}$|\2|p' | sort -n | tail -n 1)
  echo "${step:-0}"
}

# bucket_files PATTERN: the bucket's files of that pattern, none where there are none. Fails where it cannot be read.
bucket_files() {
  local said
  said=$(gcloud storage ls "$bucket/$1" 2>&1) && echo "$said" && return
  [[ $said == *"matched no objects"* ]] || { say "$said" && return 1; }
}

# patiently COMMAND...: five tries within about a minute.
patiently() {
  local pause
  for pause in 2 6 15 30 0; do
    "$@" && return
    sleep "$pause"
  done
  return 1
}

# restore: takes the bucket's run where this disk has none or an older one. It is fetched whole and then put in place.
restore() {
  local files step
  files=$(patiently bucket_files '**') || return 1
  step=$(newest_step <<<"$files")
  if [[ -z $files ]] || { [[ -d $folder/run ]] && ((step <= $(local_step))); }; then return; fi
  say "fetching $bucket, step $step"
  rm -rf -- "$folder/fetched" "$folder/replaced"
  mkdir -p "$folder/fetched" || return 1
  patiently gcloud storage rsync "$bucket" "$folder/fetched" --recursive '--exclude=(.*/)?\..*|logs/.*' || return 1
  if [[ -d $folder/run ]]; then mv -- "$folder/run" "$folder/replaced" || return 1; fi
  mv -- "$folder/fetched" "$folder/run"
}

copy_log() { gcloud storage cp "$folder/log" "$bucket/logs/$(basename "$(readlink -f "$folder/log")")"; }

# copy_checkpoints: checkpoints never change, and their manifests and sums tell elektron which arrived whole. What elektron
# has deleted here is deleted there after the newer ones are there, and never the newest.
copy_checkpoints() {
  local manifests name step
  [[ -n $(ls "$folder/run/checkpoints" 2>/dev/null) ]] || return 0
  gcloud storage rsync "$folder/run/checkpoints" "$bucket/checkpoints" --recursive '--exclude=(.*/)?\..*' || return 1
  manifests=$(bucket_files 'checkpoints/*/manifest.json') || return 1
  for name in $manifests; do
    step=$(newest_step <<<"$name")
    if ((step < $(local_step))) && [[ ! -d $folder/run/checkpoints/$(basename "$(dirname "$name")") ]]; then
      gcloud storage rm --recursive "$(dirname "$name")" || say "$(dirname "$name") is not needed any more and could not be deleted"
    fi
  done
}

copy_rest() {
  [[ ! -d $folder/run ]] || gcloud storage rsync "$folder/run" "$bucket" --recursive '--exclude=(.*/)?\..*|checkpoints/.*' || return 1
  copy_log
}

# copy_while_running: one copy at a time. Files that grow may fail to be copied; the next time will do.
copy_while_running() {
  local second
  while :; do
    for ((second = 0; second < copy_every; second++)); do
      sleep 1
      [[ ! -e $folder/ended ]] || return 0
    done
    { copy_checkpoints && copy_rest; } >"$folder/copying" 2>&1 || { say "not all was copied to $bucket; next try in $copy_every s:" && tail -n 5 "$folder/copying" >&2; }
  done
}

# finish CODE COPY: leaves the exit code for status; COPY is done, failed or none.
finish() {
  echo "exited=$1 copy=$2" >"$folder/exit.new"
  mv -- "$folder/exit.new" "$folder/exit"
  say "elektron ended with exit code $1; copy to the bucket: $2"
  exit "$1"
}

# wait_for PID: leaves its exit code in exit_code. A signal, which the trap hands on, interrupts the wait; then it is
# waited for again, and 127 says that its code is known already.
wait_for() {
  local code
  exit_code=127
  while :; do
    interrupted='' code=0
    wait "$1" || code=$?
    ((code == 127)) || exit_code=$code
    [[ -n $interrupted ]] || return 0
  done
}

# last_copy: leaves in copy whether all is in the bucket, and waits until the copy before is over.
last_copy() {
  touch "$folder/ended"
  wait "$copier" || true
  copy='done'
  if ! { patiently copy_checkpoints && patiently copy_rest; }; then copy=failed; fi
  if [[ $copy == failed ]] && ((exit_code == 0)); then exit_code=$storage_error; fi
}

# reach_bucket: what the bucket has, and that it takes something, before hours of work depend on it.
reach_bucket() {
  if restore && { [[ $(worker) != 0 ]] || patiently copy_log; }; then return; fi
  say "$bucket cannot be read or written: check its name, and that the VM's service account has the role Storage Object User on it"
  finish $storage_error failed
}

# unit: what systemd runs.
unit() {
  local child='' copier='' copy=none exit_code=0 interrupted='' words
  trap 'interrupted=yes; [[ -z $child ]] || kill -TERM "$child" 2>/dev/null || true' TERM INT
  mapfile -d '' words <"$folder/arguments"
  rm -f -- "$folder/ended"
  [[ -z $bucket ]] || reach_bucket
  [[ -z $interrupted ]] || finish $stopped none
  "$home/elektron" "${words[@]}" "--out=$folder/run" &
  child=$!
  [[ -z $interrupted ]] || kill -TERM "$child"
  if [[ -n $bucket && $(worker) == 0 ]]; then copy_while_running & copier=$!; fi
  wait_for "$child"
  [[ -z $copier ]] || last_copy
  finish "$exit_code" "$copy"
}

# ready: elektron runs here and finds its plugin, else says why not.
ready() {
  local found
  if [[ -n $install ]]; then "$home/elektron" platform install tpu >&2 || return; fi
  if ! found=$("$home/elektron" platform list); then
    say "$home/elektron does not run here. If it misses a GLIBC version, build it on an older Linux (the VM has $(ldd --version 2>&1 | head -n 1)) and give it with --binary"
    return $no_device
  fi
  [[ -n $plugin ]] || grep -q '^tpu .*hash ok' <<<"$found" || { say "the TPU plugin is missing or damaged here: $found" && return $no_device; }
}

start() {
  if active; then
    say "$job runs already on worker $(worker); stop it first, or give another --job"
    return $locked
  fi
  mkdir -p "$folder"
  ready || return
  if [[ -n $bucket ]] && ! command -v gcloud >/dev/null; then
    say "gcloud is not installed on this VM, which --bucket needs; choose another --runtime"
    return $storage_error
  fi
  local words=(--platform=tpu)
  [[ -z $plugin ]] || words+=("--plugin=$plugin")
  printf '%s\0' "$@" "${words[@]}" >"$folder/arguments"
  rm -f -- "$folder/exit"
  local log
  log=$folder/log-$(date -u +%Y%m%dT%H%M%S)-$$
  : >"$log"
  ln -sfn "$log" "$folder/log"
  # KillMode: only this script gets the signal, hands it on and has time to copy. LimitMEMLOCK: the TPU's driver pins memory.
  sudo systemd-run --quiet --collect "--unit=elektron-$job" "--uid=$(id -u)" "--gid=$(id -g)" "--working-directory=$home" \
    "--setenv=HOME=$HOME" "--setenv=PATH=$PATH" "--setenv=ELEKTRON_JOB_BUCKET=$bucket" "--setenv=ELEKTRON_JOB_COPY_EVERY=$copy_every" \
    --property=KillMode=mixed --property=TimeoutStopSec=300 --property=OOMPolicy=continue --property=LimitMEMLOCK=infinity \
    --property=LimitNOFILE=1048576 --property=After=network-online.target \
    "--property=StandardOutput=append:$log" "--property=StandardError=append:$log" \
    bash "$home/tpu_job.sh" unit "$job" ||
    { say "systemd did not take the job; does this user have sudo?" && return $storage_error; }
  echo "elektron-job $job worker=$(worker) started"
}

status() {
  local state=absent
  if active; then
    state=running
  elif [[ -f $folder/exit ]]; then
    state=$(<"$folder/exit")
  elif [[ -f $folder/arguments ]]; then
    state=lost
  fi
  echo "elektron-job $job worker=$(worker) $state step=$(local_step)"
}

# follow LINES: ends with the job, or when nobody reads any more.
follow() {
  [[ -e $folder/log ]] || { say "there is no job $job" && return $usage_error; }
  tail -n "$1" -f "$folder/log" &
  local tail=$!
  while active && kill -0 "$tail" 2>/dev/null; do sleep 2; done
  sleep 1
  kill "$tail" 2>/dev/null || true
}

action=${1:?say what to do} job=${2:?name the job}
shift 2
folder=$home/jobs/$job
bucket=${ELEKTRON_JOB_BUCKET:-} copy_every=${ELEKTRON_JOB_COPY_EVERY:-60} plugin='' install=''
case $action in
  start)
    while [[ ${1:---} != -- ]]; do
      case $1 in
        --bucket) bucket=$2 && shift ;;
        --copy-every) copy_every=$2 && shift ;;
        --own-plugin) plugin=$home/plugin.so ;;
        --install) install=yes ;;
      esac
      shift
    done
    start "${@:2}"
    ;;
  unit | status) "$action" ;;
  follow) follow "${1:-+1}" ;;
  stop) sudo systemctl stop "elektron-$job" || true ;;
  *) say "unknown action $action" && exit 2 ;;
esac
