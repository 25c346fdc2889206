"""Words become settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from spinalprep.app.main import main
from spinalprep.app.parser import parse
from spinalprep.app.watch import settings_toml
from spinalprep.errors import UsageError


def test_hyphens_and_underscores_are_the_same() -> None:
    words = ["in", "out", "participant", "--mem", "8"]  # by default what is free at the moment
    a = parse([*words, "--participant_label", "01", "--omp_nthreads=2"])
    b = parse([*words, "--participant-label", "sub-01", "--omp-nthreads=2"])
    assert a == b
    assert a.participant_label == ("01",)


def test_config_file_gives_defaults_and_words_win(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('lesion-threshold = 0.7\nskip = ["n4"]\nrandom_seed = 3\n')
    words = ["in", "out", "participant", "--config-file", str(config)]
    assert parse(words).lesion_threshold == 0.7
    assert parse(words).skip == ("n4",)
    assert parse([*words, "--random-seed", "5"]).random_seed == 5


@pytest.mark.parametrize("text", ["nonsense = 1", "random-seed = 'x'", "[["])
def test_bad_config_is_refused(tmp_path: Path, text: str) -> None:
    config = tmp_path / "c.toml"
    config.write_text(text)
    with pytest.raises(UsageError):
        parse(["in", "out", "participant", "--config-file", str(config)])


@pytest.mark.parametrize(("text", "gb"), [("8", 8.0), ("8GB", 8.0), ("500MB", 0.5), ("1T", 1000.0)])
def test_memory_units(text: str, gb: float) -> None:
    assert parse(["in", "out", "participant", "--mem", text]).mem_gb == pytest.approx(gb)


def test_reproducible_means_one_thread() -> None:
    settings = parse(["in", "out", "participant", "--reproducible", "--omp-nthreads", "4"])
    assert settings.omp_nthreads == 1


def test_exit_codes(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    work = ["-w", str(tmp_path / "work")]
    assert main([str(tmp_path / "none"), out, "participant", *work]) == 4
    (tmp_path / "in" / "sub-01").mkdir(parents=True)
    (tmp_path / "in" / "dataset_description.json").write_text('{"Name": "x"}')
    assert main([str(tmp_path / "in"), out, "group", *work]) == 4
    assert main([str(tmp_path / "in"), out, "participant", "--lumbar"]) == 2
    assert main([str(tmp_path / "in"), out, "participant", *work]) == 4


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--mem", "much"),
        ("--mem", "nan"),
        ("--nprocs", "x"),
        ("--nprocs", "0"),
        ("--lesion-threshold", "7"),
        ("--min-lesion-mm3", "-1"),
        ("--min-lesion-mm3", "small"),
        ("--nonsense", "1"),
    ],
)
def test_a_bad_value_is_one_line(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(["in", "out", "participant", flag, value])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert flag in said
    assert value in said
    assert "invalid" not in said  # argparse names a function of ours there


def test_a_table_of_gates_is_read_before_any_work(tmp_path: Path) -> None:
    work, out = ["-w", str(tmp_path / "work")], tmp_path / "out"
    gates = ["--qc-gates", str(tmp_path / "none.json")]
    assert main([str(tmp_path), str(out), "participant", *work, *gates]) == 2
    assert not out.exists()


def test_metrics_have_a_name_and_a_pattern() -> None:
    words = ["in", "out", "participant", "--metric", "FA=a/*_FA.nii.gz", "--metric", "MD=/b/*.nii"]
    assert parse(words).metrics == {"FA": "a/*_FA.nii.gz", "MD": "/b/*.nii"}
    for wrong in ("FA", "F-A=x", "=x", "FA="):
        with pytest.raises(SystemExit, match="2"):
            parse(["in", "out", "participant", "--metric", wrong])


def test_the_settings_of_a_run_can_be_read_back(tmp_path: Path) -> None:
    words = ["in", "out", "participant"]
    more = "--lesion-threshold 0.7 --skip n4 --denoise --model cord=/w/c.safetensors --metric FA=*"
    rest = "--output-spaces template T1w -d labels=/l --level-hint C3@z=5 --no-manual-labels"
    config = tmp_path / "spinalprep.toml"
    for given in (
        parse(words),
        parse([*words, *more.split(), *rest.split(), "--qc-gates", "/g.json", "--nprocs", "2"]),
    ):
        config.write_text(settings_toml(given))
        read = parse([*words, "--config-file", str(config)])
        assert replace(read, mem_gb=given.mem_gb) == given
