#!/usr/bin/env bash
# Runs elektron on a Cloud TPU VM: builds it, copies it and the TPU plugin to all workers, starts it there, shows its
# log, and ends with its exit code.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tpu_lib.sh
. "$(dirname "$0")/tpu_lib.sh"

usage() {
  cat <<END
usage: tpu_run.sh --zone ZONE [flags] -- ELEKTRON-ARGUMENTS
       tpu_run.sh --zone ZONE --status | --attach | --stop

Runs elektron on all workers of a TPU that tpu_create.sh made, as a unit of systemd that outlives this script: Ctrl-C
ends the showing of the log, not the job. Ends with elektron's exit code. --platform, --plugin and --out are added.

$tpu_help
  --bucket gs://B/RUN  copies the run there while it goes and when it ends, and begins with what is there. Without it
                       the results are lost with the VM
  --copy-every SECONDS (default: 60)
  --job NAME           (default: train) of the unit and its folder; one VM can keep several, a TPU runs one at a time
  --binary FILE        elektron for Linux on x86-64, instead of building it
  --plugin WHAT        copy: this machine's pinned libtpu, installed if need be (the default); install: the VM fetches it
                       from the package index, which is faster where this machine's uplink is slow; or a file to copy
  --ssh-flag FLAG      one more flag of 'gcloud compute tpus tpu-vm ssh' and 'scp', such as --internal-ip
  --poll SECONDS       between two looks at the workers (default: 30)
  --detach             end when the job has started
  --status             one line a worker: running, exited=CODE, lost (the VM was restarted under it), absent
  --attach             show a running job's log and end with its exit code
  --stop               let the job save and end (exit code 75)

$flags_help
Exit codes: elektron's (docs/commands.md); of this script: 2 wrong flag, 69 gcloud or ssh failed, 71 there is no
TPU that is ready, 73 the job runs already.
END
}

repository=$(dirname "$scripts")
sums=() files=() # what must be on the workers: its SHA-256 and path there, as sha256sum reads them; the file here

# ship FILE PATH: FILE must be on the workers as PATH below $remote.
ship() {
  local sum=SHA-256
  [[ -n ${flag[dry-run]} ]] || sum=$(sha256sum <"$1" | cut -d ' ' -f 1)
  sums+=("$sum  $remote/$2")
  files+=("$1" "$remote/$2")
}

# build: the binary for the workers.
build() {
  if [[ -n ${flag[binary]} ]]; then
    binary=${flag[binary]}
    [[ -n ${flag[dry-run]} || -x $binary ]] || stop $usage_error "--binary $binary: there is no such program"
    return
  fi
  binary=$cache/elektron
  run mkdir -p "$cache"
  run env CGO_ENABLED=1 GOOS=linux GOARCH=amd64 go build -C "$repository" -trimpath -o "$binary" . ||
    stop $usage_error "elektron could not be built. It needs Go and a C compiler for Linux on x86-64: on another system name one in CC (such as CC='zig cc -target x86_64-linux-gnu.2.35'), or build it on Linux and give it with --binary"
}

# plugin: what goes to the workers beside the binary, and what the job is told of it.
plugin() {
  local found=/CACHE/elektron/plugins/tpu-VERSION/libtpu.so
  case ${flag[plugin]:-copy} in
    install) job_flags+=(--install) ;;
    copy)
      run "$binary" platform install tpu || stop $no_tpu "the TPU plugin could not be installed here; --plugin install lets the VM fetch it"
      if [[ -z ${flag[dry-run]} ]]; then
        found=$("$binary" platform list | sed -n 's|^tpu .* \(/.*/elektron/plugins/.*[^ ]\) *$|\1|p')
        [[ -f $found ]] || stop $no_tpu "'$binary platform list' names no TPU plugin; give its file with --plugin"
      fi
      ship "$found" "cache/elektron/plugins/${found##*/elektron/plugins/}"
      ;;
    *)
      [[ -n ${flag[dry-run]} || -f ${flag[plugin]} ]] || stop $usage_error "--plugin ${flag[plugin]}: there is no such file; give a file, copy or install"
      ship "${flag[plugin]}" plugin.so
      job_flags+=(--own-plugin)
      ;;
  esac
}

# deliver: copies to all workers what one of them lacks.
deliver() {
  local folders=() i found command
  for ((i = 1; i < ${#files[@]}; i += 2)); do folders+=("$(dirname "${files[i]}")"); done
  command="mkdir -p ${folders[*]}; printf '%s\n'$(printf " '%s'" "${sums[@]}") | sha256sum --check 2>/dev/null; true"
  found=$(shell_on_workers all "$command") ||
    stop $cloud_error "ssh to ${flag[name]} failed, as above: check the firewall (port 22), your rights (roles/tpu.admin, iam.serviceAccountUser), and ssh-add ~/.ssh/google_compute_engine where there are several workers"
  [[ -z ${flag[dry-run]} ]] || echo "$found"
  for ((i = 0; i < ${#files[@]}; i += 2)); do
    if [[ $found == *"${files[i + 1]}: OK"* && $found != *"${files[i + 1]}: FAILED"* ]]; then
      say "${files[i + 1]} is there"
      continue
    fi
    say "copying ${files[i]} to ${files[i + 1]}"
    run gcloud compute tpus tpu-vm scp "${files[i]}" "${flag[name]}:${files[i + 1]}" "${place[@]}" --worker=all --compress "${ssh_flags[@]}" ||
      stop $cloud_error "copying ${files[i]} to ${flag[name]} failed; run this again"
  done
}

viewer='' # the process that shows worker 0's log

# view LINES: begins to show the log, in a process group of its own, so that ssh ends with gcloud.
view() {
  set -m
  on_workers 0 bash "$remote/tpu_job.sh" follow "${flag[job]}" "$1" </dev/null &
  viewer=$!
  set +m
}

viewing() { kill -0 -- "-$viewer" 2>/dev/null; }

end_view() { [[ -z $viewer ]] || kill -- "-$viewer" 2>/dev/null || true; }

# attend: shows worker 0's log until the job has ended on all workers, and ends with its exit code.
attend() {
  local state splits=0 unreachable=0 sleeper
  trap end_view EXIT
  trap 'say "the job goes on; tpu_run.sh --attach shows it again, --stop ends it, and the TPU costs money until tpu_delete.sh"; exit 130' INT TERM
  view +1
  while :; do
    sleep "${flag[poll]}" &
    sleeper=$!
    wait -n "$viewer" "$sleeper" || true
    kill "$sleeper" 2>/dev/null || true
    if state=$(statuses); then
      unreachable=0
      settle "$state"
    else
      cannot_reach
    fi
    viewing || { sleep "${flag[poll]}" && view 20; }
  done
}

# cannot_reach: ends this script where the TPU is gone, or has not answered for long.
cannot_reach() {
  local kind node
  read -r kind node < <(tpu_state) || kind=coming node='unknown, gcloud failed too'
  [[ $kind == ready || $kind == coming ]] || stop $no_tpu "the TPU is $node: what was copied to the bucket is all that is left. tpu_babysit.sh would make it anew and go on"
  ((++unreachable < 30)) || stop $cloud_error "the workers cannot be reached; the TPU is $node, the job may go on: tpu_run.sh --attach"
}

# settle STATUSES: ends this script where the job has ended.
settle() {
  local verdict
  verdict=$(verdict <<<"$1")
  case $verdict in
    exited=*)
      for _ in {1..10}; do ! viewing || sleep 1; done # the log's last lines
      echo "$1" >&2
      [[ $1 != *copy=failed* ]] || say "the last copy to the bucket FAILED: the newest results are on the VM only"
      exit "${verdict#exited=}"
      ;;
    lost) stop $no_tpu "the job is gone without an exit code: the VM was restarted. Run the same command again: it goes on from the last checkpoint" ;;
    absent) stop $usage_error "there is no job ${flag[job]} on ${flag[name]}" ;;
    split)
      if ((++splits == 3)); then
        say "a worker has ended, and the others cannot go on without it: stopping them"
        on_workers all bash "$remote/tpu_job.sh" stop "${flag[job]}" || true
      fi
      ;;
  esac
}

read_flags "bucket= copy-every= job= binary= plugin= ssh-flag= poll= detach status attach stop" "$@"
number copy-every 60
number poll 30
check_bucket
check_job

if [[ -n ${flag[status]} ]]; then
  statuses || stop $cloud_error "the workers cannot be reached; tpu_create.sh says how the TPU is"
  exit 0
elif [[ -n ${flag[stop]} ]]; then
  on_workers all bash "$remote/tpu_job.sh" stop "${flag[job]}" || stop $cloud_error "the workers cannot be reached; tpu_create.sh says how the TPU is"
  statuses
  exit 0
elif [[ -n ${flag[attach]} ]]; then
  attend
  exit 0
fi

((${#arguments[@]})) || stop $usage_error "say after -- what elektron is to do, as in: tpu_run.sh --zone us-west4-a -- --preset small --data gs://BUCKET/shards"
check_arguments
[[ -n ${flag[bucket]} ]] || say "without --bucket the results are lost with the VM"
if [[ -z ${flag[dry-run]} ]]; then
  found=$(tpu_state) || stop $cloud_error "gcloud failed, as above: check --project, --zone and 'gcloud auth login'"
  [[ $found == ready* ]] || stop $no_tpu "the TPU ${flag[name]} is not ready but ${found#* }; tpu_create.sh makes one or waits for it"
fi
if [[ -z ${flag[dry-run]} ]] && found=$(statuses 2>/dev/null) && [[ $(verdict <<<"$found") =~ ^(running|split)$ ]]; then
  stop $locked "the job ${flag[job]} runs already; --attach shows it, --stop ends it"
fi
job_flags=(--copy-every "${flag[copy-every]}")
[[ -z ${flag[bucket]} ]] || job_flags+=(--bucket "${flag[bucket]}")
build
ship "$binary" elektron
ship "$scripts/tpu_job.sh" tpu_job.sh
plugin
deliver
on_workers all bash "$remote/tpu_job.sh" start "${flag[job]}" "${job_flags[@]}" -- "${arguments[@]}" || {
  code=$?
  [[ $code =~ ^(71|73)$ ]] || code=$cloud_error
  stop "$code" "the job did not start on all workers, as above; --status says where it runs, --stop ends it there"
}
if [[ -n ${flag[dry-run]} ]]; then
  on_workers 0 bash "$remote/tpu_job.sh" follow "${flag[job]}" +1
  statuses
elif [[ -z ${flag[detach]} ]]; then
  attend
fi
