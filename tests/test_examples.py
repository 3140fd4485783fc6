"""The examples, as they stand."""

import importlib
import json
import pickle
import sys
import time
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest
from conftest import QUICK, make_waves

from skmemto import MEMTODetector

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for path in EXAMPLES.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture(scope="module")
def detector():
    settings = {**QUICK, "lookahead": 0, "contamination": 0.01, "random_state": 0}
    return MEMTODetector(**settings).fit(make_waves())


@pytest.fixture
def model(detector, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(detector))
    return path


@pytest.fixture
def rows():
    X = make_waves(200, seed=1)
    X[60:80, 0] += 10 * X[:, 0].std()
    X[90, 1] = np.nan
    return X


def test_follows_a_file(example, model, detector, rows, tmp_path, capsys):
    file = tmp_path / "rows.csv"
    pd.DataFrame(rows, columns=["flow", "heat", "noise"]).to_csv(file, index=False)
    assert example("follow_csv").main([str(model), str(file), "--once"]) == 0
    lines = capsys.readouterr().out.splitlines()
    events = [event for event in detector.events(rows) if event.stop < 190]
    assert any(event.start <= 60 < event.stop for event in events)
    for event in events:
        (begins,) = [line for line in lines if line.startswith(f"row {event.start}: ")]
        rows_of = f"rows {event.start} to {event.stop - 1}: over, "
        (over,) = [line for line in lines if line.startswith(rows_of)]
        first = ["flow", "heat", "noise"][event.channels[0]]
        assert f"({first}" in begins and f"({first}" in over


def test_follows_a_file_that_grows(example, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n1,2\n3")
    lines = example("follow_csv").lines_as_they_come(file, once=False, wait=0.01)
    assert next(lines) == ["a,b\n", "1,2\n"]

    def grow():
        time.sleep(0.1)
        with file.open("a") as more:
            more.write(",\n5,6\n")

    writer = Thread(target=grow)
    writer.start()
    new = next(lines)
    writer.join()
    if len(new) < 2:  # read while it was written
        new += next(lines)
    np.testing.assert_array_equal(
        example("follow_csv").to_rows(new), [[3, np.nan], [5, 6]]
    )


@pytest.fixture
def url(example, model):
    with example("serve").make_server(model, port=0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def post(url, rows):
    body = json.dumps(
        {"rows": pd.DataFrame(rows).replace(np.nan, None).values.tolist()}
    )
    with urlopen(url, data=body.encode()) as answer:
        return json.load(answer)


def test_serves_sensors(url, detector, rows, capsys):
    expected = detector.score_samples(rows)
    for name in ("pump", "fan"):
        parts = [post(f"{url}/{name}", part) for part in np.split(rows, [70, 71])]
        scores = np.concatenate([part["scores"] for part in parts])
        np.testing.assert_allclose(scores, expected, rtol=1e-9)
        assert parts[1]["labels"] == [-1]
        (event,) = parts[1]["events"]
        assert event["start"] <= 60 and event["stop"] == 71
        assert event["channels"][0] == 0


def test_says_what_is_wrong(url, capsys):
    for rows in ([[1.0]], [["x", 1, 2]], [[1, 2, 3], [1]]):
        with (
            pytest.raises(HTTPError) as error,
            urlopen(f"{url}/pump", data=json.dumps({"rows": rows}).encode()),
        ):
            pass
        assert error.value.code == 400
        assert "ValueError" in json.load(error.value)["error"]
