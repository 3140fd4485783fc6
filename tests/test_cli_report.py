"""What was found in a table -> a page, and its pictures."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import QUICK, make_waves

from skmemto import MEMTODetector, PerGroupDetector
from skmemto._cli.columns import Choice
from skmemto._cli.commands import judge
from skmemto._cli.pictures import close_up, draw_overview, surprises, time_axis
from skmemto._cli.report import write_report
from skmemto._cli.tables import read_table

NAMES = ["flow & <heat>", "b", "c"]


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def detector():
    settings = {**QUICK, "contamination": 0.01, "random_state": 0}
    return MEMTODetector(**settings).fit(pd.DataFrame(make_waves(), columns=NAMES))


def table(*, group=False, events=True, sick=False):
    X = make_waves(200, seed=1)
    if events:
        X[60:80, 0] += 10 * X[:, 0].std()
    if sick:
        X[150:153] = np.nan
    frame = pd.DataFrame(X, columns=NAMES)
    frame.insert(0, "when", pd.date_range("2024-01-01", periods=200, freq="1min"))
    if group:
        frame["who"] = np.repeat(["p", "q"], 100)
    frame.to_csv("f.csv", index=False)
    return read_table("f.csv", Choice(group="who" if group else None))


def page(detector, of, has_pictures=True):
    X = pd.DataFrame(of.values, columns=of.columns)
    write_report("r.html", of, detector, X, judge(detector, of), has_pictures)
    return Path("r.html").read_text()


def test_a_page_says_what_was_read_and_found(detector):
    of = table(sick=True)
    text = page(detector, of)
    events = judge(detector, of).events
    assert f"{len(events)} events in f.csv" in text
    assert "2024-01-01 00:00:00 to 2024-01-01 03:19:00" in text
    assert "flow &amp; &lt;heat&gt;" in text and "<heat>" not in text
    assert text.count("data:image/png;base64,") == 1 + len(events)
    assert "no channel has a value" in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)  # nothing from elsewhere
    came = of.values[60:80, 0]
    (said,) = re.findall(r"flow &amp; &lt;heat&gt; was\s+(\S+) at", text)[:1]
    assert any(f"{value:.4g}" == said for value in came)


def test_a_page_without_events_or_pictures(detector):
    judged = judge(detector, table())._replace(events=[])
    write_report("r.html", table(), detector, table().values, judged, False)
    assert "None: no row is flagged" in Path("r.html").read_text()
    text = page(detector, table(), has_pictures=False)
    assert "data:image" not in text


@pytest.mark.parametrize("per_group", [False, True])
def test_a_page_of_machines(detector, per_group):
    of = table(group=True)
    if per_group:
        X = pd.DataFrame(make_waves(), columns=NAMES)
        groups = np.repeat(["p", "q"], len(X) // 2)
        detector = PerGroupDetector(MEMTODetector(**QUICK, random_state=0))
        detector.fit(X, groups=groups)
    assert "<td>p</td>" in page(detector, of)


def test_what_came_and_what_was_expected(detector):
    of = table()
    X = pd.DataFrame(of.values, columns=of.columns)
    (event, *_) = [e for e in judge(detector, of).events if e.stop > 60]
    view = close_up(of, detector, X, event)
    assert view.start <= event.start < event.stop <= view.stop
    np.testing.assert_array_equal(view.X, of.values[view.start : view.stop])
    (worst, *_) = surprises(of, event, view)
    assert worst.channel == NAMES[0]
    assert worst.came == of.values[worst.row, 0]
    rows = slice(event.start - view.start, event.stop - view.start)
    off = np.abs(view.X[rows, 0] - view.expected[rows, 0])
    assert worst.row == event.start + off.argmax()


def test_an_overview_has_times_only_where_they_rise(detector):
    of = table()
    assert time_axis(of) is not None
    assert time_axis(of._replace(times=of.times[::-1])) is None
    assert time_axis(table(group=True)) is None
    X = pd.DataFrame(of.values, columns=of.columns)
    judged = judge(detector, of)
    draw_overview("p.png", of, detector, X, judged.score, judged.events)
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
