#!/usr/bin/env python3
"""Loads an exported model with transformers and compares its logits and ids with elektron's.

    elektron export run exported
    elektron demo run "the chef ate the meal" --fill "the [MASK] cooked" --json > exported/demo.json
    python3 scripts/reference/check_hf.py exported

Takes any number of exports, each with the output of one or more demos in it. Each folder is loaded by the class that its config.json names. Prints the largest absolute difference of the
discriminator's logits (every token) and of the generator's (the candidates of every mask), and whether
transformers' tokenizer gives the same ids. Exits with 1 where a logit differs by more than --tolerance, an id
differs, or a tensor is missing or left over. Transformers has no replaced-token head on ALBERT: there its
encoder is loaded and the head, two dense layers, applied here. --can-run only tells whether the packages are
there.
"""
import argparse
import json
import pathlib
import sys

# What transformers may miss, or leave over, on ALBERT: it has a pooler, which is not trained, and no head.
POOLER = {"pooler.weight", "pooler.bias"}
HEAD = "discriminator_predictions."


def load_packages():
    try:
        import torch
        import transformers
    except ImportError as err:
        sys.exit(f"needs the Python packages torch and transformers: {err}")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch, transformers


def load(transformers, folder):
    """The model of a folder, by the class that its configuration names, and whether all tensors fit."""
    config = transformers.AutoConfig.from_pretrained(folder)
    name = config.architectures[0]
    model, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    missing, left = set(info["missing_keys"]), set(info["unexpected_keys"])
    if name == "AlbertModel":
        missing -= POOLER
        left = {key for key in left if not key.startswith(HEAD)}
    wrong = missing | left | set(info["mismatched_keys"])
    if wrong:
        print(f"{folder}: {name} misses {sorted(missing)}, leaves over {sorted(left)}, finds other shapes for {sorted(info['mismatched_keys'])}")
    return model.eval(), not wrong


def detect(torch, model, folder, ids):
    """Replaced-token logits of one text."""
    output = model(input_ids=torch.tensor([ids]))
    if hasattr(output, "logits"):
        return output.logits[0]
    import safetensors.torch
    from transformers.activations import ACT2FN
    head = safetensors.torch.load_file(folder / "model.safetensors")

    def dense(x, name):
        return x @ head[HEAD + name + ".weight"].T + head[HEAD + name + ".bias"]
    hidden = ACT2FN[model.config.hidden_act](dense(output.last_hidden_state[0], "dense"))
    return dense(hidden, "dense_prediction")[:, 0]


def differences(torch, model, folder, result):
    """Pairs of logits, transformers' and elektron's, and the ids that they are of."""
    if folder.name == "discriminator":
        ids = [t["id"] for t in result["tokens"]]
        return ids, list(zip(detect(torch, model, folder, ids).tolist(), [t["logit"] for t in result["tokens"]]))
    ids = result["fill_ids"]
    logits = model(input_ids=torch.tensor([ids])).logits[0]
    return ids, [(logits[f["position"], c["id"]].item(), c["logit"]) for f in result["fillings"] for c in f["candidates"]]


def same_ids(transformers, folder, text, ids):
    """Whether the exported tokenizer, if there is one, encodes the text as elektron did."""
    if not (folder / "tokenizer.json").exists():
        return True
    found = transformers.AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    if found != ids:
        print(f"{folder}: {text!r}: the tokenizer gives {found}, elektron {ids}")
    return found == ids


def check(torch, transformers, folder, results, tolerance):
    """Compares one folder with what elektron said; tells whether all is the same."""
    asked, said = {"discriminator": ("text", "tokens"), "generator": ("fill_text", "fillings")}[folder.name]
    results = [r for r in results if r.get(said)]
    model, good = load(transformers, folder)
    pairs, count = [], 0
    for result in results:
        ids, found = differences(torch, model, folder, result)
        good = same_ids(transformers, folder, result[asked], ids) and good
        pairs, count = pairs + found, count + len(ids)
    largest = max((abs(a - b) for a, b in pairs), default=float("inf"))
    print(f"  {folder.name}: {type(model).__name__}: largest difference of a logit {largest:.3g} "
          f"(of {len(pairs)} logits up to {max((abs(b) for _, b in pairs), default=0):.3g}; {count} tokens of {len(results)} texts)")
    return good and largest <= tolerance


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exported", nargs="*", type=pathlib.Path,
                        help="folder with discriminator/ or generator/ or both, and *.json that `elektron demo --json` printed")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest difference of a logit (default: %(default)g)")
    parser.add_argument("--can-run", action="store_true", help="only tell whether the packages are there")
    args = parser.parse_args()
    torch, transformers = load_packages()
    if args.can_run:
        return 0
    if not args.exported:
        parser.error("name an exported folder")
    good = True
    for exported in args.exported:
        results = [json.loads(path.read_text()) for path in sorted(exported.glob("*.json"))]
        folders = [exported / side for side in ("discriminator", "generator") if (exported / side).is_dir()]
        if not folders or not results:
            parser.error(f"{exported} holds neither discriminator/ nor generator/, or no output of a demo")
        print(f"{exported.name}:")
        with torch.no_grad():
            good = all([check(torch, transformers, folder, results, args.tolerance) for folder in folders]) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
