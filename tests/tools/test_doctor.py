"""Everything that a run needs is looked at; what is missing has an advice."""

from argparse import Namespace
from collections import namedtuple

import pytest

from spinalprep.tools import doctor
from spinalprep.tools.main import main

pytestmark = pytest.mark.slow
Disk = namedtuple("Disk", "total used free")


def test_all_is_said_and_nothing_is_wrong(tmp_path, capsys) -> None:
    assert main(["doctor", "--template", "Generic", "-w", str(tmp_path / "a" / "work")]) == 0
    said = capsys.readouterr().err
    for what in (
        "weights cord",
        "template",
        "CPUs",
        "memory",
        "GPU",
        "networks",
        "scheduler",
        "work folder",
    ):
        assert f"  {what}: " in said
    assert not (tmp_path / "a").exists()


def test_what_is_missing_has_its_advice_and_its_exit_code(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(doctor, "free_gb", lambda: 1.5)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Disk(1, 1, 5_000_000))
    assert main(["doctor", "--template", "Generic", "-w", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "! memory: a participant needs 4.3 GB; ask for more" in said
    assert f"! work folder: less than 1 GB are free in {tmp_path}" in said
    assert "3 of these have to be fixed first" in said
    assert main(["doctor", "--template", str(tmp_path / "none"), "-w", str(tmp_path)]) == 6


def test_a_machine_without_a_place_for_temporary_files(tmp_path, monkeypatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(doctor.tempfile, "gettempdir", nowhere)
    first, second = doctor._disk(Namespace(work_dir=tmp_path))
    assert first.advice.startswith("set TMPDIR to a folder that can be written")
    assert (first.error.exit_code, second.advice) == (2, "")
