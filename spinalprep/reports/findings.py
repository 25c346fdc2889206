"""What was found in an image, in one line of words."""

from collections.abc import Iterable

import pandas as pd

from spinalprep.reports.facts import FailureFacts, SessionRunFacts
from spinalprep.reports.tables import short

WHOLE, UPPER_RANGE = "all", "C2-C3"
UPPER = ("C2", "C3")


def findings(
    run: SessionRunFacts,
    levels: pd.DataFrame | None,
    total: pd.DataFrame | None,
    lesions: pd.DataFrame | None,
    gates: pd.DataFrame | None,
) -> list[str]:
    """Return short sentences: area of the cord, lesions, levels, quality gates.

    Parameters
    ----------
    run : SessionRunFacts
    levels, total : DataFrame or None
        ``perlevel_morph`` and ``total_morph``.
    lesions : DataFrame or None
        ``label-lesion_morph``.
    gates : DataFrame or None
        ``desc-auto_qc``.

    Returns
    -------
    sentences : list of str
        Without a full stop.
    """
    said = [_area(levels, total), _lesions(run, lesions), _levels(run), _gates(gates)]
    return [sentence for sentence in said if sentence]


def failed(failures: Iterable[FailureFacts]) -> str:
    """Return which stages failed, nothing where none did."""
    stages = dict.fromkeys(failure.stage.replace("_", " ") for failure in failures)
    return f"failed: {', '.join(stages)}" if stages else ""


def _area(levels: pd.DataFrame | None, total: pd.DataFrame | None) -> str:
    """Return the area at C2-C3 where both are completely in view, else that of all slices."""
    if total is None:
        return ""
    rows = total[total["area_mm2"].notna()].set_index("vertebral_level")
    if UPPER_RANGE in rows.index:
        area = float(rows.loc[UPPER_RANGE, "area_mm2"])
        return f"cord area at {UPPER_RANGE} {area:.1f} mm²{_scores(levels)}"
    if WHOLE not in rows.index:
        return ""
    row = rows.loc[WHOLE]
    return f"mean cord area {float(row['area_mm2']):.1f} mm² over {short(row['slices'])} slices"


def _scores(levels: pd.DataFrame | None) -> str:
    """Return the z-scores of C2 and C3 in brackets, nothing where one is missing."""
    if levels is None or "area_z" not in levels:
        return ""
    upper = levels[levels["vertebral_level"].isin(UPPER)]
    if set(upper["vertebral_level"]) != set(UPPER) or upper["area_z"].isna().any():
        return ""
    scores = zip(upper["vertebral_level"], upper["area_z"].astype(float), strict=True)
    return f" ({', '.join(f'z at {level} {z:+.1f}' for level, z in scores)})"


def _lesions(run: SessionRunFacts, lesions: pd.DataFrame | None) -> str:
    """Return number, volume and levels of the lesions."""
    drawn = any(label.kind == "lesion" and label.used for label in run.labels)
    if not run.lesions_sought and not drawn:
        return "lesions were not segmented"
    if lesions is None or not len(lesions):
        return "no lesion"
    count, volume = len(lesions), float(lesions["volume_mm3"].sum())
    words = f"{count} lesion{'s' * (count > 1)}, {volume:.0f} mm³"
    known = list(dict.fromkeys(lesions["vertebral_level"].dropna().astype(str)))
    return f"{words}, at {', '.join(known)}" if known else words


def _levels(run: SessionRunFacts) -> str:
    """Return where the vertebral levels come from."""
    if run.level_source == "unknown":
        return "vertebral levels unknown"
    words = {
        "manual": "from manual disc labels",
        "hint": "from --level-hint",
        "hint+detected": "from --level-hint and detected discs",
        "detected": "from detected discs",
    }
    source, joint, image = run.level_source.partition(" in ")  # in another image of the session
    return f"vertebral levels {words.get(source, source)}{joint}{image}"


def _gates(gates: pd.DataFrame | None) -> str:
    """Return which quality gates warn or fail."""
    if gates is None or not len(gates):
        return ""
    raised = gates[gates["result"].isin(("WARN", "FAIL"))]
    if raised.empty:
        return "all quality gates pass"
    names = ", ".join(f"{row.metric} {row.result}" for row in raised.itertuples())
    return f"quality gates: {names}"
