"""Public distributions, made up and small, become the benchmarks' data."""

import pickle

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def prepare_data(load):
    return load("prepare_data")


@pytest.fixture
def prepared(prepare_data, load, tmp_path):
    """Run the script on `tmp_path / "raw"` and read back what it wrote."""

    def run(set_name, *options):
        out = tmp_path / "out"
        argv = [set_name, "--source", str(tmp_path / "raw"), "--out", str(out)]
        assert prepare_data.main([*argv, *options]) == 0
        return load("_data").load_entities(set_name, out)

    return run


@pytest.fixture
def raw(tmp_path):
    """Write a file of the source, whose folders come into being."""

    def write(name, content):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, np.ndarray):
            np.save(path, content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")

    return write


def table(n_rows, start=0.0, n_columns=2):
    """Numbers that say where they stand."""
    return start + np.arange(n_rows * n_columns, dtype=float).reshape(n_rows, -1) / 10


def csv(values, header=None, sep=","):
    lines = [sep.join(map(str, row)) for row in values.tolist()]
    return "\n".join([header, *lines] if header else lines) + "\n"


@pytest.fixture
def telemanom(raw):
    raw(
        "labeled_anomalies.csv",
        "chan_id,spacecraft,anomaly_sequences,class,num_values\n"
        'P-2,SMAP,"[[0, 1]]",[point],6\n'
        'E-2,SMAP,"[[1, 2], [4, 5]]","[contextual, point]",6\n'
        'E-10,SMAP,"[[3, 3]]",[point],6\n'
        'P-2,SMAP,"[[2, 3]]",[point],6\n'
        'M-1,MSL,"[[0, 0]]",[point],6\n',
    )
    for start, channel in enumerate(["P-2", "E-2", "E-10", "M-1"]):
        raw(f"train/{channel}.npy", table(4, 100 * start))
        raw(f"test/{channel}.npy", table(6, 1000 * start))


def test_smap_comes_in_the_order_of_the_literature(telemanom, prepared):
    first, second = prepared("smap", "--no-check")
    # Sorted as text; P-2, which the table lists twice, is left out.
    assert (first.name, second.name) == ("E-10", "E-2")
    np.testing.assert_array_equal(first.train, table(4, 200).astype(np.float32))
    np.testing.assert_array_equal(second.test, table(6, 1000).astype(np.float32))
    assert first.train.dtype == np.float32
    assert first.labels.dtype == np.uint8
    # Intervals include both ends.
    np.testing.assert_array_equal(first.labels, [0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(second.labels, [0, 1, 1, 0, 1, 1])


def test_msl_takes_the_other_channels(telemanom, prepared):
    assert [entity.name for entity in prepared("msl", "--no-check")] == ["M-1"]


@pytest.fixture
def smd(raw):
    for start, name in enumerate(["1-1", "1-10", "1-2", "2-1"]):
        raw(f"train/machine-{name}.txt", csv(table(3, start)))
        raw(f"test/machine-{name}.txt", csv(table(2, 10 * start)))
        raw(f"test_label/machine-{name}.txt", "0\n1\n")


def test_smd_comes_in_the_order_of_its_numbers(smd, prepared):
    entities = prepared("smd", "--no-check")
    numbers = [entity.name.removeprefix("machine-") for entity in entities]
    assert numbers == ["1-1", "1-2", "1-10", "2-1"]
    np.testing.assert_array_equal(entities[1].train, table(3, 2).astype(np.float32))
    np.testing.assert_array_equal(entities[2].test, table(2, 10).astype(np.float32))
    np.testing.assert_array_equal(entities[3].labels, [0, 1])


def test_only_some_entities(smd, prepared):
    names = ["machine-2-1", "machine-1-2"]
    entities = prepared("smd", "--entities", *names)
    assert [entity.name for entity in entities] == names[::-1]


@pytest.fixture
def psm(raw):
    raw("train.csv", "timestamp_(min),feature_0,feature_1\n0.0,0.5,\n1.0,,0.25\n")
    raw("test.csv", "timestamp_(min),feature_0,feature_1\n2,1,2\n3,3,4\n4,,6\n")
    raw("test_label.csv", "timestamp_(min),label\n2,0\n3,1\n4,1\n")


def test_psm_drops_the_time_and_fills_gaps_with_0(psm, prepared):
    (entity,) = prepared("psm", "--no-check")
    np.testing.assert_array_equal(entity.train, [[0.5, 0], [0, 0.25]])
    np.testing.assert_array_equal(entity.test, [[1, 2], [3, 4], [0, 6]])
    np.testing.assert_array_equal(entity.labels, [0, 1, 1])


def swat_as_published(raw):
    # A line of stages, spaces before names, another order of columns in the test.
    raw(
        "SWaT_Dataset_Normal_v1.csv",
        ",P1,P2,\n Timestamp, FIT101,LIT101 ,Normal/Attack\n"
        " 22/12/2015 4:30:00 PM,2.5,10,Normal\n 22/12/2015 4:30:01 PM,3.5,20,Normal\n",
    )
    raw(
        "SWaT_Dataset_Attack_v0.csv",
        " Timestamp,LIT101,FIT101,Normal/Attack\n"
        "28/12/2015,30,4.5,Normal\n28/12/2015,40,5.5,A ttack\n"
        "28/12/2015,50,6.5,Attack\n",
    )


def swat_from_a_spreadsheet(raw):
    raw(
        "SWaT_Dataset_Normal_v0.csv",
        "\ufeffTimestamp;FIT101;LIT101;Normal/Attack;\nx;2,5;10;Normal;\nx;3,5;20;Normal;\n",
    )
    raw(
        "SWaT_Dataset_Attack_v0.csv",
        "Timestamp;FIT101;LIT101;Normal/Attack\n"
        "x;4,5;30;Normal\nx;5,5;40;A ttack\nx;6,5;50;Attack\n",
    )


def swat_of_research_code(raw):
    raw("swat_train2.csv", "FIT101,LIT101,Normal/Attack\n2.5,10,0.0\n3.5,20,0.0\n")
    raw("swat2.csv", "FIT101,LIT101,Normal/Attack\n4.5,30,0\n5.5,40,1\n6.5,50,1\n")


@pytest.mark.parametrize(
    "write", [swat_as_published, swat_from_a_spreadsheet, swat_of_research_code]
)
def test_swat_is_read_in_each_of_its_forms(raw, prepared, write):
    write(raw)
    (entity,) = prepared("swat", "--no-check")
    np.testing.assert_array_equal(entity.train, [[2.5, 10], [3.5, 20]])
    np.testing.assert_array_equal(entity.test, [[4.5, 30], [5.5, 40], [6.5, 50]])
    np.testing.assert_array_equal(entity.labels, [0, 1, 1])


def old_pickle(array):
    """As NumPy 1 pickled it for Python 3.6: the module had another name."""
    content = pickle.dumps(array, protocol=3)
    assert b"numpy._core" in content or b"numpy.core" in content
    return content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def test_asd_reads_pickled_arrays(raw, prepared):
    for number in (10, 2):
        raw(f"omi-{number}_train.pkl", old_pickle(table(3, number)))
        raw(f"omi-{number}_test.pkl", pickle.dumps(table(2, 10 * number), protocol=4))
        raw(f"omi-{number}_test_label.pkl", old_pickle(np.array([[1.0], [0.0]])))
    first, second = prepared("asd", "--no-check")
    assert (first.name, second.name) == ("omi-2", "omi-10")
    np.testing.assert_array_equal(first.train, table(3, 2).astype(np.float32))
    np.testing.assert_array_equal(second.test, table(2, 100).astype(np.float32))
    np.testing.assert_array_equal(second.labels, [1, 0])


class Harmful:
    def __reduce__(self):
        return (exec, ("raise AssertionError('the pickle ran its code')",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Harmful()), r"builtins\.exec is not part of an array"),
        (pickle.dumps(np.array([Harmful()], dtype=object)), "not part of an array"),
        (pickle.dumps([1, 2]), "but a list"),
        (b"", "no pickled array"),
    ],
)
def test_asd_runs_no_code_of_a_pickle(raw, prepared, content, message):
    raw("omi-1_train.pkl", content)
    with pytest.raises(SystemExit, match=rf"omi-1_train\.pkl.*{message}"):
        prepared("asd", "--no-check")


@pytest.fixture
def skab(raw, load):
    features = load("_public").SKAB_FEATURES
    for start, name in enumerate(["valve1/2", "valve1/10", "other/1", "valve2/0"]):
        frame = pd.DataFrame(table(403, start, len(features)), columns=features)
        frame.insert(0, "datetime", "2020-03-09 10:14:33")
        frame["anomaly"] = (frame.index % 2).astype(float)
        frame["changepoint"] = 0.0
        raw(f"{name}.csv", frame.to_csv(sep=";", index=False))


def test_skab_learns_from_the_first_400_rows(skab, prepared):
    entities = prepared("skab", "--no-check")
    names = [entity.name for entity in entities]
    assert names == ["other/1", "valve1/10", "valve1/2", "valve2/0"]
    values = table(403, 2, 8).astype(np.float32)
    np.testing.assert_array_equal(entities[0].train, values[:400])
    np.testing.assert_array_equal(entities[0].test, values[400:])
    np.testing.assert_array_equal(entities[0].labels, [0, 1, 0])


def test_another_size_is_an_error_and_writes_nothing(psm, prepared, tmp_path):
    with pytest.raises(SystemExit) as error:
        prepared("psm")
    lines = str(error.value).splitlines()
    assert "not psm as published. Nothing was written." in lines[0]
    assert [line.strip() for line in lines[1:-1]] == [
        "columns: expected 25, got 2",
        "training rows: expected 132481, got 2",
        "test rows: expected 87841, got 3",
        "% anomalous: expected 27.8, got 66.7",
    ]
    assert "--no-check" in lines[-1]
    assert not (tmp_path / "out").exists()


def test_the_published_size_passes(psm, prepared, prepare_data, monkeypatch, capsys):
    right = ([1], [2], [5, 2], [3], [66.7])
    monkeypatch.setitem(prepare_data.PUBLISHED, "psm", right)
    assert len(prepared("psm")) == 1
    assert "as expected: sizes\n" in capsys.readouterr().out


def known(prepare_data):
    """Of two of the four machines: hashes of the bytes that should be there."""
    parts = [table(3, 2), table(3, 3)], [table(2, 20), table(2, 30)]
    train, test = (np.vstack(part).astype("<f4").tobytes() for part in parts)
    sums = [
        prepare_data.hashlib.sha256(content).hexdigest()
        for content in (train, test, bytes([0, 1, 0, 1]))
    ]
    return prepare_data.Known(("machine-1-2", "machine-2-1"), *sums)


def test_checksums_of_some_entities(smd, prepared, prepare_data, monkeypatch, capsys):
    monkeypatch.setitem(prepare_data.PUBLISHED, "smd", ([4], [2], None, None, None))
    monkeypatch.setitem(prepare_data.CHECKSUMS, "smd", known(prepare_data))
    assert len(prepared("smd")) == 4
    assert "sizes and checksums of 2 entities" in capsys.readouterr().out


def test_another_checksum_is_an_error(smd, raw, prepared, prepare_data, monkeypatch):
    monkeypatch.setitem(prepare_data.CHECKSUMS, "smd", known(prepare_data))
    raw("test/machine-1-2.txt", csv(table(2, 20.5)))
    selected = ["--entities", "machine-1-2", "machine-2-1"]
    with pytest.raises(SystemExit) as error:
        prepared("smd", *selected)
    assert "SHA-256 of test of machine-1-2, machine-2-1: expected" in str(error.value)
    assert "SHA-256 of train" not in str(error.value)
    assert len(prepared("smd", *selected, "--no-check")) == 2


def test_checksums_are_printed(psm, prepared, prepare_data, capsys):
    (entity,) = prepared("psm", "--no-check")
    out = capsys.readouterr().out
    for part in ("train", "test", "labels"):
        assert f"SHA-256 {prepare_data.sha256(getattr(entity, part))}" in out


def test_every_set_has_its_figures_and_instructions(prepare_data):
    assert prepare_data.READERS.keys() == prepare_data.PUBLISHED.keys()
    assert prepare_data.CHECKSUMS.keys() < prepare_data.PUBLISHED.keys()
    for set_name in prepare_data.READERS:
        assert set_name in prepare_data.__doc__


@pytest.mark.parametrize(
    ("set_name", "missing"),
    [
        ("smap", r"labeled_anomalies\.csv"),
        ("smd", r"train there is no file machine-\*-\*\.txt"),
        ("psm", r"train\.csv"),
        ("swat", r"none of SWaT_Dataset_Normal_v1\.csv"),
        ("asd", r"omi-\*_train\.pkl"),
        ("skab", r"other there is no file \*\.csv"),
    ],
)
def test_what_is_missing_is_named(prepared, set_name, missing):
    with pytest.raises(SystemExit, match=rf"{missing}(.|\n)*--help"):
        prepared(set_name)


def test_a_missing_channel_is_named(telemanom, prepared, tmp_path):
    (tmp_path / "raw/test/E-2.npy").unlink()
    with pytest.raises(SystemExit, match=r"no file .*E-2\.npy"):
        prepared("smap")


def test_what_is_there_is_not_overwritten(psm, prepared):
    prepared("psm", "--no-check")
    with pytest.raises(SystemExit, match=r"psm\.npz is there already"):
        prepared("psm", "--no-check")


def test_unknown_entity(smd, prepared):
    with pytest.raises(SystemExit, match=r"'machine-9-9'; there are machine-1-1,"):
        prepared("smd", "--entities", "machine-9-9")


CHANNELS = "chan_id,spacecraft,anomaly_sequences\n"
LABELS = "timestamp_(min),label\n"
SWAT = "FIT101,LIT101,Normal/Attack\n"


@pytest.mark.parametrize(
    ("set_name", "name", "content", "message"),
    [
        ("smap", "labeled_anomalies.csv", CHANNELS + 'E-2,SMAP,"[[4, 6]]"\n',
         r"E-2: the anomaly \[4, 6\] is not within the 6 rows"),
        ("smap", "labeled_anomalies.csv", CHANNELS, "no channel of SMAP"),
        ("smap", "labeled_anomalies.csv", CHANNELS[:19], "'anomaly_sequences'"),
        ("smap", "test/E-2.npy", np.zeros((6, 3)), r"shapes \(4, 2\) and \(6, 3\)"),
        ("psm", "test.csv", "time,a\n1,2\n", r"test\.csv has no column 'timestamp_"),
        ("psm", "test.csv", "timestamp_(min),a,b\n1,x,2\n", r"more than numbers.*'x'"),
        ("psm", "test_label.csv", LABELS + "2,0\n3,2\n4,1\n", "must be 0 or 1"),
        ("psm", "test_label.csv", LABELS + "2,0\n3,\n4,1\n", "must be 0 or 1"),
        ("psm", "test_label.csv", LABELS + "2,0\n", "of the 3 rows"),
        ("swat", "swat2.csv", "FIT101,Normal/Attack\n1,0\n", r"swat2.*'LIT101'"),
        ("swat", "swat2.csv", "FIT101,LIT101\n1,2\n", "no 'Normal/Attack'"),
        ("swat", "swat2.csv", SWAT + "1,2,Maybe\n", "must not be 'maybe'"),
        ("skab", "other/1.csv", "datetime;Current\n", "no column 'Accelerometer1RMS'"),
    ],
)  # fmt: skip
def test_other_content_is_an_error(
    raw, telemanom, psm, skab, prepared, set_name, name, content, message
):
    swat_of_research_code(raw)
    raw(name, content)
    with pytest.raises(SystemExit, match=message):
        prepared(set_name, "--no-check")
