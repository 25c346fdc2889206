"""What was done, in words that may be copied into a paper (CC0)."""

from spinalprep.bids.names import SHOWS_GM
from spinalprep.normative.calibration import load_calibration
from spinalprep.reports.facts import ReportFacts, SessionRunFacts

NETWORK = "a convolutional network trained on images with randomized contrast"
REFERENCES = {
    "N4": "Tustison et al. (2010), IEEE Trans. Med. Imaging 29:1310-1320",
    "ANTs": "Avants et al. (2011), NeuroImage 54:2033-2044",
    "OptiC": "Gros et al. (2018), Medical Image Analysis 44:215-227",
    "SynthSeg": "Billot et al. (2023), Medical Image Analysis 86:102789",
    "RA-U-Net": "Bueno et al. (2022), Journal of Digital Imaging 35:1131-1142",
    "Demons": "Vercauteren et al. (2009), NeuroImage 45:S61-S72",
    "PAM50": "De Leener et al. (2018), NeuroImage 165:170-179",
    "Bridges": "Huber et al. (2017), Annals of Neurology 81:740-748",
    "Unmixing": "Levy et al. (2015), NeuroImage 119:262-271",
    "SCT": "De Leener et al. (2017), NeuroImage 145:24-43",
    "Healthy": "Valosek et al. (2024), Imaging Neuroscience 2:1-15",
}


def methods_text(run: SessionRunFacts, facts: ReportFacts) -> tuple[str, list[str]]:
    """Return the methods of one reference image as it was run, and the references."""
    skipped = str(facts.settings.get("skip", ""))
    cited = ["SCT"]
    parts = [f"Images were processed with spinalprep {facts.version}."]
    parts.append(f"The {run.space} image was the reference.")
    if "n4" not in skipped:
        parts.append("Intensities were corrected for the bias field by N4 [N4].")
        cited.append("N4")
    drawn = {label.kind for label in run.labels if label.used}
    said, more = _segmented(run, drawn, {model.preset for model in facts.models})
    parts += said
    cited += more
    for contrast in run.contrasts:
        how = "registered to it around the cord, rigid and affine [ANTs]"
        if contrast.gain is None:  # not run yet
            how += ", if that increased similarity"
        elif not contrast.accepted:
            how = (
                "aligned to it by the headers, because registration [ANTs] did not increase "
                "similarity"
            )
        parts.append(f"The {contrast.frame or contrast.contrast} image was {how}.")
        cited.append("ANTs")
    parts.append(_levels(run))
    if facts.template_name:
        said, more = _registered(run, facts.template_name, drawn)
        parts += said
        cited += more
    parts.append(
        "Areas were measured in axial slices and corrected for the tilt of the cord [SCT]."
    )
    said, more = _measured(run, drawn)
    parts += said
    cited += more
    used = [name for name in REFERENCES if name in cited]
    return " ".join(parts), [f"[{name}] {REFERENCES[name]}" for name in used]


def _cord(drawn: set[str], presets: set[str]) -> tuple[list[str], list[str]]:
    """Return how the cord was found, and what is cited for it."""
    if "cord" in drawn:
        return ["The spinal cord was segmented manually."], []
    network, cited = f"{NETWORK} [SynthSeg]", ["SynthSeg"]
    if "ra_unet" in presets:
        network = (
            "a residual attention-aware U-Net [RA-U-Net] trained on images with randomized "
            "contrast [SynthSeg]"
        )
        cited.append("RA-U-Net")
    if "centerline" in drawn:
        how = f"The centerline was drawn manually; the cord was segmented along it by {network}."
    else:
        how = (
            "The centerline was found from the heat map of a network by global curve "
            f"optimization [OptiC]; the spinal cord was segmented along it by {network}, "
            "and the centerline was refitted through the center of the segmented cord."
        )
        cited.append("OptiC")
    carried = (
        "Where the image shows no outline of the cord and the segmented section was enlarged, "
        "that section was interpolated from those above and below."
    )
    return [how, carried], cited


def _segmented(
    run: SessionRunFacts, drawn: set[str], presets: set[str]
) -> tuple[list[str], list[str]]:
    """Return how cord, gray matter and lesions were found, and what is cited for it."""
    parts, cited = _cord(drawn, presets)
    if "gm" in drawn:
        parts.append("Gray matter was segmented manually.")
    elif run.space in SHOWS_GM:
        parts.append("Gray matter was segmented by a second network in axial slices.")
    if "lesion" in drawn:
        parts.append("Lesions were segmented manually.")
    elif run.lesions_sought:
        parts.append(
            f"Lesions were segmented by {NETWORK}, with synthetic lesions [SynthSeg], from each "
            "section and its difference from the median section within 30 mm; a lesion was "
            "kept if its contrast with the same positions of the cord above and below exceeded "
            "the variation between such positions."
        )
        cited.append("SynthSeg")
        if len(run.lesions_joined) > 1:
            parts.append(_joined(run))
    return parts, cited


def _joined(run: SessionRunFacts) -> str:
    """Return in which images lesions were looked for, and how they were joined."""
    how = (
        "those that overlapped or touched in the space of the reference were taken as one"
        if run.lesion_fusion == "union"
        else "the mean probability of the images that cover a place decided in the space of the "
        "reference"
    )
    return (
        f"Lesions were searched for in each of the images {', '.join(run.lesions_joined)} on its "
        f"own grid, along its own cord; {how}."
    )


def _levels(run: SessionRunFacts) -> str:
    """Return where the vertebral levels are from."""
    words = {
        "manual": "Vertebral levels were derived from manual disc labels.",
        "hint": (
            "Vertebral levels were derived from one landmark and the spacings of the template."
        ),
        "hint+detected": (
            "Vertebral levels were derived from one landmark and from discs "
            "detected by a network in the straightened mid-sagittal plane, "
            "combined over all possible numberings of the discs, given the known disc spacings."
        ),
        "detected": (
            "Discs were detected by a network in the straightened mid-sagittal plane "
            "and combined over all possible numberings of the discs, given the known disc "
            f"spacings; they were numbered from C2/C3 (probability {run.level_probability:.3f})."
        ),
    }
    if run.levels_seen_in:
        return (
            "Discs were detected by a network in the straightened mid-sagittal plane of the "
            f"session's {run.levels_seen_in} image and combined over all possible numberings of "
            "the discs, given the known disc spacings; they were numbered from C2/C3 (probability "
            f"{run.level_probability:.3f}), and transferred to the reference by scanner "
            "coordinates and the registration between the two images."
        )
    return words.get(run.level_source, "Vertebral levels were unknown.")


def _registered(run: SessionRunFacts, name: str, drawn: set[str]) -> tuple[list[str], list[str]]:
    """Return how the cord came to the template, and what is cited for it."""
    along = (
        "placing it at an arbitrary position along the template"
        if run.level_source == "unknown"
        else "aligning it along its length by vertebral levels"
    )
    text = (
        f"The cord was registered to the {name} template by straightening it, {along}, and "
        "matching position, rotation, size and outline in each section"
    )
    cited = ["PAM50"] if name == "PAM50" else []
    if run.space in SHOWS_GM or "gm" in drawn:
        text += "; gray matter guided a deformation in the axial plane [Demons]"
        cited.append("Demons")
    return [f"{text}."], cited


def _measured(run: SessionRunFacts, drawn: set[str]) -> tuple[list[str], list[str]]:
    """Return what is said of measures, and what is cited for it."""
    parts, cited = [], []
    if run.lesions_sought or "lesion" in drawn:
        parts.append(
            "Lesions were measured along and across the cord in the cord's own frame, with "
            "tissue bridges in the midsagittal plane [Bridges]."
        )
        cited.append("Bridges")
    if run.mt_ratio:
        parts.append(
            "The magnetization transfer ratio, 100 (off - on) / off, was computed in the cord "
            "from the images with and without the MT pulse, without bias field "
            "correction."
        )
    if run.metrics:
        parts.append(
            f"{', '.join(run.metrics)}: averages, maximum-likelihood and maximum a posteriori "
            "estimates were computed by region with partial volumes [Unmixing] [SCT]."
        )
        cited.append("Unmixing")
    if run.scored:
        parts.append(
            "Areas and diameters were expressed in standard deviations from healthy adults of the "
            "same sex [Healthy], after correction for the offset between the masks at each "
            f"level, as measured in {load_calibration().people} subjects."
        )
        cited.append("Healthy")
    return parts, cited


def citation(facts: ReportFacts) -> tuple[str, str]:
    """Return the methods of all reference images as Markdown, and the references as BibTeX."""
    texts: dict[str, list[str]] = {}
    for run in facts.runs:
        text, _ = methods_text(run, facts)
        texts.setdefault(text, []).append(run.prefix)
    cited = [name for name in REFERENCES if any(f"[{name}]" in text for text in texts)]
    parts = ["# Methods", "This text is in the public domain (CC0) and may be copied."]
    for text, prefixes in texts.items():
        parts += [text, f"({len(prefixes)} images: {', '.join(prefixes)})"]
    parts += ["# References", *(f"- [{name}] {REFERENCES[name]}" for name in cited)]
    entries = (f"@misc{{{name},\n  note = {{{REFERENCES[name]}}}\n}}\n" for name in cited)
    return "\n\n".join(parts) + "\n", "\n".join(entries)
