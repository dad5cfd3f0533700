#!/usr/bin/env bash
# Pre-trains `tiny` in variants that differ in one thing each, with several seeds, and prints a Markdown table of
# what was reached on held-out text: mean over the seeds and standard error of the mean. With --glue each model is
# also fine-tuned, briefly, on SST-2. Runs that are finished are not run again, and one that was stopped goes on.
#
#   scripts/ablations.sh --data 'corpus/*.txt.gz' --out ablations [--steps 1000] [--seeds 3] [--glue GLUE] [--epochs 1]
set -euo pipefail
cd "$(dirname "$0")/.."

steps=1000 seeds=3 data='' out='' glue='' epochs=1
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=$2 ;;
    --out) out=$2 ;;
    --steps) steps=$2 ;;
    --seeds) seeds=$2 ;;
    --glue) glue=$2 ;;
    --epochs) epochs=$2 ;;
    *) echo "ablations.sh: unknown flag $1; known: --data, --out, --steps, --seeds, --glue, --epochs" >&2; exit 2 ;;
  esac
  shift 2 || { echo "ablations.sh: $1 needs a value" >&2; exit 2; }
done
if [ -z "$data" ] || [ -z "$out" ]; then
  echo "ablations.sh: --data (text) and --out (a folder) are needed" >&2
  exit 2
fi
mkdir -p "$out"
go build -o "$out/elektron" .

# name|what it is|settings
variants=(
  "base|as the preset: multinomial, two segments, shared embeddings, LAMB, BERT|"
  "argmax|the generator's likeliest token instead of a draw|model.sampling=argmax"
  "one-segment|one segment instead of two|data.one_segment=true"
  "untied|embeddings not shared|model.sharing=none"
  "masked-is-replaced|a right guess counts as replaced|model.correct_is_replaced=true"
  "adam|Adam at 1e-3 instead of LAMB at 1.2e-3|optim.name=adam optim.lr=1e-3"
  "albert|ALBERT instead of BERT|model.encoder=albert"
)

common=(--preset tiny --data "$data" --steps "$steps" --seq-len 64 --batch-size 16 --set run.checkpoint_every="$steps" --set run.eval_batches=80)
for seed in $(seq "$seeds"); do
  for variant in "${variants[@]}"; do
    IFS='|' read -r name _ settings <<<"$variant"
    run=$out/$name-$seed
    flags=()
    for s in $settings; do flags+=(--set "$s"); done
    if [ ! -e "$run.done" ]; then
      "$out/elektron" "${common[@]}" "${flags[@]}" --seed "$seed" --out "$run" >"$run.log" 2>&1 ||
        { echo "ablations.sh: $name, seed $seed failed: see $run.log" >&2; exit 1; }
      touch "$run.done"
    fi
    if [ -n "$glue" ]; then
      "$out/elektron" glue --model "$run" --data-dir "$glue" --task sst2 --seeds 1 --seed "$seed" --max-seq-len 48 \
        --set finetune.lr=1e-3 --set finetune.epochs="$epochs" --out "$run-sst2" >"$run-sst2.log" 2>&1 ||
        { echo "ablations.sh: SST-2 from $name, seed $seed failed: see $run-sst2.log" >&2; exit 1; }
    fi
    echo "done: $name, seed $seed" >&2
  done
done

# last KEY FILE: the value of the last validation line.
last() {
  grep '"split":"valid"' "$2" | tail -n 1 | grep -o "\"$1\":[-0-9.e]*" | cut -d: -f2
}

# accuracy NAME: the SST-2 dev accuracies that glue printed.
accuracy() {
  for seed in $(seq "$seeds"); do grep -o 'dev accuracy [0-9.]*' "$out/$1-$seed-sst2.log" | tail -n 1 | cut -d' ' -f3; done
}

# summary FORMAT: mean and standard error of the numbers on standard input.
summary() {
  awk -v f="$1" '{ n++; s += $1; q += $1 * $1 } END { m = s / n; e = n > 1 ? sqrt((q - n * m * m) / (n - 1) / n + 1e-18) : 0; printf f " ± " f, m, e }'
}

losses() {
  for seed in $(seq "$seeds"); do last "$1" "$out/$2-$seed/metrics.jsonl"; done | summary %.3f
}

echo "| variant | | mlm loss | rtd loss | area under the ROC curve |${glue:+ SST-2 dev accuracy |}"
echo "|---|---|---|---|---|${glue:+---|}"
for variant in "${variants[@]}"; do
  IFS='|' read -r name what _ <<<"$variant"
  echo "| $name | $what | $(losses mlm_loss "$name") | $(losses rtd_loss "$name") | $(losses rtd_auc "$name") |${glue:+ $(accuracy "$name" | summary %.1f) |}"
done
