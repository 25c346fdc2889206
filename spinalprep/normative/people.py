"""Tables of PAM50-normalized-metrics: people, and their cords on the slices of PAM50."""

from pathlib import Path

import pandas as pd

SITE = r"sub-([a-zA-Z]+)"  # labels begin with the site: sub-amu01


def read_people(folder: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read slices and people of one data set, everybody once.

    Parameters
    ----------
    folder : Path
        Holds ``<name>_participants.tsv`` and ``<name>_morph.tsv.gz``.
    name : str
        ``spine-generic_multi-subject``, ``whole-spine`` or ``VUIIS-MS``.

    Returns
    -------
    slices : DataFrame
        A row per person and slice: ``participant_id``, ``template_slice``, ``vertebral_level`` as
        a number, the measures, and ``compression_ratio``.
    people : DataFrame
        Of several sessions the first by name; with ``site``.
    """
    people = pd.read_csv(folder / f"{name}_participants.tsv", sep="\t", na_values=["n/a", "-"])
    slices = pd.read_csv(folder / f"{name}_morph.tsv.gz", sep="\t")
    if "session_id" in people:
        people = people.sort_values(["participant_id", "session_id"])
        people = people.drop_duplicates("participant_id")
        slices = slices.merge(people[["participant_id", "session_id"]])
    people = people.assign(site=people["participant_id"].str.extract(SITE)[0])
    slices = slices.rename(columns={"pam50_slice": "template_slice"})
    slices["compression_ratio"] = slices["diameter_ap_mm"] / slices["diameter_rl_mm"]
    return slices, people.reset_index(drop=True)
