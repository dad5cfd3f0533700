#!/usr/bin/env python3
"""Loads an exported pair of folders with transformers and compares its logits with elektron's.

    elektron export run exported
    elektron demo run "the chef ate the meal" --fill "the [MASK] cooked" --json > demo.json
    python3 scripts/reference/check_hf.py exported demo.json

Prints the largest absolute difference of the discriminator's logits (every token) and of the generator's (the
candidates of every mask), and whether transformers' tokenizer gives the same ids. Exits with 1 where a
logit differs by more than --tolerance or an id differs. --can-run only tells whether the packages are there.
"""
import argparse
import json
import pathlib
import sys


def load_packages():
    try:
        import torch
        import transformers
    except ImportError as err:
        sys.exit(f"needs the Python packages torch and transformers: {err}")
    return torch, transformers


def detector_difference(torch, transformers, folder, result):
    """Of the replaced-token logits, for every token of the text."""
    tokens = result["tokens"]
    ids = [t["id"] for t in tokens]
    model = transformers.ElectraForPreTraining.from_pretrained(folder).eval()
    logits = model(input_ids=torch.tensor([ids])).logits[0].tolist()
    return ids, max(abs(a - t["logit"]) for a, t in zip(logits, tokens))


def filler_difference(torch, transformers, folder, result):
    """Of the vocabulary logits, for the candidates of every mask."""
    ids = result["fill_ids"]
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    logits = model(input_ids=torch.tensor([ids])).logits[0]
    return ids, max(abs(logits[f["position"], c["id"]].item() - c["logit"]) for f in result["fillings"] for c in f["candidates"])


def same_ids(transformers, folder, text, ids):
    """Whether the exported tokenizer, if there is one, encodes the text as elektron did."""
    if not (folder / "tokenizer.json").exists():
        return True
    found = transformers.AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    if found != ids:
        print(f"{folder}: the tokenizer gives {found}, elektron {ids}")
    return found == ids


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported", nargs="?", type=pathlib.Path, help="folder with discriminator/ and generator/")
    parser.add_argument("demo", nargs="?", type=pathlib.Path, help="what `elektron demo --json` printed")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest difference of a logit (default: %(default)g)")
    parser.add_argument("--can-run", action="store_true", help="only tell whether the packages are there")
    args = parser.parse_args()
    torch, transformers = load_packages()
    if args.can_run:
        return 0
    if args.exported is None or args.demo is None:
        parser.error("name an exported folder and a file of demo --json")
    result = json.loads(args.demo.read_text())
    good = True
    with torch.no_grad():
        for key, side, text, difference in (("tokens", "discriminator", "text", detector_difference),
                                            ("fillings", "generator", "fill_text", filler_difference)):
            if not result.get(key):
                continue
            folder = args.exported / side
            ids, largest = difference(torch, transformers, folder, result)
            good = same_ids(transformers, folder, result[text], ids) and largest <= args.tolerance and good
            print(f"{side}: largest difference of a logit {largest:.3g} over {len(ids)} tokens")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
