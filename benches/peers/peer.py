"""One runtime as a peer: `peer.py KIND MODEL.onnx FRAMES THREADS`.

Per line `N` on stdin: N predictions, their nanoseconds on one line of stdout; per line `out`:
regression and probabilities of every frame, one line each. `ours` (Rust) speaks the same.
"""

import sys
import time

import numpy as np

KIND, MODEL, FRAMES, THREADS = sys.argv[1:5]
THREADS = int(THREADS)
# As in ours/src/main.rs.
SPEED, BRANCH = 0.5, 0


def onnxruntime():
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    names = {i.name: i.shape for i in session.get_inputs()}
    return names, lambda feed: session.run(["regression", "probabilities"], feed)


def openvino():
    import openvino as ov

    core = ov.Core()
    compiled = core.compile_model(
        MODEL,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": THREADS,
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    request = compiled.create_infer_request()
    names = {i.any_name: list(i.shape) for i in compiled.inputs}

    def run(feed):
        request.infer(feed, share_inputs=True, share_outputs=True)
        return [request.get_tensor(n).data for n in ("regression", "probabilities")]

    return names, run


def torch():
    import onnx
    import torch as t
    import torch.nn.functional as f
    from onnx import numpy_helper

    t.set_num_threads(THREADS)
    graph = onnx.load(MODEL).graph
    weights = {w.name: t.from_numpy(numpy_helper.to_array(w).copy()) for w in graph.initializer}
    names = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in graph.input}

    class Net(t.nn.Module):
        def forward(self, *inputs):
            v = dict(weights) | dict(zip(names, inputs))
            for node in graph.node:
                a = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
                x = [v[i] for i in node.input]
                op = node.op_type
                if op in ("Conv", "MaxPool"):
                    top, left, bottom, right = a["pads"]
                    pad = (top, left)
                    if (top, left) != (bottom, right):
                        x[0], pad = f.pad(x[0], (left, right, top, bottom)), (0, 0)
                if op == "Conv":
                    out = f.conv2d(*x, stride=a["strides"], padding=pad, groups=a.get("group", 1))
                elif op == "MaxPool":
                    out = f.max_pool2d(x[0], a["kernel_shape"], a["strides"], pad)
                elif op == "Relu":
                    out = f.relu(x[0])
                elif op == "Clip":
                    out = f.hardtanh(x[0], 0.0, 6.0)
                elif op == "Add":
                    out = x[0] + x[1]
                elif op == "GlobalAveragePool":
                    out = x[0].mean((2, 3), keepdim=True)
                elif op == "Flatten":
                    out = x[0].flatten(1)
                elif op == "Transpose":
                    out = x[0].permute(*a["perm"])
                elif op == "Concat":
                    out = t.cat(x, a["axis"])
                elif op == "Gather":
                    out = x[0][x[1]]
                elif op == "Squeeze":
                    out = x[0].squeeze(0)
                elif op == "MatMul":
                    out = x[0] @ x[1]
                elif op == "Gemm":
                    out = t.addmm(x[2], x[0], x[1])
                elif op == "Softmax":
                    out = x[0].softmax(a["axis"])
                elif op == "Split":
                    out = t.split(x[0], x[1].tolist(), a["axis"])
                else:
                    raise ValueError(op)
                for name, value in zip(node.output, out if op == "Split" else [out]):
                    v[name] = value
            return v["regression"], v["probabilities"]

    example = tuple(t.from_numpy(value) for value in feed_of(names, frames_of(names)[0]).values())
    with t.no_grad():
        net = t.jit.optimize_for_inference(t.jit.freeze(t.jit.trace(Net().eval(), example)))

    def run(feed):
        with t.no_grad():
            return [o.numpy() for o in net(*(t.from_numpy(value) for value in feed.values()))]

    return names, run


def frames_of(names):
    return np.fromfile(FRAMES, np.float32).reshape([-1, *names["image"]])


def feed_of(names, image):
    feed = {}
    for name in names:
        if name == "image":
            feed[name] = np.ascontiguousarray(image)
        elif name == "speed":
            feed[name] = np.full((1, 1), SPEED, np.float32)
        else:
            feed[name] = np.full((1,), BRANCH, np.int64)
    return feed


def main():
    names, run = {"onnxruntime": onnxruntime, "openvino": openvino, "torch": torch}[KIND]()
    feeds = [feed_of(names, image) for image in frames_of(names)]
    turn = 0
    for line in sys.stdin:
        if line.strip() == "out":
            for feed in feeds:
                regression, probabilities = run(feed)
                values = [*np.ravel(regression), *np.ravel(probabilities)]
                print(*(float(v) for v in values), flush=True)
            continue
        times = []
        for _ in range(int(line)):
            feed = feeds[turn % len(feeds)]
            turn += 1
            start = time.perf_counter_ns()
            run(feed)
            times.append(time.perf_counter_ns() - start)
        print(*times, flush=True)


main()
