"""Chromium without a window: opens a page, lets a script drive it, and returns what that says."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
FLAGS = ("--headless", "--no-sandbox", "--dump-dom", "--enable-logging=stderr", "--no-first-run")
WAIT_MS = 20_000  # of the browser's own clock, which does not wait for anything


class Driver(Protocol):
    """Runs a script in a page, see `_drive`."""

    def __call__(self, page: Path, script: str, *flags: str) -> tuple[dict[str, Any], list[str]]:
        """Return what the script tells, and the lines of the console."""
        ...


@pytest.fixture
def drive(tmp_path: Path) -> Driver:
    """Return what drives a page in Chromium; the test is skipped where there is none."""
    if BROWSER is None:
        pytest.skip("needs Chromium")

    def driver(page: Path, script: str, *flags: str) -> tuple[dict[str, Any], list[str]]:
        return _drive(page, script, tmp_path / "profile", *flags)

    return driver


def with_script(text: str, script: str) -> str:
    """Return a page that also runs a script, which its policy, if any, allows beside its own."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    inserted = f"<script>{script}</script>"
    if policy is None:
        return text.replace("<title", inserted + "<title", 1)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    more = policy[1].replace("script-src ", f"script-src &#39;sha256-{digest}&#39; ")
    return text.replace(policy[1], more, 1).replace("<title", inserted + "<title", 1)


def _drive(page: Path, script: str, profile: Path, *flags: str) -> tuple[dict[str, Any], list[str]]:
    """Run a script in a loaded page; it watches before anything of the page can run.

    Parameters
    ----------
    page : Path
    script : str
        Body of an async function that returns what is told; it gets ``until(condition)``.
    profile : Path
        Folder for the browser's own files.
    flags : str
        More flags of the browser.

    Returns
    -------
    told : dict
    console : list of str
        Lines of the browser's console.
    """
    driver = f"""
    window.seen = []; window.alert = (text) => window.seen.push("alert " + text);
    window.addEventListener("error", (event) => window.seen.push("error " + event.message));
    window.addEventListener("unhandledrejection", (event) => window.seen.push("error " + event.reason));
    window.addEventListener("securitypolicyviolation", (event) => window.seen.push("blocked " + event.blockedURI));
    const until = async (condition) => {{
      for (let n = 0; n < 300 && !condition(); n++) await new Promise((go) => setTimeout(go, 50));
      if (!condition()) throw Error("waited in vain for " + condition);
    }};
    window.addEventListener("load", async () => {{
      let told;
      try {{ told = await (async () => {{ {script} }})(); }} catch (error) {{ told = {{ failed: String(error) }}; }}
      const resources = performance.getEntriesByType("resource").map((entry) => entry.name);
      told.fetched = resources.filter((name) => !/^(data|blob):/.test(name));
      told.seen = window.seen;
      const out = document.createElement("pre");
      out.id = "told"; out.textContent = JSON.stringify(told); document.body.append(out);
    }});
    """  # noqa: E501
    driven = page.with_name(f"driven_{page.name}")
    driven.write_text(with_script(page.read_text(encoding="utf-8"), driver), encoding="utf-8")
    done = subprocess.run(
        [
            *(str(BROWSER), *FLAGS, *flags, f"--virtual-time-budget={WAIT_MS}"),
            *(f"--user-data-dir={profile}", driven.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return json.loads(html.unescape(found[1])), console
