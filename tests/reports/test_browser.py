"""The page of a participant in a browser: keys, toggles and the enlarged picture work."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from spinalprep.image import Image, save
from spinalprep.reports.facts import CoregFacts, ReportFacts, SessionRunFacts
from spinalprep.reports.participant import write_participant_report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
DRIVE = """
<script>
window.addEventListener("load", () => {
  const told = {errors: []};
  window.onerror = (message) => { told.errors.push(message); };
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
  told.fetched = performance.getEntriesByType("resource")
    .filter((entry) => !entry.name.startsWith("data:")).length;
  document.title = JSON.stringify(told);
});
</script></body>"""


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
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_pictures_keys_and_ratings(page: Path, tmp_path: Path) -> None:
    page.write_text(page.read_text().replace("</body>", DRIVE))
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = subprocess.run(
        [*command, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    told = json.loads(html.unescape(title[1]))
    assert told == {
        "errors": [],
        "open": True,
        "first": "7 · z 14.0 mm",
        "next": "6 · z 12.0 mm",
        "back": "7 · z 14.0 mm",
        "hidden": "no-lines no-letters",
        "closed": True,
        "mark": "fail",
        "mix": "1",
        "fetched": 0,
    }
