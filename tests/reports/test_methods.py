"""The methods in words: what was done, and only that."""

from pathlib import Path

from spinalprep.reports.facts import (
    CoregFacts,
    LabelFacts,
    ModelFacts,
    ReportFacts,
    SessionRunFacts,
)
from spinalprep.reports.methods import REFERENCES, methods_text

T1W = "sub-01/anat/sub-01_T1w.nii.gz"


def words(*drawn: str, contrasts: tuple[CoregFacts, ...] = ()) -> tuple[str, str]:
    labels = tuple(LabelFacts(f"{kind}.nii.gz", kind, used=True) for kind in drawn)
    run = SessionRunFacts("sub-01_MTS.nii.gz", contrasts, labels)
    text, references = methods_text(run, ReportFacts((run,), "spinalprep", "1.0", Path("bids")))
    return text, " ".join(references)


def test_centerline_is_what_it_was() -> None:
    found, cited = words()
    assert "refitted through the center of the segmented cord" in found
    assert "[OptiC]" in cited
    drawn, cited = words("centerline")
    assert "centerline was drawn manually" in drawn
    assert "OptiC" not in drawn + cited
    assert "segmented manually" in words("cord", "centerline")[0]


def test_images_of_the_reference_s_contrast_have_their_own_name() -> None:
    off = CoregFacts("MTS", True, 0.1, "sub-01_mt-off_MTS.nii.gz", "MTSmtoff")
    text, _ = words(contrasts=(off,))
    assert "The MTS image was the reference." in text
    assert "The MTSmtoff image was registered to it" in text


def test_healthy_people_are_cited_where_somebody_was_held_against_them() -> None:
    run = SessionRunFacts("sub-01_T2w.nii.gz", scored=True)
    facts = ReportFacts((run,), "spinalprep", "1.0", Path("bids"))
    text, references = methods_text(run, facts)
    assert "healthy adults of the same sex [Healthy], after correction" in text
    assert any("Valosek" in reference for reference in references)
    assert "Healthy" not in " ".join(words())


def test_every_reference_is_cited_and_nothing_else() -> None:
    for drawn in ((), ("cord",), ("cord", "lesion"), ("centerline", "gm")):
        found, cited = words(*drawn)
        for name in REFERENCES:
            assert (f"[{name}]" in found) == (f"[{name}]" in cited), (drawn, name)
    assert "Lesions were segmented manually" in words("cord", "lesion")[0]
    assert "Gray matter was segmented manually" in words("centerline", "gm")[0]


def test_unknown_levels_are_not_what_the_template_was_fitted_by() -> None:
    for source, said in (
        ("unknown", "an arbitrary position along the template"),
        ("manual", "aligning it along its length by vertebral levels"),
    ):
        run = SessionRunFacts("sub-01_T2w.nii.gz", level_source=source)
        facts = ReportFacts((run,), "spinalprep", "1.0", Path("bids"), template_name="PAM50")
        text, references = methods_text(run, facts)
        assert said in text
        assert "Demons" not in text + " ".join(references)  # T2w hides gray matter


def test_what_has_not_run_is_not_said_to_have_gained_nothing() -> None:
    assert (
        "if that increased similarity"
        in words(contrasts=(CoregFacts("T1w", False, None, T1W, "T1w"),))[0]
    )
    refused = words(contrasts=(CoregFacts("T1w", False, 0.0, T1W, "T1w"),))[0]
    assert "aligned to it by the headers" in refused


def test_another_network_of_the_cord_is_named_and_cited_where_it_was_used() -> None:
    said = {}
    for drawn in ((), ("centerline",), ("cord",)):
        labels = tuple(LabelFacts(f"{kind}.nii.gz", kind, used=True) for kind in drawn)
        run = SessionRunFacts("sub-01_T2w.nii.gz", labels=labels)
        models = (ModelFacts("mine", "1", "0" * 64, preset="ra_unet"),)
        facts = ReportFacts((run,), "spinalprep", "1.0", Path("bids"), models=models)
        text, references = methods_text(run, facts)
        said[drawn] = "residual attention-aware U-Net [RA-U-Net]" in text
        assert said[drawn] == any("Bueno" in reference for reference in references)
    assert said == {(): True, ("centerline",): True, ("cord",): False}
    assert "RA-U-Net" not in " ".join(words())
