package scripts

// The cloud of the tests: programs of these names on the PATH of the scripts, and in place of ssh a folder that is the
// home folder of each worker. What the scripts leave on the workers runs for real: tpu_job.sh, its signals and copies.
// $CLOUD holds the state: queued and node (states, one a line, the last one stays), created-N (states after the N-th
// create), plan (what elektron does, one run a line), calls, sleeps and runs (what was done), vm-N, bucket.

// fakeGcloud plays the parts of gcloud that the scripts use.
const fakeGcloud = `#!/usr/bin/env bash
echo "$*" >>"$CLOUD/calls"
next() { # next FILE: its first line, which goes unless it is the last
  head -n 1 "$CLOUD/$1"
  if (($(wc -l <"$CLOUD/$1") > 1)); then sed -i 1d "$CLOUD/$1"; fi
}
say_state() {
  local state
  state=$(next "$1")
  case $state in
    ABSENT) echo "ERROR: NOT_FOUND: Resource was not found" >&2 && exit 1 ;;
    BROKEN) echo "ERROR: no connection" >&2 && exit 1 ;;
  esac
  echo "$state"
}
remove() {
  for pid in "$CLOUD"/units/*; do [[ ! -f $pid ]] || kill -9 -- "-$(<"$pid")" 2>/dev/null; done
  rm -rf "$CLOUD"/vm-* "$CLOUD"/units/*
  for worker in $WORKERS; do mkdir "$CLOUD/vm-$worker"; done
  echo ABSENT >"$CLOUD/queued"
  echo ABSENT >"$CLOUD/node"
}
for word in "$@"; do
  case $word in
    --worker=all) workers=$WORKERS ;;
    --worker=*) workers=${word#*=} ;;
    --command=*) command=${word#*=} ;;
    gs://*) paths+=("$CLOUD/bucket/${word#gs://}") ;;
    /*) paths+=("$word") ;;
  esac
done
case "$3 $4" in
  "queued-resources create")
    [[ ! -e $CLOUD/refuse ]] || { echo "ERROR: quota" >&2 && exit 1; }
    n=$(grep -c 'queued-resources create' "$CLOUD/calls")
    if [[ -e $CLOUD/created-$n ]]; then cp "$CLOUD/created-$n" "$CLOUD/queued"; else printf 'ACCEPTED\nACTIVE\n' >"$CLOUD/queued"; fi
    echo READY >"$CLOUD/node"
    ;;
  "queued-resources describe") if [[ $* == *failedData* ]]; then echo "no quota for this type"; else say_state queued; fi ;;
  "tpu-vm describe") say_state node ;;
  "queued-resources delete" | "tpu-vm delete")
    [[ ! -e $CLOUD/refuse ]] || { rm "$CLOUD/refuse" && echo "ERROR: try again" >&2 && exit 1; }
    remove
    ;;
  "tpu-vm ssh")
    [[ ! -e $CLOUD/no-ssh ]] || exit 255
    code=0
    for worker in $workers; do
      cd "$CLOUD/vm-$worker" && HOME=$PWD WORKER=$worker PATH=$CLOUD/tools:$PATH bash -c "$command" || code=$?
    done
    exit $code
    ;;
  "tpu-vm scp") for worker in $workers; do cp "$5" "$CLOUD/vm-$worker/${6#*:}" || exit; done ;;
esac
[[ $1 == storage ]] || exit 0
if [[ -e $CLOUD/bucket-broken && $2 != ls ]] || [[ -e $CLOUD/bucket-unreadable ]]; then echo "ERROR: 403 forbidden" >&2 && exit 1; fi
case $2 in
  ls)
    shopt -s nullglob globstar
    found=()
    for file in ${paths[0]}; do [[ ! -f $file ]] || found+=("gs://${file#"$CLOUD/bucket/"}"); done
    if ((${#found[@]} == 0)); then echo "ERROR: One or more URLs matched no objects." >&2 && exit 1; fi
    printf '%s\n' "${found[@]}"
    ;;
  rsync)
    exclude='^$'
    for word in "$@"; do [[ $word != --exclude=* ]] || exclude="^(${word#*=})"; done
    cd "${paths[0]}" || exit
    find . -type f -printf '%P\n' | grep -Ev -- "$exclude" | while read -r file; do
      mkdir -p "$(dirname "${paths[1]}/$file")" && cp "$file" "${paths[1]}/$file"
    done
    ;;
  cp) mkdir -p "$(dirname "${paths[1]}")" && cp "${paths[0]}" "${paths[1]}" ;;
  rm) rm -r "${paths[0]}" ;;
esac
`

// fakeElektron does what the next line of the plan says: step=N saves a checkpoint, exit=N ends, wait goes on until the
// signal, preempt and vanish take the TPU away, reboot kills the unit, break closes the bucket.
const fakeElektron = `#!/usr/bin/env bash
if [[ $1 == platform ]]; then
  [[ ! -e $CLOUD/no-glibc || $HOME != */vm-* ]] || exit 1
  plugin=${XDG_CACHE_HOME:?}/elektron/plugins/tpu-0.0.51/libtpu.so
  if [[ $2 == install ]]; then mkdir -p "$(dirname "$plugin")" && echo plugin >"$plugin"; fi
  state="not installed"
  if [[ -f $plugin ]]; then state="installed, hash ok"; fi
  printf 'PLATFORM  DEVICES  PLUGIN  STATE  PATH\ntpu       4 chips  libtpu 0.0.51  %s  %s\ncpu  2 cores  x  installed, hash ok  /x\n' "$state" "$plugin"
  exit
fi
for word in "$@"; do [[ $word != --out=* ]] || out=${word#*=}; done
from=$(ls "$out/checkpoints" 2>/dev/null | tail -n 1)
echo "${from:-fresh} worker $WORKER: $*" | sed "s|$CLOUD/vm-[0-9]*|~|g" >>"$CLOUD/runs"
stopped='' && trap 'stopped=yes' TERM
echo "training"
read -ra plan < <(head -n 1 "$CLOUD/plan")
if [[ $WORKER == "${WORKERS##* }" ]]; then sed -i 1d "$CLOUD/plan"; fi
save() {
  mkdir -p "$out/checkpoints/.tmp-$1" && echo state >"$out/checkpoints/.tmp-$1/state.bin" && echo "{}" >"$out/checkpoints/.tmp-$1/manifest.json"
  mv "$out/checkpoints/.tmp-$1" "$out/checkpoints/$1"
  echo "$1" >>"$out/metrics.jsonl"
}
copied() { until [[ -e $(echo "$CLOUD"/bucket/*/run/checkpoints/"$1"/manifest.json) ]]; do /bin/sleep 0.05; done; }
for word in "${plan[@]}"; do
  case $word in
    step=*) name=$(printf 'step-%08d' "${word#*=}") && save "$name" ;;
    forget=*) rm -r "$out/checkpoints/$(printf 'step-%08d' "${word#*=}")" ;;
    exit=*) exit "${word#*=}" ;;
    wait) while [[ -z $stopped ]]; do /bin/sleep 0.05; done && save step-00000999 && exit 75 ;;
    copied) copied "$name" ;;
    preempt) echo PREEMPTED >"$CLOUD/node" && while :; do /bin/sleep 0.05; done ;;
    vanish) echo ABSENT >"$CLOUD/queued" && while :; do /bin/sleep 0.05; done ;;
    reboot) kill -9 0 ;;
    break) touch "$CLOUD/bucket-broken" ;;
  esac
done
`

// fakes of what both machines or only the workers have, by folder and name.
var fakes = map[string]string{
	"bin/gcloud":     fakeGcloud,
	"bin/sleep":      "#!/usr/bin/env bash\necho \"$1\" >>\"$CLOUD/sleeps\"\nexec /bin/sleep 0.05\n",
	"elektron":       fakeElektron,
	"tools/curl":     "#!/bin/sh\nexit 6\n",
	"tools/hostname": "#!/bin/sh\necho \"t1v-n-0a1b-w-$WORKER\"\n",
	"tools/sudo":     "#!/bin/sh\nexec \"$@\"\n",
	"tools/systemd-run": `#!/usr/bin/env bash
while [[ $1 == --* ]]; do
  case $1 in
    --unit=*) unit=${1#*=} ;;
    --setenv=*) export "${1#*=}" ;;
    --property=StandardOutput=append:*) log=${1#*:} ;;
  esac
  shift
done
setsid "$@" >>"$log" 2>&1 </dev/null &
echo $! >"$CLOUD/units/$unit-$WORKER"
`,
	"tools/systemctl": `#!/usr/bin/env bash
pid=$(cat "$CLOUD/units/${!#}-$WORKER" 2>/dev/null) || exit 3
case $1 in
  is-active) kill -0 "$pid" 2>/dev/null ;;
  stop) kill -TERM "$pid" && while kill -0 "$pid" 2>/dev/null; do /bin/sleep 0.05; done ;;
esac
`,
}
