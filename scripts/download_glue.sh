#!/usr/bin/env bash
# Fetches the official files of the GLUE benchmark into the layout that `elektron glue --data-dir` reads:
#
#   FOLDER/CoLA/{train,dev,test}.tsv      likewise SST-2, MRPC, STS-B, QQP, QNLI, RTE, WNLI
#   FOLDER/MNLI/{train,dev_matched,dev_mismatched,test_matched,test_mismatched}.tsv
#   FOLDER/diagnostic/diagnostic.tsv      AX
#
# and, where asked, SQuAD's: FOLDER/SQuAD/{train,dev}-{v1.1,v2.0}.json.
#
# The SHA-256 sums below are those that Hugging Face's `datasets` library recorded for the same addresses
# (datasets/{glue,squad,squad_v2}/dataset_infos.json in its repository); a file with another sum is refused. MRPC may
# not be handed on as part of GLUE: it is put together here from the original corpus and GLUE's list of dev pairs, as
# GLUE's own download script does. The data sets have licences of their own.
set -euo pipefail
export LC_ALL=C # sums, columns and bytes, whatever the locale

glue=https://dl.fbaipublicfiles.com/glue/data
senteval=https://dl.fbaipublicfiles.com/senteval/senteval_data
squad=https://rajpurkar.github.io/SQuAD-explorer/dataset

# file, address, SHA-256
sources="
CoLA.zip $glue/CoLA.zip f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff
SST-2.zip $glue/SST-2.zip d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa
msr_paraphrase_train.txt $senteval/msr_paraphrase_train.txt 60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89
msr_paraphrase_test.txt $senteval/msr_paraphrase_test.txt a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784
mrpc_dev_ids.tsv $glue/mrpc_dev_ids.tsv 971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7
STS-B.zip $glue/STS-B.zip e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85
QQP-clean.zip $glue/QQP-clean.zip 40e7c862c04eb26ee04b67fd900e76c45c6ba8e6d8fab4f8f1f8072a1a3fbae0
MNLI.zip $glue/MNLI.zip e7c1d896d26ed6caf700110645df426cc2d8ebf02a5ab743d5a5c68ac1c83633
QNLIv2.zip $glue/QNLIv2.zip e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5
RTE.zip $glue/RTE.zip 6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee
WNLI.zip $glue/WNLI.zip ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46
AX.tsv $glue/AX.tsv 0e13510b1bb14436ff7e2ee82338f0efb0133ecf2e73507a697dc210db3f05fd
train-v1.1.json $squad/train-v1.1.json 3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955
dev-v1.1.json $squad/dev-v1.1.json 95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9
train-v2.0.json $squad/train-v2.0.json 68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002
dev-v2.0.json $squad/dev-v2.0.json 80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8
"
glue_tasks="CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI AX"
all_tasks="$glue_tasks SQuAD"

usage() {
  cat <<END
usage: download_glue.sh [--from DIR] [--checksums FILE] FOLDER [TASK...]
       download_glue.sh --list [TASK...]

Fetches the files of tasks into FOLDER: $glue_tasks
(GLUE, the default, about 360 MB) and SQuAD (1.1 and 2.0, 80 MB).
Tasks whose files are there already are left alone.

  --from DIR        take the files from DIR instead of the network
  --checksums FILE  other SHA-256 sums, as sha256sum writes them, for files that have changed
  --list            print the addresses, for a machine with a connection

Without a connection: on a machine that has one run
  download_glue.sh --list | xargs -n 1 curl -fLO
copy the files to this machine, and run download_glue.sh --from DIR FOLDER.
END
}

say() { printf '%s\n' "$*" >&2; }

# archives_of TASK: what is fetched for it
archives_of() {
  case $1 in
    MRPC) echo msr_paraphrase_train.txt msr_paraphrase_test.txt mrpc_dev_ids.tsv ;;
    AX) echo AX.tsv ;;
    QQP) echo QQP-clean.zip ;;
    QNLI) echo QNLIv2.zip ;;
    SQuAD) echo {train,dev}-v1.1.json {train,dev}-v2.0.json ;;
    *) echo "$1.zip" ;;
  esac
}

address_of() { awk -v name="$1" '$1 == name { print $2 }' <<<"$sources"; }

# sum_of FILE-NAME: the sum it must have
sum_of() {
  local sum=''
  if [[ -n $checksums ]]; then
    sum=$(awk -v name="$1" '{ sub(/^\*/, "", $2) } $2 == name { print $1 }' "$checksums")
  fi
  [[ -n $sum ]] || sum=$(awk -v name="$1" '$1 == name { print $3 }' <<<"$sources")
  printf '%s\n' "$sum"
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

# obtain FILE-NAME: puts a checked file into $work
obtain() {
  local name=$1 got want
  if [[ -n $from ]]; then
    if [[ ! -f $from/$name ]]; then
      say "$from/$name is not there; get it from $(address_of "$name")"
      return 1
    fi
    cp -- "$from/$name" "$work/$name" || return 1
  elif command -v curl >/dev/null; then
    curl --fail --location --silent --show-error --retry 3 --output "$work/$name" -- "$(address_of "$name")" || return 1
  elif command -v wget >/dev/null; then
    wget --quiet --tries=3 -O "$work/$name" -- "$(address_of "$name")" || return 1
  else
    say "neither curl nor wget is installed"
    return 1
  fi
  got=$(sha256 "$work/$name")
  want=$(sum_of "$name")
  if [[ $got != "$want" ]]; then
    say "$name: SHA-256 is $got, but should be $want: cut off, or changed at its source; if you trust it, pass its sum with --checksums"
    return 1
  fi
}

# unpack ZIP TASK FILE...: puts the files of the zip's folder TASK into $work/TASK
unpack() {
  local archive=$1 task=$2
  shift 2
  if command -v unzip >/dev/null; then
    unzip -q -o "$work/$archive" "${@/#/$task/}" -d "$work"
  elif command -v python3 >/dev/null; then
    python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2], sys.argv[3:])' "$work/$archive" "$work" "${@/#/$task/}"
  else
    say "neither unzip nor python3 is installed"
    return 1
  fi
}

# assemble_mrpc: the pairs of the original training file that GLUE's list names are the dev set
assemble_mrpc() {
  mkdir -p "$work/MRPC" || return 1
  awk -F '\t' -v train="$work/MRPC/train.tsv" -v dev="$work/MRPC/dev.tsv" '
    { sub(/\r$/, "") }
    NR == FNR { in_dev[$1 FS $2] = 1; next }
    FNR == 1 { print > train; print > dev; next }
    { print > (($2 FS $3) in in_dev ? dev : train) }' "$work/mrpc_dev_ids.tsv" "$work/msr_paraphrase_train.txt" || return 1
  awk -F '\t' -v OFS='\t' '
    { sub(/\r$/, "") }
    FNR == 1 { print "index", "#1 ID", "#2 ID", "#1 String", "#2 String"; next }
    { print FNR - 2, $2, $3, $4, $5 }' "$work/msr_paraphrase_test.txt" >"$work/MRPC/test.tsv"
}

# files_of TASK: its files below FOLDER
files_of() {
  case $1 in
    MNLI) echo MNLI/{train,dev_matched,dev_mismatched,test_matched,test_mismatched}.tsv ;;
    AX) echo diagnostic/diagnostic.tsv ;;
    SQuAD) echo SQuAD/{train,dev}-v1.1.json SQuAD/{train,dev}-v2.0.json ;;
    *) echo "$1"/{train,dev,test}.tsv ;;
  esac
}

# fetch TASK: leaves the task's files in $work, laid out as in FOLDER
fetch() {
  local task=$1 archives archive file
  local -a files=()
  archives=$(archives_of "$task")
  for archive in $archives; do
    obtain "$archive" || return 1
  done
  case $task in
    MRPC) assemble_mrpc ;;
    AX) mkdir -p "$work/diagnostic" && mv -- "$work/AX.tsv" "$work/diagnostic/diagnostic.tsv" ;;
    SQuAD) mkdir -p "$work/SQuAD" && mv -- "$work"/*.json "$work/SQuAD" ;;
    *)
      for file in $(files_of "$task"); do
        files+=("${file##*/}")
      done
      unpack "$archives" "$task" "${files[@]}"
      ;;
  esac
}

# install TASK: moves what fetch left into FOLDER
install() {
  local file
  for file in $(files_of "$1"); do
    mkdir -p "$folder/$(dirname "$file")" && mv -- "$work/$file" "$folder/$file" || return 1
    case $file in
      *.json) say "$folder/$file: $(wc -c <"$folder/$file") bytes" ;;
      *) say "$folder/$file: $(wc -l <"$folder/$file") lines" ;;
    esac
  done
}

is_there() {
  local file
  for file in $(files_of "$1"); do
    [[ -s $folder/$file ]] || return 1
  done
}

from='' checksums='' folder='' list=''
tasks=()
while (($#)); do
  case $1 in
    -h | --help) usage && exit ;;
    --list) list=yes ;;
    --from | --checksums)
      if (($# < 2)); then say "$1 needs a value" && usage >&2 && exit 2; fi
      if [[ $1 == --from ]]; then from=$2; else checksums=$2; fi
      shift
      ;;
    -*) say "unknown option $1" && usage >&2 && exit 2 ;;
    *) if [[ -z $folder && -z $list ]]; then folder=$1; else tasks+=("$1"); fi ;;
  esac
  shift
done
if [[ -z $folder && -z $list ]]; then usage >&2 && exit 2; fi
if [[ -n $checksums && ! -r $checksums ]]; then say "$checksums cannot be read" && exit 2; fi
if ((${#tasks[@]} == 0)); then read -ra tasks <<<"$glue_tasks"; fi
for task in "${tasks[@]}"; do
  if [[ " $all_tasks " != *" $task "* ]]; then say "there is no task $task; tasks: $all_tasks" && exit 2; fi
done

if [[ -n $list ]]; then
  for task in "${tasks[@]}"; do
    for archive in $(archives_of "$task"); do
      address_of "$archive"
    done
  done
  exit
fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/.download-XXXXXX") # hidden, and on the disk that the files go to
trap 'rm -rf -- "$work"' EXIT

failed=()
for task in "${tasks[@]}"; do
  if is_there "$task"; then
    say "$task: there already"
  elif ! { fetch "$task" && install "$task"; }; then
    failed+=("$task")
  fi
  rm -rf -- "${work:?}"/*
done
if ((${#failed[@]})); then
  say "not fetched: ${failed[*]}. Run this again to try only these. Without a connection see --help: --list, then --from."
  exit 1
fi
