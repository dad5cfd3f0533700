"""Speed of fine-tuning ELECTRA-small on SST-2 with transformers on the CPU: the peer of BenchmarkFineTune.

    python3 finetune_speed.py --glue GLUE --vocab vocab.txt --steps 40 [--pad longest]

Random weights of google/electra-small-discriminator's shape, batches of 32, AdamW, clipping at 1.0; --pad max is what
transformers' run_glue.py does by default (128 tokens), --pad longest pads to the longest example of a batch. Prints tokens
that are no padding a second, without the first two steps. Needs torch and transformers.
"""

import argparse
import random
import time

import torch
from transformers import BertTokenizerFast, ElectraConfig, ElectraForSequenceClassification

parser = argparse.ArgumentParser()
parser.add_argument("--glue", required=True)
parser.add_argument("--vocab", required=True)
parser.add_argument("--steps", type=int, default=40)
parser.add_argument("--pad", choices=["max", "longest"], default="max")
parser.add_argument("--threads", type=int, default=0, help="0 leaves torch's choice")
options = parser.parse_args()
if options.threads:
    torch.set_num_threads(options.threads)
torch.manual_seed(1)
random.seed(1)

tokenizer = BertTokenizerFast(vocab=options.vocab, vocab_file=options.vocab, do_lower_case=True)
with open(f"{options.glue}/SST-2/train.tsv", encoding="utf-8") as file:
    rows = [line.rstrip("\n").split("\t") for line in file][1:]
random.shuffle(rows)

model = ElectraForSequenceClassification(ElectraConfig(
    vocab_size=30522, embedding_size=128, hidden_size=256, num_hidden_layers=12, num_attention_heads=4,
    intermediate_size=1024, num_labels=2))
model.train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, eps=1e-6, weight_decay=0.0)

tokens, seconds = 0, 0.0
for step in range(options.steps + 2):
    part = rows[32 * step:32 * (step + 1)]
    batch = tokenizer([text for text, _ in part], padding="max_length" if options.pad == "max" else "longest",
                      truncation=True, max_length=128, return_tensors="pt")
    began = time.perf_counter()
    loss = model(**batch, labels=torch.tensor([int(label) for _, label in part])).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    if step >= 2:
        seconds += time.perf_counter() - began
        tokens += int(batch["attention_mask"].sum())
print(f"{tokens / seconds:.0f} tokens/s, {seconds / options.steps:.3f} s a step, {torch.get_num_threads()} threads")
