"""A made-up set on which the benchmark scripts are run, and running them."""

import json

import numpy as np

N_TRAIN, N_TEST, EVENT = 200, 150, slice(60, 90)


def toy_entity(seed):
    """Two sines and a constant channel; the anomaly leaves their common plane."""
    rng = np.random.default_rng(seed)
    phase = np.arange(N_TRAIN + N_TEST)[:, None] / 5 + np.array([0, 1, 2, 0])
    X = np.sin(phase) * [1, 2, 3, 0] + 0.05 * rng.normal(size=phase.shape)
    X[:, 3] = 0.1
    labels = np.zeros(N_TEST, dtype=np.uint8)
    labels[EVENT] = 1
    test = X[N_TRAIN:] + labels[:, None] * [3, -6, 9, 0]
    return X[:N_TRAIN].astype(np.float32), test.astype(np.float32), labels


def write_toy(folder):
    """The set "toy": a and b with one event each, and one without anomalies."""
    train, test, labels = zip(*map(toy_entity, range(3)), strict=True)
    labels[2][:] = 0
    np.savez(
        folder / "toy.npz",
        train=np.concatenate(train),
        test=np.concatenate(test),
        labels=np.concatenate(labels),
        names=np.array(["a", "b", "calm"]),
        train_lengths=np.array([N_TRAIN] * 3),
        test_lengths=np.array([N_TEST] * 3),
    )
    events = {name: ["60-89:1,2,3"] for name in ("a", "b")}
    (folder / "toy_interpretation.json").write_text(json.dumps(events))
    return folder


def run(script, folder, *options, data=("--sets", "toy")):
    """Exit status of a script, and the records it has stored."""
    where = ["--data", str(folder), *data] if data else []
    status = script.main([*where, "--out", str(folder / "out"), *options])
    return status, json.loads((folder / "out.json").read_text())["records"]
