"""The page of a participant in a browser: keys, toggles and the enlarged picture work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinalprep.image import Image, save
from spinalprep.reports.facts import CoregFacts, ReportFacts, SessionRunFacts
from spinalprep.reports.participant import write_participant_report

SCRIPT = """
  const told = {};
  const key = (name) => document.body.dispatchEvent(
    new KeyboardEvent("keydown", {key: name, bubbles: true}));
  const large = document.getElementById("large");
  const caption = () => large.querySelector("p").textContent;
  document.querySelector(".tiles .frame").click();
  told.open = large.open; told.first = caption();
  key("ArrowRight"); told.next = caption();
  key("ArrowLeft"); told.back = caption();
  key("o"); key("l"); told.hidden = document.body.className;
  large.querySelector("button").click(); told.closed = !large.open;
  const part = document.querySelector("section[data-part]");
  part.dispatchEvent(new Event("mouseenter")); key("f"); told.mark = part.dataset.mark;
  const slider = document.querySelector(".mix input");
  slider.closest("section").dispatchEvent(new Event("focusin")); key(" ");
  told.mix = slider.closest("section").style.getPropertyValue("--mix");
  const saved = [];
  HTMLAnchorElement.prototype.click = function () { saved.push(this.download, this.href); };
  document.getElementById("export").click();
  told.saved = saved[0]; told.blob = saved[1].startsWith("blob:");
  return told;"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Write the page of a cord of eight slices with a second contrast."""
    anat = tmp_path / "sub-01" / "anat"
    anat.mkdir(parents=True)
    data = np.zeros((30, 30, 8), np.float32)
    data[12:18, 13:17] = 1
    line = np.zeros_like(data)
    line[15, 15] = 1
    for name, values in (
        ("desc-preproc_T2w", data + 1),
        ("space-T2w_desc-preproc_T1w", 2 - data),
        ("space-T2w_label-SC_mask", data),
        ("space-T2w_label-centerline_mask", line),
    ):
        save(Image(values, np.diag([-1.0, 1.0, 2.0, 1.0])), anat / f"sub-01_{name}.nii.gz")
    moved = CoregFacts("T1w", True, 0.1, "sub-01/anat/sub-01_T1w.nii.gz", "T1w")
    run = SessionRunFacts("sub-01/anat/sub-01_T2w.nii.gz", (moved,))
    return write_participant_report(tmp_path, "01", ReportFacts((run,), "", "1.0", tmp_path))


@pytest.mark.slow
def test_pictures_keys_and_ratings(page: Path, drive: Any) -> None:
    told, console = drive(page, SCRIPT, "--disable-gpu")
    assert console == []
    assert told == {
        "seen": [],
        "open": True,
        "first": "7 · z 14.0 mm",
        "next": "6 · z 12.0 mm",
        "back": "7 · z 14.0 mm",
        "hidden": "no-lines no-letters",
        "closed": True,
        "mark": "fail",
        "mix": "1",
        "saved": "sub-01_marks.yml",
        "blob": True,
        "fetched": [],
    }


@pytest.mark.slow
def test_a_foreign_script_does_not_run(page: Path, drive: Any) -> None:
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</main>", "<script>window.ran = 1</script></main>"))
    waits = "await until(() => window.seen.length);"  # the browser tells of it when it has time
    told, _ = drive(page, f"{waits} return {{ ran: window.ran || 0 }};", "--disable-gpu")
    assert told["ran"] == 0
    assert told["seen"] == ["blocked inline"]
