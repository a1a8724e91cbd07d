#!/usr/bin/env python3
"""Does ONNX Runtime say what our executor says? Many frames, the documented preprocessing.

    caril bench infer --architecture pilotnet efficientnet-lite0 resnet50 --policy default \\
        --frames 1000 --random 1000 --dump DIR
    python3 benches/peers/parity.py DIR

Needs numpy and onnxruntime. DIR holds, for each network, NAME.onnx, NAME.rgb (pictures before
normalisation) and NAME.jsonl (speed, branch and our prediction of each). Prints the greatest
differences; exit code 1 if one is above 1e-4.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

TOLERANCE = 1e-4


def numbers(text):
    return np.array(json.loads(text) if text.startswith("[") else text.replace(",", " ").split(), np.float32)


def compare(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    scale, offset = (numbers(facts[f"caril.input.{name}"]) for name in ("scale", "offset"))
    shapes = {i.name: i.shape for i in session.get_inputs()}
    _, _, height, width = shapes["image"]
    size = height * width * 3
    off, low, high = [0.0, 0.0], np.inf, -np.inf
    count = 0
    with open(model.with_suffix(".rgb"), "rb") as pictures, open(model.with_suffix(".jsonl")) as lines:
        for count, line in enumerate(lines, 1):
            ours = json.loads(line)
            rgb = np.frombuffer(pictures.read(size), np.uint8).reshape(height, width, 3)
            image = (rgb.astype(np.float32) * scale + offset).transpose(2, 0, 1)[None]
            feed = {"image": np.ascontiguousarray(image)}
            if "speed" in shapes:
                feed["speed"] = np.full((1, 1), ours["speed"], np.float32)
            if "branch" in shapes:
                feed["branch"] = np.full((1,), ours["branch"], np.int64)
            regression, probabilities = session.run(["regression", "probabilities"], feed)
            regression = float(np.ravel(regression)[0])
            low, high = min(low, regression), max(high, regression)
            off[0] = max(off[0], abs(regression - ours["regression"]))
            off[1] = max(off[1], float(np.abs(np.ravel(probabilities) - ours["probs"]).max()))
    print(
        f"{model.stem}: {count} frames, |Δ regression| ≤ {off[0]:.1e} (of {low:.3f} to {high:.3f}), "
        f"|Δ probability| ≤ {off[1]:.1e}, ONNX Runtime {ort.__version__}",
        flush=True,
    )
    return count > 0 and max(off) <= TOLERANCE


if len(sys.argv) != 2:
    sys.exit(__doc__)
models = sorted(Path(sys.argv[1]).glob("*.onnx"))
if not models:
    sys.exit(f"no network in {sys.argv[1]}")
sys.exit(0 if all([compare(model) for model in models]) else 1)
