#!/usr/bin/env bash
# From text to a zip for the GLUE server: trains a vocabulary, tokenises the text, pre-trains, fine-tunes on GLUE, predicts.
# Run it again with the same flags after an interruption: what is finished is not done again, and the rest goes on.
#
#   scripts/reproduce_small.sh --data CORPUS --glue GLUE --out OUT            ELECTRA-small: days on a TPU or GPU
#   scripts/reproduce_small.sh --data CORPUS --glue GLUE --out OUT --smoke    every stage, minutes on two cores
#
# CORPUS is what `elektron --data` takes; GLUE is a folder that scripts/download_glue.sh makes.
set -euo pipefail

usage() {
  cat <<END
usage: reproduce_small.sh --data CORPUS --glue GLUE --out OUT [flags]
  --smoke           preset tiny, few steps, few examples of CoLA, SST-2, MRPC and STS-B: shows that it works, not how well
  --vocab FILE      a vocabulary instead of one trained on CORPUS
  --tasks LIST      tasks (default: all; with --smoke cola,sst2,mrpc,stsb)
  --seeds N         fine-tuning runs of each task (default: 5; with --smoke 1)
  --steps N         steps of pre-training (default: the recipe's 500,000; with --smoke 1,500)
  --batch-size N    examples of a step of pre-training (default: the recipe's 512; with --smoke 32)
  --platform NAME   auto, cpu, gpu, tpu or go (default: auto)
  --offline         never touch the network
END
}

fail() { echo "reproduce_small.sh: $*" >&2; exit 2; }

data='' glue='' out='' vocab='' tasks='' seeds='' steps='' batch='' platform=auto smoke='' offline=''
while [ $# -gt 0 ]; do
  case $1 in
    --smoke) smoke=yes; shift; continue ;;
    --offline) offline=--offline; shift; continue ;;
    -h | --help) usage; exit 0 ;;
    --data | --glue | --out | --vocab | --tasks | --seeds | --steps | --batch-size | --platform) ;;
    *) usage >&2; fail "unknown flag $1" ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value"
  case $1 in
    --data) data=$2 ;;
    --glue) glue=$2 ;;
    --out) out=$2 ;;
    --vocab) vocab=$2 ;;
    --tasks) tasks=$2 ;;
    --seeds) seeds=$2 ;;
    --steps) steps=$2 ;;
    --batch-size) batch=$2 ;;
    --platform) platform=$2 ;;
  esac
  shift 2
done
for needed in data glue out; do
  [ -n "${!needed}" ] || { usage >&2; fail "--$needed is missing"; }
done
[ -d "$glue" ] || fail "--glue $glue: no such folder; scripts/download_glue.sh $glue fetches the files"

if [ -n "$smoke" ]; then
  size=4096 tasks=${tasks:-cola,sst2,mrpc,stsb} seeds=${seeds:-1}
  pretrain=(--preset tiny --seq-len 64 --steps "${steps:-1500}" --batch-size "${batch:-32}" --set run.eval_every=500 --set run.checkpoint_every=500)
  finetune=(--set finetune.epochs=2 --set finetune.train_rows=8000 --set finetune.max_seq_len=64 --set finetune.evals_per_epoch=1)
else
  size=30522 tasks=${tasks:-all} seeds=${seeds:-5}
  pretrain=(--preset small ${steps:+--steps "$steps"} ${batch:+--batch-size "$batch"})
  finetune=()
fi

repository=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
elektron=$(cd "$out" && pwd)/elektron
(cd "$repository" && go build -o "$elektron" .)

stage() { printf '\n== %s\n' "$*" >&2; }

if [ -z "$vocab" ]; then
  vocab=$out/vocab.txt
  stage "vocabulary of $size tokens"
  [ -s "$vocab" ] || "$elektron" data vocab --data "$data" --size "$size" --out "$vocab"
fi
stage "shards"
[ -s "$out/shards/manifest.json" ] || "$elektron" data build --data "$data" --vocab "$vocab" --out "$out/shards"
stage "pre-training"
"$elektron" pretrain --platform "$platform" $offline --data "$out/shards" --out "$out/run" "${pretrain[@]}"
stage "GLUE"
"$elektron" glue --platform "$platform" $offline --model "$out/run" --data-dir "$glue" --task "$tasks" --seeds "$seeds" --out "$out/glue" "${finetune[@]}"
