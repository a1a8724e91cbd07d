#!/usr/bin/env python3
"""Compares our executor with ONNX Runtime, OpenVINO and PyTorch: same networks, same frames.

    python3 benches/peers/compare.py [--work DIR] [--rounds 40] [--only onnxruntime,openvino]

Installs the runtimes from PyPI into DIR/venv, builds `ours`, makes packs with random weights,
exports them, checks that all predictions agree within 1e-4, then measures in turns: in every round
each engine predicts for a twentieth of a second, at one and at two threads. At one thread a loop of
the same length that only computes in registers has its turn too: its p99 is the machine's.
PyTorch's wheel on PyPI for x86 brings 5 GB of CUDA along; `--torch-python FILE` names a Python that
has torch, numpy and onnx already. Prints a Markdown table and writes DIR/results.json.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NETWORKS = {"efficientnet-lite0": "Lite0@160", "pilotnet": "PilotNet", "resnet50": "ResNet-50@160"}
TOLERANCE = 1e-4
FRAMES = 16


class Engine:
    """A worker process that waits for its turn."""

    def __init__(self, name, command, threads):
        self.name, self.threads, self.times = name, threads, []
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env)

    def ask(self, line, lines=1):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answers = [self.process.stdout.readline() for _ in range(lines)]
        if not answers[-1]:
            sys.exit(f"{self.name} has ended")
        return [[float(v) for v in answer.split()] for answer in answers]

    def outputs(self):
        return self.ask("out", FRAMES)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run(*command, **more):
    subprocess.run([str(c) for c in command], check=True, **more)


def venv(work):
    python = work / "venv/bin/python"
    if not python.exists():
        run(sys.executable, "-m", "venv", work / "venv")
        run(python, "-m", "pip", "install", "-q", "numpy", "onnx", "onnxruntime", "openvino")
    return python


def build(work, anew):
    target = work / "target"
    env = os.environ | {"CARGO_TARGET_DIR": str(target)}
    if anew:
        run("cargo", "build", "--release", "-q", cwd=HERE / "ours", env=env)
    return target / "release/peer-ours"


def quantile(times, q):
    times = sorted(times)
    return times[min(len(times) - 1, round(q * (len(times) - 1)))] * 1e-6


def measure(engines, rounds, seconds):
    counts = []
    for engine in engines:
        engine.ask(3)
        [times] = engine.ask(5)
        counts.append(max(2, round(seconds / (min(times) * 1e-9))))
    for turn in range(rounds):
        # Each round begins with another engine: nobody always follows the same one.
        for i in range(len(engines)):
            at = (turn + i) % len(engines)
            engine = engines[at]
            # Some runtimes' threads spin for a while after their last prediction.
            time.sleep(0.05)
            engine.ask(3)
            [times] = engine.ask(counts[at])
            engine.times += times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("target/peers"))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.05)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--only", default="onnxruntime,openvino")
    parser.add_argument("--torch-python", help="a Python with torch, numpy and onnx")
    parser.add_argument("--isa", default="best", help="kernels of ours, by comma: best,avx2,portable")
    parser.add_argument("--int8", action="store_true", help="also int8: ours and ONNX Runtime's")
    parser.add_argument("--no-build", action="store_true", help="measure what is built already")
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    python, ours = venv(work), build(work, not args.no_build)
    peers = {name: python for name in args.only.split(",") if name}
    if args.torch_python:
        peers["torch"] = args.torch_python
    rows = []
    for network in args.networks.split(","):
        pack, model, frames = (work / f"{network}{end}" for end in ("", ".onnx", ".f32"))
        run(ours, "random", network, pack)
        run(ours, "onnx", pack, model)
        run(ours, "frames", pack, FRAMES, frames)
        int8 = work / f"{network}.int8.onnx"
        if args.int8:
            run(python, HERE / "quantize_onnx.py", model, frames, int8)
        for threads in map(int, args.threads.split(",")):
            engines = [
                Engine(f"ours ({isa})", [ours, "serve", pack, frames, str(threads), isa], threads)
                for isa in args.isa.split(",")
            ]
            for name, with_python in peers.items():
                command = [with_python, HERE / "peer.py", name, model, frames, str(threads)]
                engines.append(Engine(name, command, threads))
            exact = len(engines)
            if args.int8:
                command = [ours, "serve8", pack, frames, str(threads), args.isa.split(",")[0]]
                engines.append(Engine("ours, int8", command, threads))
                command = [python, HERE / "peer.py", "onnxruntime", int8, frames, str(threads)]
                engines.append(Engine("onnxruntime, int8", command, threads))
            reference = engines[0].outputs()
            for number, engine in enumerate(engines):
                pairs = zip(reference, engine.outputs())
                engine.off = max(abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True))
                if number < exact and engine.off > TOLERANCE:
                    sys.exit(f"{network}: {engine.name} is {engine.off} off")
            if threads == 1:
                # As long as one of our predictions, without memory: what varies there is the
                # machine's doing.
                [times] = engines[0].ask(20)
                engines.append(Engine("control loop", [ours, "spin", str(min(times))], threads))
                engines[-1].off = 0.0
            measure(engines, args.rounds, args.seconds)
            for engine in engines:
                engine.close()
                rows.append(row(NETWORKS[network], engine, engines[0]))
                print(json.dumps(rows[-1]), file=sys.stderr)
    table(rows)
    facts = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    (work / "results.json").write_text(json.dumps({**facts, "rows": rows}, indent=1))


def row(network, engine, ours):
    median = statistics.median(engine.times) * 1e-6
    return {
        "network": network,
        "threads": engine.threads,
        "engine": engine.name,
        "n": len(engine.times),
        "best_ms": min(engine.times) * 1e-6,
        "p50_ms": median,
        "p99_ms": quantile(engine.times, 0.99),
        # How long we take of what it takes: below one, we are faster.
        "ours_over_it_p50": statistics.median(ours.times) * 1e-6 / median,
        "ours_over_it_best": min(ours.times) / min(engine.times),
        "difference": engine.off,
    }


def table(rows):
    print(
        "| network | threads | engine | best ms | median ms | p99 ms | p99 / median "
        "| ours / it, median | best |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['network']} | {r['threads']} | {r['engine']} | {r['best_ms']:.3f} "
            f"| {r['p50_ms']:.3f} | {r['p99_ms']:.3f} | {r['p99_ms'] / r['p50_ms']:.2f} "
            f"| {r['ours_over_it_p50']:.2f} "
            f"| {r['ours_over_it_best']:.2f} |"
        )


main()
