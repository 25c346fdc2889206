"""One declaration: command line, help, configuration file and record of a run agree."""

import math
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from spinalprep.app.config import changed_settings, read_config, settings_toml
from spinalprep.app.options import options_of
from spinalprep.app.parser import build_parser, parse
from spinalprep.errors import UsageError
from spinalprep.flags import LARGEST_SEED, Flag
from spinalprep.settings import Settings

WORDS = ["/in", "/out", "participant"]
POSITIONAL = {"bids_dir", "out_dir", "level"}

# A value of every field that is not its default, and the words that ask for it.
ASKED: dict[str, tuple[Any, list[str]]] = {
    "lumbar": (True, ["--lumbar"]),
    "cord_model": ("ra-unet", ["--cord-model", "ra-unet"]),
    "participant_label": (("01", "x2"), ["--participant-label", "01", "sub-x2"]),
    "session_label": (("a",), ["--session-label", "ses-a"]),
    "bids_filter_file": (Path("/f.json"), ["--bids-filter-file", "/f.json"]),
    "derivatives": ({"labels": Path("/l")}, ["--derivatives", "labels=/l"]),
    "manual_labels": (False, ["--no-manual-labels"]),
    "label_values": ({"cord": 1, "gm": 3}, ["--label-values", "cord=1", "gm=3"]),
    "skip_bids_validation": (True, ["--skip-bids-validation"]),
    "bids_database_dir": (Path("/db"), ["--bids-database-dir", "/db"]),
    "reference_anat": ("T1w", ["--reference-anat", "T1w"]),
    "skip": (("n4", "lesion"), ["--skip", "n4", "--skip", "lesion"]),
    "denoise": (True, ["--denoise"]),
    "models": (
        {"cord": Path("/c é.safetensors"), "gm": Path("/g")},
        ["--model", "cord=/c é.safetensors", "gm=/g"],
    ),
    "metrics": (
        {"FA": 'a/*="x".nii.gz', "MD": "\\b\t🧠*"},
        ["--metric", 'FA=a/*="x".nii.gz', "--metric", "MD=\\b\t🧠*"],
    ),
    "lesion_fusion": ("union", ["--lesion-fusion", "union"]),
    "lesion_threshold": (0.7, ["--lesion-threshold", "0.7"]),
    "lesion_contrasts": (("T1w", "MTS"), ["--lesion-contrasts", "T1w", "MTS"]),
    "edge_contrasts": (("T1w", "MTS"), ["--edge-contrasts", "T1w", "MTS"]),
    "min_lesion_mm3": (2.5, ["--min-lesion-mm3", "2.5"]),
    "template": ("Generic", ["--template", "Generic"]),
    "level_hint": ("C3@z=5", ["--level-hint", "C3@z=5"]),
    "output_spaces": (("template", "T1w"), ["--output-spaces", "PAM50", "T1w"]),
    "random_seed": (3, ["--random-seed=3"]),
    "reproducible": (True, ["--reproducible"]),
    "pathology": ("tumor", ["--pathology", "tumor"]),
    "tumor_crop": ("cascade", ["--tumor-crop", "cascade"]),
    "tumor_threshold": (0.3, ["--tumor-threshold", "0.3"]),
    "edema_threshold": (0.4, ["--edema-threshold", "0.4"]),
    "min_tumor_cm3": (0.1, ["--min-tumor-cm3", "0.1"]),
    "min_edema_cm3": (0.0, ["--min-edema-cm3", "0"]),
    "min_cavity_cm3": (2.0, ["--min-cavity-cm3", "2"]),
    "nprocs": (97, ["--nprocs", "97"]),
    "omp_nthreads": (7, ["--omp-nthreads", "7"]),
    "mem_gb": (2048.1, ["--mem", "2048.1G"]),
    "device": ("cpu", ["--device", "cpu"]),
    "work_dir": (Path("/w"), ["--work-dir", "/w"]),
    "clean_workdir": ("first", ["--clean-workdir"]),
    "worker": ("debug", ["--worker", "debug"]),
    "sbatch_args": ("-p 'a b'", ["--sbatch-args", "-p 'a b'"]),
    "max_jobs": (7, ["--max-jobs", "7"]),
    "task_minutes": (1.5, ["--task-minutes", "1.5"]),
    "retries": (0, ["--retries", "0"]),
    "dry_run": (True, ["--dry-run"]),
    "reports_only": (True, ["--reports-only"]),
    "viewer": (False, ["--no-viewer"]),
    "boilerplate_only": (True, ["--boilerplate-only"]),
    "stop_on_first_crash": (True, ["--stop-on-first-crash"]),
    "sloppy": (True, ["--sloppy"]),
    "cohort_column": ("group", ["--cohort-column", "group"]),
    "person_column": ("person", ["--person-column", "person"]),
    "covariate": ("age", ["--covariate", "age"]),
    "nuisance": (("sex", "site"), ["--nuisance", "sex", "site"]),
    "min_n": (2, ["--min-n", "2"]),
    "exclude_yml": (Path("/x.yml"), ["--exclude-yml", "/x.yml"]),
    "allow_mixed": (True, ["--allow-mixed"]),
    "n_permutations": (100, ["--n-permutations", "100"]),
    "tfce": (True, ["--tfce"]),
    "qc_gates": (Path("/g.json"), ["--qc-gates", "/g.json"]),
    "fail_on_qc": (True, ["--fail-on-qc"]),
    "write_graph": (True, ["--write-graph"]),
    "resource_monitor": (True, ["--resource-monitor"]),
    "verbose": (2, ["-v", "-v"]),
    "log_json": (True, ["--log-json"]),
}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_field_is_a_flag_and_every_flag_a_field() -> None:
    named = {item.name for item in fields(Settings)}
    assert all(isinstance(item.metadata["flag"], Flag) for item in fields(Settings))
    assert set(ASKED) == named - POSITIONAL
    said = {action.dest for action in build_parser()._actions}
    assert said == named | {"help", "version", "config_file"}


@pytest.mark.parametrize("key", ASKED)
def test_words_and_file_give_every_field(key: str, tmp_path: Path) -> None:
    value, words = ASKED[key]
    plain = parse(WORDS)
    asked = parse([*WORDS, *words])
    assert getattr(asked, key) == value
    assert getattr(plain, key) != value
    assert replace(asked, mem_gb=1.0) == replace(plain, **({key: value} | {"mem_gb": 1.0}))
    config = written(tmp_path, settings_toml(asked))
    assert parse([*WORDS, "--config-file", str(config)]) == asked


def test_everything_at_once_comes_back(tmp_path: Path) -> None:
    asked = Settings(
        Path("/in"), Path("/out"), "participant", **{k: v for k, (v, _) in ASKED.items()}
    )
    config = written(tmp_path, settings_toml(asked))
    assert parse([*WORDS, "--config-file", str(config)]) == asked


@given(strategies.floats(1e-6, 1e9), strategies.floats(0, 1), strategies.integers(0, LARGEST_SEED))
def test_numbers_come_back_exactly(gb: float, share: float, seed: int) -> None:
    settings = Settings(
        Path("/in"),
        Path("/out"),
        "participant",
        mem_gb=gb,
        lesion_threshold=share,
        min_lesion_mm3=gb,
        random_seed=seed,
    )
    table = tomllib.loads(settings_toml(settings))
    options = {option.name: option for option in options_of(Settings)}
    for name in ("mem", "lesion-threshold", "min-lesion-mm3", "random-seed"):
        assert options[name].read(str(table[name])) == getattr(settings, options[name].key)


def test_the_record_names_the_folders_of_the_run() -> None:
    text = settings_toml(parse(['/in "1"\n', "/out", "group"]))
    assert text.splitlines()[1] == '# spinalprep "/in \\"1\\"\\n" "/out" "group"'
    tomllib.loads(text)


def test_words_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    config = written(
        tmp_path, 'lesion-threshold = 0.7\nskip = ["n4"]\nrandom_seed = 3\nverbose = 2\n'
    )
    words = [*WORDS, "--config-file", str(config)]
    assert parse(words).lesion_threshold == 0.7
    assert parse(words).skip == ("n4",)
    assert parse(words).random_seed == 3
    assert parse(words).verbose == 2
    assert parse([*words, "--random-seed", "5"]).random_seed == 5
    assert parse([*words, "--skip", "coreg"]).skip == ("coreg",)
    assert parse(words).min_n == 5


def test_a_single_value_and_words_of_pairs_are_understood(tmp_path: Path) -> None:
    config = written(tmp_path, 'participant-label = "sub-01"\nmodel = ["cord=/c"]\nmem = 8000\n')
    values = read_config(config)
    assert values == {
        "participant_label": ("01",),
        "models": {"cord": Path("/c")},
        "mem_gb": pytest.approx(8.0),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense = 1", "unknown keys: nonsense"),
        ("out-dir = 'x'", "unknown keys: out-dir"),
        ("config-file = 'x'", "unknown keys: config-file"),
        ("random-seed = 'x'", "random-seed = 'x': x is not a whole number"),
        ("random-seed = 1.5", "not a whole number"),
        ("nprocs = 0", "not a positive number"),
        ("denoise = 'false'", "expected true or false"),
        ("denoise = 1", "expected true or false"),
        ("template = true", "expected a string or a number"),
        ("template = ['PAM50']", "expected a string or a number"),
        ("reference-anat = 'T3w'", "expected auto, T2w, T1w, T2starw, MTS"),
        ("skip = ['n5']", "expected n4, coreg, lesion, template"),
        ("model = {cord = 1979-05-27}", "expected strings"),
        ("cord-model = 'x'", "cord-model = 'x': expected unet, ra-unet"),
        ("worker = 'sge'", "--worker sge is not available"),
        ("[[", "can't be read"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    config = written(tmp_path, text)
    with pytest.raises(UsageError, match=said) as caught:
        parse([*WORDS, "--config-file", str(config)])
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml can't be read"):
        parse([*WORDS, "--config-file", str(tmp_path / "none.toml")])


def test_the_memory_that_is_free_is_a_number() -> None:
    assert 0 < parse(WORDS).mem_gb < math.inf


def test_the_report_is_told_of_what_differs_from_the_defaults() -> None:
    assert changed_settings(parse(WORDS)) == {}
    asked = [*WORDS, "--skip", "n4", "--no-viewer", "--model", "cord=/c", "gm=/g"]
    assert changed_settings(parse(asked)) == {
        "skip": "n4",
        "model": "cord=/c gm=/g",
    }
