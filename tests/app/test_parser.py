"""Words become settings."""

import subprocess
import sys
from pathlib import Path

import pytest

from spinalprep.app.main import main
from spinalprep.app.parser import build_parser, parse
from spinalprep.errors import UsageError

WORDS = ["in", "out", "participant"]


def test_hyphens_and_underscores_are_the_same() -> None:
    words = ["in", "out", "participant", "--mem", "8"]  # by default what is free at the moment
    a = parse([*words, "--participant_label", "01", "--omp_nthreads=2"])
    b = parse([*words, "--participant-label", "sub-01", "--omp-nthreads=2"])
    assert a == b
    assert a.participant_label == ("01",)


@pytest.mark.parametrize(
    ("text", "gb"),
    [
        ("8", 8.0),
        ("8G", 8.0),
        ("8gb", 8.0),
        ("8 GB", 8.0),
        ("8000MB", 8.0),
        ("8000M", 8.0),
        ("8000", 8.0),  # $SLURM_MEM_PER_NODE
        ("8000000K", 8.0),
        ("500MB", 0.5),
        ("7.5", 7.5),
        ("999", 999.0),
        ("1000", 1.0),
        ("1T", 1000.0),
        ("1GiB", 1.073741824),
        ("8192Mi", 8.589934592),
    ],
)
def test_memory_units(text: str, gb: float) -> None:
    assert parse([*WORDS, "--mem", text]).mem_gb == pytest.approx(gb, rel=1e-12)


def test_threads_of_a_task() -> None:
    more = ["--nprocs", "3", "--omp-nthreads", "8"]
    assert parse([*WORDS, *more]).threads == 3
    assert parse([*WORDS, *more[:2]]).threads == 3
    assert parse([*WORDS, *more, "--reproducible"]).threads == 1


def test_flags_that_take_several_values_may_be_repeated() -> None:
    words = [*WORDS, "--participant-label", "01", "02", "--participant-label", "sub-03"]
    assert parse(words).participant_label == ("01", "02", "03")
    assert parse([*WORDS, "--skip", "n4", "--skip", "coreg"]).skip == ("n4", "coreg")
    both = parse([*WORDS, "--model", "cord=/a", "gm=/b", "--model", "discs=/c"])
    assert both.models == {"cord": Path("/a"), "gm": Path("/b"), "discs": Path("/c")}


def test_flags_may_stand_before_the_folders() -> None:
    more = ["--mem", "8", "--denoise", "--skip", "n4"]
    assert parse([*more, *WORDS]) == parse([*WORDS, *more])


@pytest.mark.parametrize(
    "line",
    [
        "in out participant --participant-label 01 02",
        "in out participant --participant-label=01,02",
        "--participant-label 01,02 in out participant",
        "--participant_label sub-01 sub-02 in out participant",
        "--participant 01 02 in out participant",  # abbreviated
        "in --participant-label 01 02 out participant",
        "in out --participant-label 01, 02 participant",
        "--participant-label 01 --participant-label 02 -- in out participant",
    ],
)
def test_labels_as_people_write_them(line: str) -> None:
    settings = parse(["--mem", "8", *line.split()])
    assert settings.participant_label == ("01", "02")
    assert settings == parse([*WORDS, "--participant-label", "01 02", "--mem", "8"])


def test_flags_with_several_values_may_stand_before_the_folders() -> None:
    more = ["--mem", "8", "--config-file", "c.toml", "--template", "Generic"]
    assert parse(["-d", "labels=/l", *WORDS]).derivatives == {"labels": Path("/l")}
    assert parse(["--nuisance", "age of onset", *WORDS]).nuisance == ("age of onset",)
    assert parse([*WORDS, "--skip", "n4,coreg"]).skip == ("n4", "coreg")
    assert parse([*WORDS, "--session-label", "participant", *more[:2]]).session_label == (
        "participant",
    )
    with pytest.raises(UsageError, match=r"c\.toml"):  # read; the folders are not its value
        parse([*more, "--participant-label", "01", *WORDS])


def test_an_empty_label_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("", ",", "sub-"):
        with pytest.raises(SystemExit, match="2"):
            parse([*WORDS, "--participant-label", label])
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "is not a label" in said


def test_paths_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/x")
    settings = parse([*WORDS, "-d", "labels=l", "--qc-gates", "~/g.json"])
    assert settings.bids_dir == tmp_path / "in"
    assert settings.work_dir == tmp_path / "work"
    assert settings.derivatives == {"labels": tmp_path / "l"}
    assert settings.qc_gates == Path("/home/x/g.json")


NOT_YET = ["--worker sge"]


@pytest.mark.parametrize("words", NOT_YET)
@pytest.mark.parametrize("level", ["participant", "group"])
def test_what_is_not_available_is_refused_before_any_work(
    words: str, level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    assert main([str(tmp_path / "in"), str(out), level, "-w", str(work), *words.split()]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{words} is not available" in said
    assert not out.exists()
    assert not work.exists()


def test_the_help_says_what_is_not_available() -> None:
    text = " ".join(build_parser().format_help().split())
    for words in NOT_YET:
        flag = words.split()[0]
        where = text.index(f" {flag}", text.index("positional arguments"))
        assert "not available yet" in text[where : text.index(" --", where + len(flag))]


def test_the_help_says_every_default() -> None:
    text = " ".join(build_parser().format_help().split())
    for said in ("P upper", "MM3 minimum", "N minimum number", "N number of permutations"):
        assert said in text
    for default in (
        "0.9",
        "3.0",
        "auto",
        "reference template",
        "90 % of the free memory",
        "./work",
    ):
        assert f"(default: {default}" in text


def test_reading_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys, spinalprep.app.main, spinalprep.app.parser as p; p.build_parser();"
        "p.parse(['in', 'out', 'participant']);"
        "print(*{'numpy', 'pandas', 'nibabel', 'pydra', 'bids', 'torch', 'ants'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_exit_codes(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    work = ["-w", str(tmp_path / "work")]
    assert main([str(tmp_path / "none"), out, "participant", *work]) == 4
    (tmp_path / "in" / "sub-01").mkdir(parents=True)
    (tmp_path / "in" / "dataset_description.json").write_text('{"Name": "x"}')
    assert main([str(tmp_path / "in"), out, "group", *work]) == 4
    assert main([str(tmp_path / "in"), out, "participant", "--worker", "sge"]) == 2
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


def test_classes_of_labels_have_a_structure_and_a_value() -> None:
    assert parse([*WORDS, "--label-values", "cord=1", "lesion=3"]).label_values == {
        "cord": 1,
        "lesion": 3,
    }
    for wrong in ("cord", "cord=", "cord=0", "cord=-1", "cord=1.5", "discs=3", "1=cord"):
        with pytest.raises(SystemExit, match="2"):
            parse([*WORDS, "--label-values", wrong])


def test_metrics_have_a_name_and_a_pattern() -> None:
    words = ["in", "out", "participant", "--metric", "FA=a/*_FA.nii.gz", "--metric", "MD=/b/*.nii"]
    assert parse(words).metrics == {"FA": "a/*_FA.nii.gz", "MD": "/b/*.nii"}
    for wrong in ("FA", "F-A=x", "=x", "FA="):
        with pytest.raises(SystemExit, match="2"):
            parse(["in", "out", "participant", "--metric", wrong])


@pytest.mark.parametrize("seed", ["-5", "2147483648", "99999999999999999999", "1.5"])
def test_a_seed_that_not_all_libraries_take_is_refused(seed: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["in", "out", "participant", f"--random-seed={seed}"])
    assert ended.value.code == 2
    assert seed in capsys.readouterr().err


def test_two_values_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="--label-values gives cord two values"):
        parse(["in", "out", "participant", "--label-values", "cord=1", "cord=2"])
    same = ["in", "out", "participant", "--label-values", "cord=1", "cord=1"]
    assert parse(same).label_values == {"cord": 1}
