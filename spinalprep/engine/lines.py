"""What is said of a run in more than one place."""


def unchanged_line(session: str, hits: int) -> str:
    """Return the line of a session run of which nothing was computed."""
    return f"{session}: unchanged, {hits} results from the cache"
