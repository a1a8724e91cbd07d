#!/usr/bin/env python3
"""Makes the vectors that hold crates/eval's trajectory measures to similaritymeasures.

    pip install similaritymeasures==1.5.0 numpy
    python3 docs/checks/similarity_vectors.py > crates/eval/tests/data/similarity.txt

Curves are rounded to 0.1 mm to keep the file short; both sides read exactly the same points. One
pair is not, since segments that are all 0.5 m but for the last bit are the hardest case of
"insert into the longest". Seeded: the same packages give the same file.
"""
import math

import numpy as np
import similaritymeasures as sm

rng = np.random.default_rng(20240611)


def resample(curve, spacing):
    """Points at arc lengths 0, s, 2s, ... and the end."""
    steps = np.hypot(*np.diff(curve, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.append(np.arange(0.0, along[-1] - 1e-9 * spacing, spacing), along[-1])
    return np.column_stack([np.interp(at, along, curve[:, k]) for k in (0, 1)])


def line(name, values):
    print(name, *(repr(float(v)).removesuffix(".0") for v in np.ravel(values)))


def measures(name, a, b, x0=0.0, y0=0.0, digits=4):
    a, b = (np.round(c + [x0, y0], digits) for c in (np.asarray(a, float), np.asarray(b, float)))
    with np.errstate(all="ignore"):
        length = sm.curve_length_measure(a, b)
    print("case", name)
    line("a", a)
    line("b", b)
    line("frechet", sm.frechet_dist(a, b))
    line("dtw", sm.dtw(a, b)[0])
    line("area", sm.area_between_two_curves(a, b))
    line("length", length if math.isfinite(length) else float("nan"))


def road(n, length, bend):
    t = np.linspace(0.0, 1.0, n)
    return np.column_stack([length * t, bend * np.sin(2.2 * math.pi * t)])


def beside(curve, amount):
    """The curve with a slowly wandering offset across."""
    d = np.gradient(curve, axis=0)
    d /= np.hypot(*d.T)[:, None]
    t = np.linspace(0, 3 * math.pi, len(curve))
    off = amount * (np.sin(t) + 0.4 * np.sin(2.7 * t + 1))
    return curve + off[:, None] * np.column_stack([-d[:, 1], d[:, 0]])


base = road(400, 60.0, 8.0)
expert, driven = resample(base, 0.5), resample(beside(base, 0.6), 0.5)
measures("winding road, driven beside it", expert, driven, 200.0, 90.0)
measures("the same, arms the other way round", driven, expert, 200.0, 90.0)
measures("left the road halfway", expert, driven[: len(driven) // 2], 200.0, 90.0)
measures("around the origin", expert, driven, -30.0, 0.5)
measures("a mean just below zero", expert, driven, 200.0, -0.1 - expert[:, 1].mean())
measures("far to the west", expert, driven, -300.0, -200.0)
same = rng.uniform(1.0, 9.0, (40, 2))
measures("random points, as many", same, rng.uniform(1.0, 9.0, (40, 2)))
measures("random points, fewer", same, rng.uniform(1.0, 9.0, (23, 2)))
measures("random walks", 50 + np.cumsum(rng.normal(size=(70, 2)), 0), 50 + np.cumsum(rng.normal(size=(55, 2)), 0))
y = np.arange(0.0, 40.5, 0.5)
north = np.column_stack([np.full_like(y, 10.0), y + 5])
measures("exactly vertical, fewer points", north, north[:-7] + [0.8, 0.0])
measures("exactly vertical, more points", north[:-7], north + [0.8, 0.0])
measures("exactly horizontal, fewer points", north[:, ::-1], north[:-7, ::-1] + [0.0, 0.8])
corner = np.array([[20.0, 20.0], [50.0, 20.0], [50.0, 45.0], [20.0, 45.0]])
cut = np.array([[20.0, 20.3], [48.0, 20.2], [50.4, 22.5], [50.3, 43.0], [47.0, 45.3], [26.0, 44.6]])
measures("around a block", resample(corner, 0.5), resample(cut, 0.5))
t = np.linspace(0, 2 * math.pi, 120)
eight = np.column_stack([30 * np.sin(t), 12 * np.sin(2 * t)]) + 60
measures("around a block, last bits", resample(corner, 0.9), resample(cut[:-1], 0.9), digits=15)
measures("figure of eight", eight, eight[::-1][:100] + 0.5)
measures("two points each", [[1, 1], [4, 5]], [[1, 2], [5, 5]])
measures("equal", corner, corner)

print("case resampling")
raw = np.round(beside(road(57, 35.0, 6.0), 0.8), 3)
raw = np.repeat(raw, 1 + (np.arange(57) % 9 == 4), axis=0)
line("raw", raw)
line("resampled", resample(raw, 0.5))
