"""ONNX Runtime's own static int8 quantisation: `quantize_onnx.py MODEL.onnx FRAMES OUT.onnx`.

QDQ, bytes for activations and, per channel, for weights: what its documentation advises for CPUs.
"""

import sys

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

MODEL, FRAMES, OUT = sys.argv[1:4]


class Frames(CalibrationDataReader):
    def __init__(self):
        inputs = onnx.load(MODEL).graph.input
        shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in inputs}
        frames = np.fromfile(FRAMES, np.float32).reshape([-1, *shapes["image"]])
        # As in ours/src/main.rs.
        rest = {"speed": np.full((1, 1), 0.5, np.float32), "branch": np.zeros(1, np.int64)}
        rest = {name: value for name, value in rest.items() if name in shapes}
        self.feeds = iter([{"image": image, **rest} for image in frames])

    def get_next(self):
        return next(self.feeds, None)


quantize_static(
    MODEL,
    OUT,
    Frames(),
    quant_format=QuantFormat.QDQ,
    per_channel=True,
    activation_type=QuantType.QUInt8,
    weight_type=QuantType.QInt8,
)
