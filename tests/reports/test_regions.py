"""Tables by region as the page shows them."""

import numpy as np
import pandas as pd

from spinalprep.reports.regions import lesion_rows, lesion_shares, metric_rows


def shares() -> pd.DataFrame:
    rows = [
        (level, kind, region, side, lesion, value)
        for lesion in ("all", "1")
        for level, value in (("all", 2.0), ("C3", 4.0), ("C4", 0.0))
        for kind, region, side in (
            ("cord", "cord", "both"),
            ("column", "dorsal", "both"),
            ("column", "dorsal", "left"),
            ("tract", "WM left x", "left"),
        )
    ]
    names = ["vertebral_level", "kind", "region", "side", "lesion", "percent_of_region"]
    return pd.DataFrame(rows, columns=names).assign(lesion_mm3=1.0)


def test_levels_with_lesion_have_a_row() -> None:
    assert lesion_shares(shares()) == [{"level": "C3", "cord": "4", "dorsal": "4"}]
    assert lesion_shares(shares().assign(lesion_mm3=0.0)) == []
    assert lesion_shares(None) == []


def test_what_is_nowhere_known_has_no_column() -> None:
    table = pd.DataFrame({"lesion": [1], "volume_mm3": [12.345], "bridge_ventral_mm": [np.nan]})
    assert lesion_rows(table) == [{"lesion": "1", "volume (mm3)": "12.3"}]
    assert lesion_rows(None) == []
    big = lesion_rows(pd.DataFrame({"lesion": [1], "volume_mm3": [12345.6]}))
    assert big == [{"lesion": "1", "volume (mm3)": "12346"}]


def test_a_metric_has_one_table_for_all_and_one_by_level() -> None:
    table = shares().query("lesion == 'all'").rename(columns={"percent_of_region": "metric_map"})
    whole, levels = metric_rows(table.assign(metric_wa=1.5))
    assert [row["region"] for row in whole] == ["cord", "dorsal"]
    assert whole[0]["weighted mean"] == "1.50"
    assert [row["level"] for row in levels] == ["C3", "C4"]
