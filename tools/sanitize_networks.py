"""Runs networks by an spr-bench that was built with sanitizers, of memory or of threads: those of the zoo dense, pruned
weight by weight and in 2x1 blocks, each in float32 and in 8 bits, and the real ones in SPARSE_RUNTIME_MODELS where that
is set; with the kernels that the library chooses, sparse and dense ones, by one thread and by two. What a sanitizer
finds ends it.

    python tools/sanitize_networks.py SPR_BENCH FOLDER [--quick]

FOLDER keeps the model files. --quick: two networks of the zoo."""
import argparse
import os
import subprocess
import time
from pathlib import Path

import sparse_runtime as sr
from sparse_runtime.peers import random_feeds

FORMS = {"dense": (0.0, (1, 1)), "csr": (0.8, (1, 1)), "2x1": (0.8, (2, 1))}
QUICK = ("mobilenet_v3_small", "picodet_m")


def models(folder, quick):
    """Paths of model files, made where they are not there yet."""
    for name in QUICK if quick else sr.zoo.names():
        for form, (ratio, block) in FORMS.items():
            for kind in ("f32", "int8"):
                path = folder / f"{name}-{form}-{kind}.spr"
                if not path.exists():
                    pruned = sr.prune.magnitude(sr.zoo.build(name, seed=0), ratio, block=block)
                    data = sr.convert(pruned).data
                    if kind == "int8":  # ranges do not matter here: one image of noise
                        feeds = [random_feeds(sr.Session(data).inputs)]
                        data = sr.convert(pruned, int8=True, calibration=feeds, int8_min_sqnr=None).data
                    path.write_bytes(data)
                yield path
    given = os.environ.get("SPARSE_RUNTIME_MODELS")
    for source in sorted(Path(given).glob("*.onnx")) if given and not quick else ():
        path = folder / (source.stem + ".spr")
        if not path.exists():
            sr.convert(source, path)
        yield path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    count, start = 0, time.monotonic()
    for path in models(args.folder, args.quick):
        command = [args.program, path, "--sparse", "model,always,never", "--threads", "1,2", "--free", "64"]
        subprocess.run([*command, "--repeat", "1", "--warmup", "0", "--format", "csv"], check=True,
                       stdout=subprocess.DEVNULL)
        count += 1
    print(f"{count} networks in 6 ways each, no finding ({time.monotonic() - start:.0f} s)")


if __name__ == "__main__":
    main()
