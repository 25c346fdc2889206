"""The packed atlas lies once for all work folders where there is a place for templates."""

from pathlib import Path

import pytest

from spinalprep.app.graph_inputs import packed_folder
from spinalprep.settings import Settings


def settings(tmp_path: Path, worker: str = "local") -> Settings:
    return Settings(
        tmp_path, tmp_path, "participant", mem_gb=4.0, work_dir=tmp_path / "w", worker=worker
    )


def test_it_is_shared_where_templates_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINALPREP_CACHE", str(tmp_path / "cache"))
    assert packed_folder(settings(tmp_path)) == tmp_path / "w" / "templates"  # makes nothing
    (tmp_path / "cache").mkdir()
    assert packed_folder(settings(tmp_path)) == tmp_path / "cache" / "packed"
    assert packed_folder(settings(tmp_path, "slurm")) == tmp_path / "w" / "templates"


def test_the_home_folder_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPINALPREP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".cache").mkdir(parents=True)
    assert packed_folder(settings(tmp_path)) == tmp_path / "w" / "templates"
