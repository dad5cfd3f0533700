#!/usr/bin/env bash
# Pre-trains `tiny` in variants that differ in one thing each, with several seeds, and prints a Markdown table of
# what was reached on held-out text: mean over the seeds and standard error of the mean. Runs that are finished
# are not run again, and one that was stopped goes on.
#
#   scripts/ablations.sh --data 'corpus/*.txt.gz' --out ablations [--steps 1000] [--seeds 3]
set -euo pipefail
cd "$(dirname "$0")/.."

steps=1000 seeds=3 data= out=
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=$2 ;;
    --out) out=$2 ;;
    --steps) steps=$2 ;;
    --seeds) seeds=$2 ;;
    *) echo "ablations.sh: unknown flag $1; known: --data, --out, --steps, --seeds" >&2; exit 2 ;;
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
    flags=()
    for s in $settings; do flags+=(--set "$s"); done
    "$out/elektron" "${common[@]}" "${flags[@]}" --seed "$seed" --out "$out/$name-$seed" >"$out/$name-$seed.log" 2>&1 ||
      { echo "ablations.sh: $name, seed $seed failed: see $out/$name-$seed.log" >&2; exit 1; }
    echo "done: $name, seed $seed" >&2
  done
done

# last KEY FILE: the value of the last validation line.
last() {
  grep '"split":"valid"' "$2" | tail -n 1 | grep -o "\"$1\":[-0-9.e]*" | cut -d: -f2
}

# summary KEY NAME: mean and standard error over the seeds.
summary() {
  for seed in $(seq "$seeds"); do last "$1" "$out/$2-$seed/metrics.jsonl"; done |
    awk '{ n++; s += $1; q += $1 * $1 } END { m = s / n; e = n > 1 ? sqrt((q - n * m * m) / (n - 1) / n + 1e-18) : 0; printf "%.4f ± %.4f", m, e }'
}

echo "| variant | | mlm loss | rtd loss | area under the ROC curve |"
echo "|---|---|---|---|---|"
for variant in "${variants[@]}"; do
  IFS='|' read -r name what _ <<<"$variant"
  echo "| $name | $what | $(summary mlm_loss "$name") | $(summary rtd_loss "$name") | $(summary rtd_auc "$name") |"
done
