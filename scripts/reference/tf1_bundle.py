#!/usr/bin/env python3
"""Writes a checkpoint as google-research/electra does, with TensorFlow's own Saver, from a pair of folders
in Hugging Face's layout.

    python3 scripts/reference/tf1_bundle.py PAIR OUT/electra_small --step 1000
    elektron import OUT/electra_small --out run --set model.heads=4 --set model.generator.heads=2

PAIR holds discriminator/ and generator/ with their model.safetensors. Variables get the names of the official
code and kernels lie [in, out]. --moments adds Adam's, as in the checkpoints of a run: of a weight w the first
is w/2 and the second w squared. --shards N spreads the data over N files. Needs the Python packages tensorflow
(any version 2) and safetensors. --can-run only tells whether they are there.
"""
import argparse
import os
import pathlib
import re
import sys


def load_packages():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    try:
        import safetensors.numpy
        import tensorflow
    except ImportError as err:
        sys.exit(f"needs the Python packages tensorflow and safetensors: {err}")
    return safetensors.numpy, tensorflow.compat.v1


def variable(name, array, side):
    """The official name of a tensor of one side's folder, and the array as it lies there."""
    if name == "generator_lm_head.bias":
        return "generator_predictions/output_bias", array
    if name.startswith("electra."):
        scope = "electra" if side == "discriminator" or name.startswith("electra.embeddings.") else "generator"
        name = scope + name[len("electra"):]
    name = re.sub(r"\.layer\.(\d+)\.", r".layer_\1.", name).replace("dense_prediction", "dense_1")
    *path, last = name.split(".")
    if last == "weight" and path[-1].endswith("_embeddings"):
        return "/".join(path), array
    if path[-1] == "LayerNorm":
        return "/".join(path + [{"weight": "gamma", "bias": "beta"}[last]]), array
    if last == "weight":
        return "/".join(path + ["kernel"]), array.T
    return "/".join(path + [last]), array


def variables(safetensors, pair):
    found = {}
    for side in ("generator", "discriminator"):  # the discriminator's embeddings win; they are the same
        tensors = safetensors.load_file(pair / side / "model.safetensors")
        for name, array in tensors.items():
            if name != "generator_lm_head.weight":  # the word table again
                official, stored = variable(name, array, side)
                found[official] = stored
    return found


def write(tf, prefix, arrays, step, moments, shards):
    """Saves the arrays as variables. With several shards each is a device's, as on a cluster of one process."""
    config = tf.ConfigProto(device_count={"CPU": shards})
    with tf.Graph().as_default():
        for i, (name, array) in enumerate(sorted(arrays.items())):
            with tf.device(f"/device:CPU:{i % shards}"):
                tf.get_variable(name, initializer=array.copy(), use_resource=False)
                if moments:
                    tf.get_variable(name + "/adam_m", initializer=array / 2, use_resource=False)
                    tf.get_variable(name + "/adam_v", initializer=array * array, use_resource=False)
        step_variable = tf.train.get_or_create_global_step()
        saver = tf.train.Saver(sharded=shards > 1)
        with tf.Session(config=config) as session:
            session.run(tf.global_variables_initializer())
            session.run(step_variable.assign(step))
            saver.save(session, str(prefix), write_meta_graph=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", nargs="?", type=pathlib.Path, help="folder with discriminator/ and generator/")
    parser.add_argument("prefix", nargs="?", type=pathlib.Path, help="what the names of the checkpoint's files begin with")
    parser.add_argument("--step", type=int, default=0, help="global_step (default: %(default)d)")
    parser.add_argument("--shards", type=int, default=1, help="data files (default: %(default)d)")
    parser.add_argument("--moments", action="store_true", help="also save Adam's moments")
    parser.add_argument("--can-run", action="store_true", help="only tell whether the packages are there")
    args = parser.parse_args()
    safetensors, tf = load_packages()
    if args.can_run:
        return 0
    if args.pair is None or args.prefix is None:
        parser.error("name a pair of folders and a prefix")
    tf.disable_eager_execution()
    arrays = variables(safetensors, args.pair)
    args.prefix.parent.mkdir(parents=True, exist_ok=True)
    write(tf, args.prefix, arrays, args.step, args.moments, args.shards)
    print(f"wrote {len(arrays)} weights with TensorFlow {tf.__version__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
