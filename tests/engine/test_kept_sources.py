"""What is kept of sources between runs is what reading them anew gives, and goes with an edit."""

from pathlib import Path

from spinalprep.engine.kept_sources import KeptSources

KNOWN = ("0" * 64, ("numpy", "spinalprep.image"))


def kept(folder: Path) -> KeptSources:
    store = KeptSources()
    store.open(folder)
    return store


def test_what_was_read_is_found_by_the_next_run(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    first = kept(tmp_path / "sources")
    assert first.find(source, "p") is None
    first.add(source, "p", KNOWN)
    first.write()
    assert kept(tmp_path / "sources").find(source, "p") == KNOWN
    assert kept(tmp_path / "sources").find(source, "q") is None  # relative imports differ


def test_an_edit_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    first = kept(tmp_path / "sources")
    first.add(source, "p", KNOWN)
    first.write()
    source.write_text("x = 2\n")
    assert kept(tmp_path / "sources").find(source, "p") is None


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    first = kept(tmp_path / "sources")
    first.add(source, "p", KNOWN)
    first.write()
    (file,) = (tmp_path / "sources").glob("*.json")
    file.write_text(file.read_text()[:30])
    again = kept(tmp_path / "sources")
    assert again.find(source, "p") is None
    again.add(source, "p", KNOWN)
    again.write()
    assert kept(tmp_path / "sources").find(source, "p") == KNOWN


def test_nothing_is_kept_where_no_folder_is_open(tmp_path: Path) -> None:
    store = KeptSources()
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    store.add(source, "p", KNOWN)
    store.write()
    assert list(tmp_path.iterdir()) == [source]


def test_what_another_process_has_read_since_is_found(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    mine, other = kept(tmp_path / "sources"), kept(tmp_path / "sources")
    other.add(source, "p", KNOWN)
    other.write()
    assert mine.find(source, "p") is None
    mine.open(tmp_path / "sources")
    assert mine.find(source, "p") == KNOWN
