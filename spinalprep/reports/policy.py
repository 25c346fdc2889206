"""What a page may load and run: nothing but what is in its own file."""

import base64
import hashlib


def content_policy(*scripts: str) -> str:
    """Return the content security policy of a page.

    Parameters
    ----------
    scripts : str
        What stands between the tags of its scripts, to the letter. Any other script, for example
        one that came in by a name in a table, does not run.

    Examples
    --------
    >>> content_policy("")[:60]
    "default-src 'none'; script-src 'sha256-47DEQpj8HBSa+/TImW+5J"
    """
    digests = [hashlib.sha256(script.encode("utf-8")).digest() for script in scripts]
    allowed = " ".join(f"'sha256-{base64.b64encode(one).decode('ascii')}'" for one in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
