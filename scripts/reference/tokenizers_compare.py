#!/usr/bin/env python3
"""Holds elektron's tokeniser and vocabulary trainer against Hugging Face's tokenizers: speed on one thread, and the
tokens a word that vocabularies of the same size give on the text that they were trained on.

    pip install tokenizers==0.23.3
    elektron data vocab --data CORPUS --size 8192 --out ours.txt
    RAYON_NUM_THREADS=1 python3 scripts/reference/tokenizers_compare.py CORPUS bert-vocab.txt ours.txt

CORPUS is a folder of .txt or .txt.gz files, a paragraph a line.
"""
import glob
import gzip
import os
import sys
import time

from tokenizers import BertWordPieceTokenizer


def paragraphs(folder):
    for path in sorted(glob.glob(os.path.join(folder, "*.txt*"))):
        opened = gzip.open(path, "rt") if path.endswith(".gz") else open(path)
        with opened as lines:
            yield from (line.strip() for line in lines if line.strip())


def main(corpus, vocab, ours):
    texts = list(paragraphs(corpus))
    size = sum(len(t.encode()) for t in texts)

    tokenizer = BertWordPieceTokenizer(vocab, lowercase=True)
    begin = time.process_time()
    for text in texts:
        tokenizer.encode(text, add_special_tokens=False)
    print(f"encode: {size / 1e6 / (time.process_time() - begin):.1f} MB a processor second")

    count = sum(1 for _ in open(ours))
    trained = BertWordPieceTokenizer(lowercase=True)
    begin = time.process_time()
    trained.train_from_iterator(texts, vocab_size=count, show_progress=False)
    print(f"train {count}: {time.process_time() - begin:.1f} processor seconds")
    rates = []
    for name, t in ("HF", trained), ("elektron", BertWordPieceTokenizer(ours, lowercase=True)):
        words = tokens = 0
        for text in texts:
            encoded = t.encode(text, add_special_tokens=False)
            tokens += len(encoded.ids)
            words += len(set(encoded.word_ids))
        rates.append(tokens / words)
        print(f"{name}: {tokens / words:.5f} tokens a word")
    print(f"elektron's tokens a word are {100 * (rates[1] / rates[0] - 1):+.3f} % of HF's")


main(*sys.argv[1:])
