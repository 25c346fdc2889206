"""What the user asks for: one declaration of every flag.

The command line, its help, the configuration file and ``spinalprep.toml``, the record of a run, all
follow from the fields of `Settings`.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from spinalprep.defaults import LESION_CONTRASTS, LESION_THRESHOLD, MIN_LESION_MM3, Contrast
from spinalprep.flags import (
    EVERY,
    absolute,
    argument,
    flag,
    gigabytes,
    label,
    named_path,
    named_pattern,
    not_negative,
    positive,
    share,
    space,
    volume,
)
from spinalprep.memory import count_cpus, free_gb

MEMORY_SHARE = 0.9  # of what is free
COLUMN = "column of participants.tsv"

Skippable = Literal["n4", "coreg", "lesion", "template"]


@dataclass(frozen=True)
class Settings:
    """Everything that the command line decides; a field is a flag (`spinalprep.flags.Flag`).

    ``None`` and what is empty stand for "not given"; paths are absolute.
    """

    bids_dir: Path = field(metadata=argument("the dataset: a folder with sub-*/"))
    out_dir: Path = field(metadata=argument("where derivatives and reports go"))
    level: Literal["participant", "group"] = field(metadata=argument("level of analysis"))

    participant_label: tuple[str, ...] = field(
        default=(), metadata=flag("BIDS", "only these people", read=label, metavar="LABEL")
    )
    session_label: tuple[str, ...] = field(
        default=(), metadata=flag("BIDS", "only these sessions", read=label, metavar="LABEL")
    )
    bids_filter_file: Path | None = field(
        default=None, metadata=flag("BIDS", "JSON of pybids filters", metavar="FILE")
    )
    derivatives: dict[str, Path] = field(
        default_factory=dict,
        metadata=flag(
            "BIDS",
            "labels=PATH: folder of manual masks",
            short="-d",
            read=named_path,
            metavar="NAME=PATH",
            default_text="BIDS_DIR/derivatives/labels",
        ),
    )
    manual_labels: bool = field(default=True, metadata=flag("BIDS", "ignore manual masks"))
    skip_bids_validation: bool = field(
        default=False, metadata=flag("BIDS", "don't look at file names")
    )
    bids_database_dir: Path | None = field(
        default=None, metadata=flag("BIDS", "keep the index here", metavar="DIR")
    )

    reference_anat: Literal["auto", Contrast] = field(
        default="auto",
        metadata=flag(
            "workflow", "contrast that the others are brought to; auto: the first that is there"
        ),
    )
    skip: tuple[Skippable, ...] = field(
        default=(), metadata=flag("workflow", "leave a stage out (repeatable)", one_each=True)
    )
    denoise: bool = field(default=False, metadata=flag("workflow", "non-local means before N4"))
    models: dict[str, Path] = field(
        default_factory=dict,
        metadata=flag(
            "workflow",
            "weights of your own for centerline, cord, gm, lesion or discs",
            name="model",
            read=named_path,
            metavar="NAME=PATH",
        ),
    )
    metrics: dict[str, str] = field(
        default_factory=dict,
        metadata=flag(
            "workflow",
            "measure these maps by region (repeatable); GLOB below BIDS_DIR, or absolute",
            name="metric",
            read=named_pattern,
            metavar="NAME=GLOB",
            one_each=True,
        ),
    )
    lesion_threshold: float = field(
        default=LESION_THRESHOLD,
        metadata=flag(
            "workflow",
            "least probability that a lesion reaches; it goes down to 0.6",
            read=share,
            metavar="P",
        ),
    )
    lesion_contrasts: tuple[Contrast, ...] = field(
        default=LESION_CONTRASTS,
        metadata=flag("workflow", "reference images of these contrasts are searched for lesions"),
    )
    min_lesion_mm3: float = field(
        default=MIN_LESION_MM3,
        metadata=flag("workflow", "smaller lesions are dropped", read=volume, metavar="MM3"),
    )
    template: str | None = field(
        default=None,
        metadata=flag(
            "workflow", "PAM50, Generic or a folder in PAM50's layout", metavar="NAME_OR_PATH"
        ),
    )
    level_hint: str | None = field(
        default=None,
        metadata=flag(
            "workflow", "C3@z=12.5 (mid-body) or C2/C3@z=20 (disc), RAS mm", metavar="HINT"
        ),
    )
    output_spaces: tuple[str, ...] = field(
        default=("reference", "template"),
        metadata=flag(
            "workflow",
            "reference (always), template, and contrasts (T1w...) that masks are brought back to",
            read=space,
            metavar="SPACE",
        ),
    )
    random_seed: int = field(
        default=0, metadata=flag("workflow", "of everything that draws numbers", metavar="N")
    )
    reproducible: bool = field(
        default=False, metadata=flag("workflow", "same numbers for any number of threads")
    )

    cord_model: str | None = field(
        default=None,
        metadata=flag(
            "other networks", "another architecture for the cord", metavar="NAME", not_yet=EVERY
        ),
    )
    lumbar: bool = field(
        default=False,
        metadata=flag("other networks", "multi-class lumbar segmentation", not_yet=EVERY),
    )
    pathology: Literal["tumor"] | None = field(
        default=None, metadata=flag("other networks", "tumour, edema and cavity", not_yet=EVERY)
    )

    nprocs: int = field(
        default_factory=count_cpus,
        metadata=flag("resources", "CPUs in all", read=positive, metavar="N", default_text="all"),
    )
    omp_nthreads: int = field(
        default=4,
        metadata=flag(
            "resources", "threads of one task, no more than --nprocs", read=positive, metavar="N"
        ),
    )
    mem_gb: float = field(
        default_factory=partial(free_gb, MEMORY_SHARE),
        metadata=flag(
            "resources",
            "memory: 8G, 8GB or 8000MB; a bare number is GB, from 1000 on MB (as SLURM counts)",
            name="mem",
            read=gigabytes,
            write="{!r}GB".format,
            metavar="SIZE",
            default_text="90 % of what is free",
        ),
    )
    device: Literal["auto", "cpu", "cuda"] = field(
        default="auto",
        metadata=flag("resources", "where networks run; auto: the processor", not_yet=("cuda",)),
    )
    work_dir: Path = field(
        default_factory=partial(absolute, "work"),
        metadata=flag(
            "resources", "where the cache lives", short="-w", metavar="DIR", default_text="./work"
        ),
    )
    clean_workdir: bool = field(default=False, metadata=flag("resources", "empty the cache first"))
    worker: Literal["local", "slurm", "debug"] = field(
        default="local",
        metadata=flag(
            "resources",
            "what runs the tasks: processes of this machine, or this process alone (debug)",
            not_yet=("slurm",),
        ),
    )
    retries: int = field(
        default=1, metadata=flag("resources", "of a killed task", read=not_negative, metavar="N")
    )

    dry_run: bool = field(
        default=False, metadata=flag("subset", "print every node: hit or miss, and why")
    )
    reports_only: bool = field(
        default=False, metadata=flag("subset", "write the reports anew from the derivatives")
    )
    boilerplate_only: bool = field(
        default=False, metadata=flag("subset", "write the methods text only")
    )
    stop_on_first_crash: bool = field(
        default=False, metadata=flag("subset", "don't go on with the others")
    )
    sloppy: bool = field(default=False, metadata=flag("subset", "fast and rough, for tests"))

    cohort_column: str | None = field(
        default=None,
        metadata=flag("group", f"{COLUMN}: a map for each of its values", metavar="NAME"),
    )
    person_column: str | None = field(
        default=None,
        metadata=flag("group", f"{COLUMN}: who it is, to count people once", metavar="NAME"),
    )
    covariate: str | None = field(
        default=None,
        metadata=flag("group", f"{COLUMN}: number whose slope is tested", metavar="NAME"),
    )
    nuisance: tuple[str, ...] = field(
        default=(), metadata=flag("group", "columns whose influence is removed", metavar="NAME")
    )
    min_n: int = field(
        default=5, metadata=flag("group", "people a voxel needs", read=positive, metavar="N")
    )
    exclude_yml: Path | None = field(
        default=None, metadata=flag("group", "marks exported from the reports", metavar="FILE")
    )
    allow_mixed: bool = field(
        default=False, metadata=flag("group", "count results of several versions together")
    )
    n_permutations: int = field(
        default=5000, metadata=flag("group", "shuffles of a test", read=positive, metavar="N")
    )
    tfce: bool = field(
        default=False, metadata=flag("group", "threshold-free cluster enhancement too (slow)")
    )

    qc_gates: Path | None = field(
        default=None, metadata=flag("other", "thresholds of the quality gates", metavar="FILE")
    )
    fail_on_qc: bool = field(default=False, metadata=flag("other", "exit 3 when a gate says FAIL"))
    write_graph: bool = field(default=False, metadata=flag("other", "save the graph as a dot file"))
    resource_monitor: bool = field(
        default=False,
        metadata=flag(
            "other", "record memory and CPUs of the whole run, second by second, in logs/"
        ),
    )
    verbose: int = field(
        default=0, metadata=flag("other", "more on the screen", short="-v", counted=True)
    )
    log_json: bool = field(
        default=False, metadata=flag("other", "one JSON object a line instead of text")
    )

    @property
    def threads(self) -> int:
        """Threads of one task: no more than CPUs, and one where numbers have to repeat."""
        return 1 if self.reproducible else min(self.omp_nthreads, self.nprocs)

    def seeks_lesions(self, contrast: str) -> bool:
        """Tell whether a network looks for lesions in reference images of a contrast."""
        return "lesion" not in self.skip and contrast in self.lesion_contrasts
