"""What scores that look back only are measured by, on small made-up data."""

from functools import partial

import numpy as np
import pytest
from conftest import SMALL


def test_live(measure, load, monkeypatch):
    monkeypatch.setattr(load("live"), "N_TRAIN", 1000)
    options = ["--features", "2", "3", "--streams", "1", "4", "--updates", "5"]
    records, table = measure("live", *options, data=())
    ways = ["StreamingDetector", "StreamingDetector", "buffer of 50 rows"]
    assert records["way"].tolist() == 2 * ways
    assert records["streams"].tolist() == 2 * [1, 4, 1]
    assert (records["milliseconds"] > 0).all()
    # A window of rows at least, and what the averages remember.
    assert (records["kilobytes"] > 49 * 8 * records["channels"] / 1000).all()
    assert (records["kilobytes"] < 30).all()
    assert "| 2 | StreamingDetector | 4 | " in table


def test_soak(measure):
    options = ["--rows", "200", "--block", "10", "--epochs", "1"]
    records, _ = measure("soak", *options, data=())
    assert records["rows"].tolist() == list(range(20, 201, 20))
    assert (records["unequal"] == 0).all() and (records["megabytes"] > 50).all()
    assert records["kilobytes"].iloc[-1] == pytest.approx(records["kilobytes"].iloc[5])


def test_live_beside_others(load, measure, monkeypatch):
    script = load("compare_live")

    def make(seed):
        seen = []

        def score(row):
            return np.square(row - np.mean(seen, axis=0)).sum()

        return score, seen.append

    others = {"ours": lambda seed: SMALL(lookahead=0, random_state=seed)}
    others["distance"] = partial(script.Online, make)
    for name in ("1-NN-past21", "IsolationForest"):
        others[name] = script.DETECTORS[name]
    monkeypatch.setattr(script, "DETECTORS", others)
    records, table = measure("compare_live", quick=False)
    assert set(records["detector"]) == set(others)
    distance = records[records["detector"] == "distance"]
    assert (distance["auroc"] > 0.9).all()
    assert (records["ms_a_row"] > 0).all()
    assert "| distance | " in table


def test_past_only_average(load):
    baselines = load("_baselines")
    scores = np.random.default_rng(0).normal(size=100)

    class Known(baselines.RandomScores):
        def score_samples(self, X):
            return scores

    past = baselines.MovingAverage(Known(), width=5, past_only=True).fit(
        scores[:, None]
    )
    averages = past.score_samples(scores[:, None])
    assert averages[50] == pytest.approx(scores[46:51].mean())
    assert averages[0] == pytest.approx(scores[0])


def test_says_how_to_install_the_others(load, monkeypatch):
    script = load("compare_live")
    monkeypatch.setattr(script, "version", _none_is_here)
    with pytest.raises(SystemExit, match="river is not here"):
        script.main(["--detectors", "HalfSpaceTrees (river)"])


def _none_is_here(library):
    raise ImportError(library)


def test_what_to_follow(measure, load):
    records, table = measure("follow")
    assert len(records) == 2 * 8
    assert records["rule"].nunique() == 8
    as_fitted = records[records["rule"] == "as fitted"]
    higher = records[records["rule"] == "as fitted, threshold 0.25 higher"]
    assert (
        higher["flagged_normal"].to_numpy() <= as_fitted["flagged_normal"].to_numpy()
    ).all()
    assert "| channels followed | " in table


def test_delay(load, tmp_path, monkeypatch, capsys):
    delay = load("delay")
    monkeypatch.setattr(delay, "RESULTS", tmp_path)
    assert delay.main([]) == 0
    assert (tmp_path / "delay.png").read_bytes().startswith(b"\x89PNG")
    assert "| all | " in capsys.readouterr().out
