#!/usr/bin/env bash
# Does pre-training help? Pre-trains `tiny` on a corpus for minutes, fine-tunes CoLA, SST-2 and STS-B from it with several
# seeds, does the same from random weights, and prints a Markdown table: means with standard errors, and what is gained.
# What is finished is not done again.
#
#   scripts/pretraining_helps.sh --data 'corpus/*.txt.gz' --glue GLUE --out OUT [--steps 6000] [--seeds 3]
set -euo pipefail

fail() { echo "pretraining_helps.sh: $*" >&2; exit 2; }

data=() glue='' out='' steps=6000 seeds=3
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || fail "$1 needs a value"
  case $1 in
    --data) data+=(--data "$2") ;;
    --glue) glue=$2 ;;
    --out) out=$2 ;;
    --steps) steps=$2 ;;
    --seeds) seeds=$2 ;;
    *) fail "unknown flag $1; known: --data (may be given again), --glue, --out, --steps, --seeds" ;;
  esac
  shift 2
done
if [ "${#data[@]}" -eq 0 ] || [ -z "$glue" ] || [ -z "$out" ]; then
  fail "--data (text), --glue (a folder of scripts/download_glue.sh) and --out (a folder) are needed"
fi
[ -d "$glue" ] || fail "--glue $glue: no such folder; scripts/download_glue.sh $glue fetches the files"

mkdir -p "$out"
out=$(cd "$out" && pwd)
(cd "$(dirname "$0")/.." && go build -o "$out/elektron" .)
elektron=$out/elektron

# said LOG COMMAND...: runs a command with its words in a log.
said() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 || { echo "pretraining_helps.sh: $1 $2 failed: see $log" >&2; exit 1; }
}

[ -s "$out/vocab.txt" ] || said "$out/vocab.log" "$elektron" data vocab "${data[@]}" --size 8192 --out "$out/vocab.txt"
[ -s "$out/shards/manifest.json" ] || said "$out/shards.log" "$elektron" data build "${data[@]}" --vocab "$out/vocab.txt" --out "$out/shards"
said "$out/pretrain.log" "$elektron" pretrain --preset tiny --encoder modern --data "$out/shards" --vocab "$out/vocab.txt" \
  --seq-len 64 --batch-size 32 --steps "$steps" --optimizer adam --set optim.lr=1.5e-3 \
  --set run.eval_every=1000 --set run.checkpoint_every=1000 --out "$out/run"

# finetune NAME FLAGS...: all tasks, in $out/NAME.
finetune() {
  local name=$1
  shift
  said "$out/$name.log" "$elektron" glue --model "$out/run" --data-dir "$glue" --task stsb,sst2,cola --seeds "$seeds" \
    --max-seq-len 64 --set finetune.lr=1e-3 --task-config "$out/tasks.yaml" --out "$out/$name" "$@"
}
cat >"$out/tasks.yaml" <<END
stsb: {epochs: 5}
sst2: {epochs: 2}
cola: {epochs: 3}
END
finetune pretrained &
finetune scratch --from-scratch
wait $!

# scores NAME TITLE: the dev scores of a task's runs, in percent.
scores() {
  grep -o "^$2, seed .* dev [A-Za-z]* -\?[0-9.]* after" "$out/$1.log" | grep -o -- "-\?[0-9.]* after" | cut -d' ' -f1
}

echo "| task | metric | from random weights | pre-trained | gain |"
echo "|---|---|---|---|---|"
for task in "CoLA|Matthews" "SST-2|accuracy" "STS-B|Spearman"; do
  IFS='|' read -r title metric <<<"$task"
  { scores scratch "$title" | sed 's/^/s /'; scores pretrained "$title" | sed 's/^/p /'; } |
    awk -v title="$title" -v metric="$metric" '
      { n[$1]++; sum[$1] += $2; square[$1] += $2 * $2 }
      function mean(a) { return sum[a] / n[a] }
      function error(a) { return n[a] > 1 ? sqrt((square[a] - n[a] * mean(a) ^ 2) / (n[a] - 1) / n[a] + 1e-12) : 0 }
      END {
        gain = mean("p") - mean("s"); both = sqrt(error("p") ^ 2 + error("s") ^ 2)
        printf "| %s | %s | %.1f ± %.1f | %.1f ± %.1f | %.1f ± %.1f |\n", title, metric, mean("s"), error("s"), mean("p"), error("p"), gain, both
      }'
done | tee "$out/gains.md"
awk -F'|' '{ split($6, g, "±"); sum += g[1]; square += g[2] ^ 2; n++ } END { printf "| mean of the gains | | | | %.1f ± %.1f |\n", sum / n, sqrt(square) / n }' "$out/gains.md"
