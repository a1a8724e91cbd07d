#!/usr/bin/env python3
"""Makes the vectors that hold crates/eval to scikit-learn, scipy and numpy.

    pip install scikit-learn==1.9.1 scipy==1.17.1 numpy
    python3 docs/checks/confidence_vectors.py > crates/eval/tests/data/confidence.txt

Probabilities are n/1024, so that both sides read exactly the same and many are equal. Seeded: the
same packages give the same file.
"""
import itertools
import math

import numpy as np
from scipy.signal import savgol_filter
from scipy.stats import binomtest
from sklearn import metrics

rng = np.random.default_rng(20240612)
K = 11


def line(name, values):
    print(name, *(repr(float(v)).removesuffix(".0") for v in np.ravel(values)))


def gap(groups, conf, ok):
    return sum(len(g) * abs(ok[g].mean() - conf[g].mean()) for g in groups if len(g)) / len(conf)


def ece(conf, ok, bins=15):
    which = np.digitize(conf, np.arange(1, bins) / bins, right=True)
    return gap([np.flatnonzero(which == b) for b in range(bins)], conf, ok)


def ace(conf, ok, bins=15):
    """Only for confidences that all differ."""
    assert len(set(conf)) == len(conf)
    order, n = np.argsort(conf), len(conf)
    return gap([order[n * b // bins : n * (b + 1) // bins] for b in range(bins)], conf, ok)


def aurc(order, loss):
    ranked = loss[list(order)]
    return np.mean(np.cumsum(ranked) / np.arange(1, len(ranked) + 1))


def augrc(conf, loss):
    n = len(conf)
    levels = sorted(set(conf), reverse=True)
    x = [0.0] + [np.sum(conf >= t) / n for t in levels]
    y = [0.0] + [np.sum(loss[conf >= t]) / n for t in levels]
    return np.trapezoid(y, x)


def ranking(name, score, failure):
    print("case", name)
    line("score", score)
    line("failure", failure)
    line("auroc", metrics.roc_auc_score(failure, score))
    line("ap", metrics.average_precision_score(failure, score))
    fpr, tpr, _ = metrics.roc_curve(failure, score, drop_intermediate=False)
    for at in (0.5, 0.95, 1.0):
        line(f"fpr_at_{at}", fpr[tpr >= at].min())


# Frames of eleven classes, peaked at random strength, labels as likely as said but overconfident.
n = 240
centre, sharp = rng.integers(0, K, n), rng.uniform(0.02, 3.0, n)
p = np.exp(-sharp[:, None] * (np.arange(K) - centre[:, None]) ** 2)
p /= p.sum(1, keepdims=True)
labels = np.array([rng.choice(K, p=0.75 * q + 0.25 / K) for q in p])
counts = np.array([rng.multinomial(1024, q) for q in p])
probs = (counts / 1024).astype(np.float32)
top = probs.argmax(1)
conf, ok = probs.max(1).astype(float), (top == labels).astype(float)
print("case classes")
line("counts", counts)
line("labels", labels)
line("confusion", metrics.confusion_matrix(labels, top, labels=range(K)))
line("accuracy", metrics.accuracy_score(labels, top))
line("near", np.mean(np.abs(labels - top) <= 1))
line("balanced", metrics.balanced_accuracy_score(labels, top))
line("precision", metrics.precision_score(labels, top, labels=range(K), average=None, zero_division=0))
line("nll", metrics.log_loss(labels, probs, labels=range(K)))
line("brier", metrics.brier_score_loss(labels, counts / 1024, labels=range(K), scale_by_half=False))
line("ece", ece(conf, ok))

print("case calibration without ties")
conf = np.round(rng.permutation(np.linspace(0.003, 0.997, 157)), 6)
ok = (rng.uniform(size=len(conf)) < conf ** 1.5).astype(float)
line("confidence", conf)
line("correct", ok)
line("ece", ece(conf, ok))
line("ace", ace(conf, ok))

score = rng.normal(size=150)
ranking("ranking without ties", np.round(score, 6), (score + rng.normal(size=150) > 1).astype(int))
score = rng.integers(0, 9, 150) / 8
ranking("ranking with ties", score, (rng.uniform(size=150) < 0.1 + 0.5 * score).astype(int))
ranking("ranking, one failure", rng.integers(0, 5, 40), np.arange(40) == 17)

print("case selective without ties")
conf = np.round(rng.permutation(np.linspace(0.01, 0.99, 90)), 6)
loss = np.round(np.abs(rng.normal(size=90)) * (1.2 - conf), 6)
line("confidence", conf)
line("loss", loss)
line("aurc", aurc(np.argsort(-conf), loss))
line("augrc", augrc(conf, loss))

print("case selective with ties")
conf = np.array([0.9, 0.5, 0.5, 0.5, 0.2, 0.2, 0.1])
loss = np.array([0.0, 1.0, 0.0, 0.25, 2.0, 0.5, 1.0])
orders = [o for o in itertools.permutations(range(7)) if all(np.diff(conf[list(o)]) <= 0)]
line("confidence", conf)
line("loss", loss)
line("aurc", np.mean([aurc(o, loss) for o in orders]))
line("augrc", augrc(conf, loss))

print("case regression")
expert = np.round(rng.uniform(-1, 1, 80), 5)
steer = np.round(expert + rng.normal(size=80) * 0.1, 5)
line("steer", steer)
line("expert", expert)
line("mae", metrics.mean_absolute_error(expert, steer))
line("rmse", metrics.root_mean_squared_error(expert, steer))
line("max", metrics.max_error(expert, steer))
scores = np.abs(steer - expert)
for alpha in (0.05, 0.1, 0.3):
    level = math.ceil((len(scores) + 1) * (1 - alpha)) / len(scores)
    line(f"conformal_{alpha}", np.quantile(scores, level, method="inverted_cdf"))
for q in (0.025, 0.5, 0.95):
    line(f"quantile_{q}", np.quantile(scores, q))

print("case savgol")
y = np.round(np.cumsum(rng.normal(size=40)), 5)
line("values", y)
line("smooth", savgol_filter(y, 7, 2))
line("slope", savgol_filter(y, 7, 2, deriv=1, delta=0.05))
line("shortest", savgol_filter(y[:7], 7, 2))

print("case sign")
pairs = [(3, 9), (0, 5), (12, 12), (48, 82), (400, 480), (900, 2100), (0, 1)]
line("pairs", pairs)
line("p", [binomtest(a, a + b, 0.5).pvalue for a, b in pairs])
