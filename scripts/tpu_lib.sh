# shellcheck shell=bash disable=SC2034 # variables that only those who source it read
# What the tpu_*.sh scripts share: flags, the dry run, and what they ask of gcloud. It is sourced, not run.

((BASH_VERSINFO[0] >= 5)) || { echo "${0##*/}: needs bash 5 or newer, this is $BASH_VERSION" >&2; exit 2; }

program=${0##*/}
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/elektron/tpu-vm # holds the binary that was built last
declare -A flag=()                             # values of the flags by their names; a switch is "yes" or empty
create_flags=() ssh_flags=() arguments=()      # what goes to gcloud as it is; what stood after --
place=()                                       # --zone and --project, for gcloud

# Exit codes of the scripts' own troubles; the numbers mean the same as elektron's.
readonly usage_error=2 cloud_error=69 no_tpu=71 locked=73
remote=elektron # the folder below the VM's home folder where all is; tpu_job.sh knows it too

say() { printf '%s: %s\n' "$program" "$*" >&2; }

# stop CODE MESSAGE: ends the script.
stop() {
  say "${@:2}"
  exit "$1"
}

tpu_help="  --name NAME          of the queued resource and of the TPU (default: elektron)
  --zone ZONE          such as us-west4-a; has no default
  --project PROJECT    (default: gcloud's own)
  --dry-run            print every command and run none"

flags_help="Every flag can also be set in the environment, --zone as ELEKTRON_TPU_ZONE, --dry-run as ELEKTRON_TPU_DRY_RUN=yes."

# read_flags SPEC ARG...: SPEC names the flags that a script takes, NAME= with a value, NAME without. Every script
# takes name=, zone=, project= and dry-run. What stands after -- goes into arguments. Calls the script's usage().
read_flags() {
  local spec=" name= zone= project= dry-run $1 " known variable name
  shift
  for known in $spec; do
    name=${known%=} variable=ELEKTRON_TPU_${known%=}
    variable=${variable//-/_}
    variable=${variable^^}
    flag[$name]=${!variable:-}
  done
  read -ra create_flags <<<"${flag[create-flag]:-}"
  read -ra ssh_flags <<<"${flag[ssh-flag]:-}"
  while (($#)); do
    name=${1%%=*} name=${name#--}
    case $1 in
      -h | --help) usage && exit 0 ;;
      --) arguments=("${@:2}") && break ;;
      --*) ;;
      *) stop $usage_error "unexpected argument $1; --help lists the flags, and what is meant for elektron comes after --" ;;
    esac
    if [[ $spec == *" $name "* ]]; then
      [[ $1 != *=* ]] || stop $usage_error "--$name takes no value"
      flag[$name]=yes
    elif [[ $spec == *" $name= "* ]]; then
      if [[ $1 != *=* ]]; then
        (($# > 1)) || stop $usage_error "--$name needs a value"
        set -- "--$name=$2" "${@:3}"
      fi
      set_flag "$name" "${1#*=}"
    else
      stop $usage_error "unknown flag --$name; --help lists the flags, and what is meant for elektron comes after --"
    fi
    shift
  done
  check_place
}

# set_flag NAME VALUE
set_flag() {
  case $1 in
    create-flag) create_flags+=("$2") ;;
    ssh-flag) ssh_flags+=("$2") ;;
    *) flag[$1]=$2 ;;
  esac
}

check_place() {
  flag[name]=${flag[name]:-elektron}
  [[ ${flag[name]} =~ ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$ ]] ||
    stop $usage_error "--name ${flag[name]}: use small letters, digits and hyphens, a letter first"
  [[ -n ${flag[zone]} ]] ||
    stop $usage_error "--zone is missing: name the zone of the TPU, such as us-west4-a ('gcloud compute tpus locations list' shows them), or set ELEKTRON_TPU_ZONE"
  place=("--zone=${flag[zone]}" --quiet)
  [[ -z ${flag[project]} ]] || place+=("--project=${flag[project]}")
  [[ -n ${flag[dry-run]} ]] || command -v gcloud >/dev/null ||
    stop $usage_error "gcloud is not installed: see https://cloud.google.com/sdk/docs/install, then run 'gcloud auth login'"
}

# number NAME DEFAULT: sets a flag to its default and checks that it is a whole number.
number() {
  flag[$1]=${flag[$1]:-$2}
  [[ ${flag[$1]} =~ ^[0-9]+$ ]] || stop $usage_error "--$1 ${flag[$1]}: give a whole number"
}

# check_bucket: --bucket, without the slash at its end.
check_bucket() {
  flag[bucket]=${flag[bucket]%/}
  [[ -z ${flag[bucket]} || ${flag[bucket]} =~ ^gs://[a-z0-9][-_.a-z0-9]+/[^[:space:]*?]+$ ]] ||
    stop $usage_error "--bucket ${flag[bucket]}: give a folder in a bucket, such as gs://BUCKET/runs/small"
}

# check_job: --job
check_job() {
  flag[job]=${flag[job]:-train}
  [[ ${flag[job]} =~ ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$ ]] || stop $usage_error "--job ${flag[job]}: use small letters, digits and hyphens"
}

# check_arguments: what goes to elektron must leave the run's folder to these scripts.
check_arguments() {
  local word
  for word in "${arguments[@]}"; do
    [[ ! $word =~ ^--?out(=|$) ]] ||
      stop $usage_error "leave out $word: the run lies on the TPU VM's disk and is copied to --bucket gs://..., because elektron writes checkpoints to local folders only"
  done
}

# run COMMAND...: runs it, or prints it in a dry run.
run() {
  if [[ -n ${flag[dry-run]} ]]; then
    local word line=''
    for word in "$@"; do
      [[ $word =~ ^[-_a-zA-Z0-9=/:.,+@%]+$ ]] || word=${word@Q}
      line+=" $word"
    done
    echo "${line# }"
  else
    "$@"
  fi
}

# describe RESOURCE FORMAT: one field of the queued resource or TPU, ABSENT where there is none. Fails where gcloud does.
describe() {
  local said problem
  problem=$(mktemp)
  if said=$(gcloud compute tpus "$1" describe "${flag[name]}" "${place[@]}" "--format=value($2)" 2>"$problem"); then
    echo "${said:-UNKNOWN}"
  elif grep -qi 'not.found' "$problem"; then
    echo ABSENT
  else
    cat "$problem" >&2
    rm -f -- "$problem"
    return 1
  fi
  rm -f -- "$problem"
}

# tpu_state: "KIND STATE" with KIND ready, coming (wait for it), gone (preempted, or on its way out), failed or absent.
tpu_state() {
  local queued node
  queued=$(describe queued-resources state.state) || return 1
  case $queued in
    ACTIVE) ;;
    ABSENT) echo "absent $queued" && return ;;
    FAILED) echo "failed $queued" && return ;;
    SUSPENDING | SUSPENDED | DELETING) echo "gone $queued" && return ;;
    *) echo "coming $queued" && return ;;
  esac
  node=$(describe tpu-vm state) || return 1
  case $node in
    READY) echo "ready $node" ;;
    PREEMPTED | TERMINATED | STOPPED | STOPPING | DELETING | ABSENT) echo "gone $node" ;;
    *) echo "coming $node" ;;
  esac
}

# shell_on_workers WORKER TEXT: runs a shell command on the TPU VM; WORKER is all or a number.
shell_on_workers() {
  run gcloud compute tpus tpu-vm ssh "${flag[name]}" "${place[@]}" "--worker=$1" "${ssh_flags[@]}" "--command=$2"
}

# on_workers WORKER WORD...: the same with the words of a command, each quoted where it must be.
on_workers() {
  local text
  printf -v text '%q ' "${@:2}"
  shell_on_workers "$1" "${text% }"
}

# bucket_step: the newest checkpoint's step in --bucket, 0 where there is none. Fails where gcloud does.
bucket_step() {
  local said
  if said=$(gcloud storage ls "${flag[bucket]}/checkpoints/*/manifest.json" 2>&1); then
    said=$(sed -n 's|.*/step-0*\([0-9][0-9]*\)/manifest.json$|\1|p' <<<"$said" | sort -n | tail -n 1)
    echo "${said:-0}"
  elif [[ $said == *"matched no objects"* ]]; then
    echo 0
  else
    echo "$said" >&2
    return 1
  fi
}

# statuses: a line a worker. Fails where a worker cannot be reached.
statuses() {
  local said problem
  problem=$(mktemp)
  if ! said=$(on_workers all bash "$remote/tpu_job.sh" status "${flag[job]}" 2>"$problem"); then
    tail -n 4 "$problem" >&2
    rm -f -- "$problem"
    return 1
  fi
  rm -f -- "$problem"
  if [[ -n ${flag[dry-run]} ]]; then echo "$said"; else grep '^elektron-job ' <<<"$said"; fi
}

# verdict: reads statuses and says what they come to: running, lost, absent, exited=CODE, or split where a worker has
# ended badly and others go on without it. Of several codes the one that explains the others comes first.
verdict() {
  awk '
    BEGIN { n = split("2 65 69 70 72 73 74 76 71 75", order, " ") }
    { state[$4] = 1; if ($4 ~ /^exited=/) { ended = 1; code = substr($4, 8); seen[code] = 1; if (code != 0) bad = code } }
    END {
      if (state["running"]) { print (bad || state["lost"]) ? "split" : "running"; exit }
      for (i = 1; i <= n; i++) if (seen[order[i]]) { print "exited=" order[i]; exit }
      if (bad) print "exited=" bad
      else if (state["lost"]) print "lost"
      else print ended ? "exited=0" : "absent"
    }'
}
