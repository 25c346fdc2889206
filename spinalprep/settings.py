"""What the user asks for: one declaration of every flag.

The command line, its help, the configuration file and ``spinalprep.toml``, the record of a run, all
follow from the fields of `Settings`.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from spinalprep.defaults import (
    EDEMA_THRESHOLD,
    EDGE_CONTRASTS,
    LESION_CONTRASTS,
    LESION_THRESHOLD,
    MIN_CAVITY_CM3,
    MIN_EDEMA_CM3,
    MIN_LESION_MM3,
    MIN_TUMOR_CM3,
    TUMOR_THRESHOLD,
    Contrast,
    CordModel,
    EdgeContrast,
    LesionFusion,
    TumorCrop,
)
from spinalprep.flags import (
    CLASS_VALUES,
    EDEMA_SHARE,
    EDGE,
    FUSION,
    LESION_SHARE,
    SEED,
    TUMOR_SHARE,
    absolute,
    argument,
    cm3,
    flag,
    gigabytes,
    label,
    minutes,
    named_path,
    named_pattern,
    not_negative,
    positive,
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

    bids_dir: Path = field(metadata=argument("BIDS dataset: a folder with sub-*/"))
    out_dir: Path = field(metadata=argument("output folder for derivatives and reports"))
    level: Literal["participant", "group"] = field(metadata=argument("level of analysis"))

    participant_label: tuple[str, ...] = field(
        default=(),
        metadata=flag(
            "BIDS", "process only these participants: 01 02 or 01,02", read=label, metavar="LABEL"
        ),
    )
    session_label: tuple[str, ...] = field(
        default=(),
        metadata=flag("BIDS", "process only these sessions", read=label, metavar="LABEL"),
    )
    bids_filter_file: Path | None = field(
        default=None,
        metadata=flag("BIDS", "JSON file with pybids filters per contrast", metavar="FILE"),
    )
    derivatives: dict[str, Path] = field(
        default_factory=dict,
        metadata=flag(
            "BIDS",
            "labels=PATH: folder with manual masks",
            short="-d",
            read=named_path,
            metavar="NAME=PATH",
            default_text="BIDS_DIR/derivatives/labels",
        ),
    )
    manual_labels: bool = field(default=True, metadata=flag("BIDS", "ignore manual masks"))
    label_values: dict[str, int] = field(default_factory=dict, metadata=CLASS_VALUES)
    skip_bids_validation: bool = field(
        default=False, metadata=flag("BIDS", "do not check file names against BIDS")
    )
    bids_database_dir: Path | None = field(
        default=None,
        metadata=flag("BIDS", "folder in which the index of the dataset is kept", metavar="DIR"),
    )

    reference_anat: Literal["auto", Contrast] = field(
        default="auto",
        metadata=flag(
            "workflow",
            "reference contrast, to which the others are registered; auto: the first available",
        ),
    )
    skip: tuple[Skippable, ...] = field(
        default=(), metadata=flag("workflow", "skip a stage (repeatable)", one_each=True)
    )
    denoise: bool = field(
        default=False, metadata=flag("workflow", "denoise with non-local means before N4")
    )
    models: dict[str, Path] = field(
        default_factory=dict,
        metadata=flag(
            "workflow",
            "your own weights for centerline, cord, gm, lesion or discs",
            name="model",
            read=named_path,
            metavar="NAME=PATH",
        ),
    )
    metrics: dict[str, str] = field(
        default_factory=dict,
        metadata=flag(
            "workflow",
            "measure these maps by region (repeatable); GLOB is relative to BIDS_DIR, or absolute",
            name="metric",
            read=named_pattern,
            metavar="NAME=GLOB",
            one_each=True,
        ),
    )
    edge_contrasts: tuple[EdgeContrast, ...] = field(default=EDGE_CONTRASTS, metadata=EDGE)
    lesion_threshold: float = field(default=LESION_THRESHOLD, metadata=LESION_SHARE)
    lesion_contrasts: tuple[Contrast, ...] = field(
        default=LESION_CONTRASTS,
        metadata=flag("workflow", "contrasts of reference images in which lesions are segmented"),
    )
    lesion_fusion: LesionFusion = field(default="auto", metadata=FUSION)
    min_lesion_mm3: float = field(
        default=MIN_LESION_MM3,
        metadata=flag("workflow", "minimum volume of a lesion", read=volume, metavar="MM3"),
    )
    template: str | None = field(
        default=None,
        metadata=flag(
            "workflow",
            "PAM50, Generic, or a folder with the layout of PAM50",
            metavar="NAME_OR_PATH",
        ),
    )
    level_hint: str | None = field(
        default=None,
        metadata=flag(
            "workflow",
            "position of a level in RAS mm: C3@z=12.5 (mid-body) or C2/C3@z=20 (disc)",
            metavar="HINT",
        ),
    )
    output_spaces: tuple[str, ...] = field(
        default=("reference", "template"),
        metadata=flag(
            "workflow",
            "grids of the outputs: reference (always), template, contrasts (T1w...)",
            read=space,
            metavar="SPACE",
        ),
    )
    random_seed: int = field(default=0, metadata=SEED)
    reproducible: bool = field(
        default=False, metadata=flag("workflow", "identical results for any number of threads")
    )

    cord_model: CordModel = field(
        default="unet",
        metadata=flag(
            "other networks",
            "packaged network for the cord; ra-unet (Bueno et al. 2022) is less accurate here",
        ),
    )
    lumbar: bool = field(
        default=False,
        metadata=flag("other networks", "experimental: also segment a lumbar spine in T2w and T1w"),
    )
    pathology: Literal["tumor"] | None = field(
        default=None,
        metadata=flag(
            "other networks",
            "experimental: also search T2w and Gd-T1w for an intramedullary tumor, edema, cavities",
        ),
    )
    tumor_crop: TumorCrop = field(
        default="centerline",
        metadata=flag(
            "other networks",
            "crop to 30 mm around the centerline, to the cord found by a separate network "
            "(cascade), or not at all",
        ),
    )
    tumor_threshold: float = field(default=TUMOR_THRESHOLD, metadata=TUMOR_SHARE)
    edema_threshold: float = field(default=EDEMA_THRESHOLD, metadata=EDEMA_SHARE)
    min_tumor_cm3: float = field(
        default=MIN_TUMOR_CM3,
        metadata=flag("other networks", "minimum volume of a tumor", read=cm3, metavar="CM3"),
    )
    min_edema_cm3: float = field(
        default=MIN_EDEMA_CM3,
        metadata=flag("other networks", "minimum volume of edema", read=cm3, metavar="CM3"),
    )
    min_cavity_cm3: float = field(
        default=MIN_CAVITY_CM3,
        metadata=flag("other networks", "minimum volume of a cavity", read=cm3, metavar="CM3"),
    )

    nprocs: int = field(
        default_factory=count_cpus,
        metadata=flag(
            "resources", "number of CPUs", read=positive, metavar="N", default_text="all"
        ),
    )
    omp_nthreads: int = field(
        default=4,
        metadata=flag(
            "resources", "threads per task, at most --nprocs", read=positive, metavar="N"
        ),
    )
    mem_gb: float = field(
        default_factory=partial(free_gb, MEMORY_SHARE),
        metadata=flag(
            "resources",
            "memory limit: 8G, 8GB or 8000MB; bare numbers are GB, from 1000 on MB (as in SLURM)",
            name="mem",
            read=gigabytes,
            write="{!r}GB".format,
            metavar="SIZE",
            default_text="90 % of the free memory",
        ),
    )
    device: Literal["auto", "cpu", "cuda"] = field(
        default="auto",
        metadata=flag("resources", "device for the networks; auto: a GPU that torch sees, or CPU"),
    )
    work_dir: Path = field(
        default_factory=partial(absolute, "work"),
        metadata=flag(
            "resources", "folder of the cache", short="-w", metavar="DIR", default_text="./work"
        ),
    )
    clean_workdir: Literal["never", "first", "on-success"] = field(
        default="never",
        metadata=flag(
            "resources",
            "delete the cache of the selected participants first (flag alone), or that of "
            "each participant who has finished (on-success)",
            bare="first",
        ),
    )
    worker: Literal["local", "slurm", "debug", "sge", "dask", "psij"] = field(
        default="local",
        metadata=flag(
            "resources",
            "how tasks are run: in worker processes, as SLURM jobs, or in this process (debug)",
            not_yet=("sge", "dask", "psij"),  # sge: never seen at work; pydra 1.0a12 has no others
        ),
    )
    sbatch_args: str = field(
        default="",
        metadata=flag(
            "resources", "additional sbatch arguments for --worker slurm, quoted", metavar="ARGS"
        ),
    )
    max_jobs: int = field(
        default=100,
        metadata=flag(
            "resources",
            "maximum number of pending and running jobs with --worker slurm",
            read=positive,
            metavar="N",
        ),
    )
    retries: int = field(
        default=1,
        metadata=flag(
            "resources", "number of retries of a killed task", read=not_negative, metavar="N"
        ),
    )
    task_minutes: float = field(
        default=120.0,
        metadata=flag(
            "resources",
            "time limit of a task; one that exceeds it is considered hung and is killed",
            read=minutes,
            metavar="MIN",
        ),
    )

    dry_run: bool = field(
        default=False,
        metadata=flag("subset", "list every task and whether its result is cached; if not, why"),
    )
    reports_only: bool = field(
        default=False, metadata=flag("subset", "only rebuild the reports from existing derivatives")
    )
    viewer: bool = field(
        default=True,
        metadata=flag("subset", "write no *_viewer.html beside the reports (about 2 MB each)"),
    )
    boilerplate_only: bool = field(
        default=False, metadata=flag("subset", "only write the methods text")
    )
    stop_on_first_crash: bool = field(
        default=False, metadata=flag("subset", "stop when a participant fails")
    )
    sloppy: bool = field(default=False, metadata=flag("subset", "fast and inaccurate, for tests"))

    cohort_column: str | None = field(
        default=None,
        metadata=flag("group", f"{COLUMN} that defines cohorts: one map per value", metavar="NAME"),
    )
    person_column: str | None = field(
        default=None,
        metadata=flag(
            "group", f"{COLUMN}: identifies people, so that each counts once", metavar="NAME"
        ),
    )
    covariate: str | None = field(
        default=None,
        metadata=flag("group", f"{COLUMN}: numeric variable whose slope is tested", metavar="NAME"),
    )
    nuisance: tuple[str, ...] = field(
        default=(),
        metadata=flag("group", f"{COLUMN}: variables to regress out", metavar="NAME"),
    )
    min_n: int = field(
        default=5,
        metadata=flag(
            "group", "minimum number of participants per voxel", read=positive, metavar="N"
        ),
    )
    exclude_yml: Path | None = field(
        default=None, metadata=flag("group", "ratings exported from the reports", metavar="FILE")
    )
    allow_mixed: bool = field(
        default=False, metadata=flag("group", "combine results of different versions")
    )
    n_permutations: int = field(
        default=5000, metadata=flag("group", "number of permutations", read=positive, metavar="N")
    )
    tfce: bool = field(
        default=False,
        metadata=flag("group", "also compute threshold-free cluster enhancement (slow)"),
    )

    qc_gates: Path | None = field(
        default=None,
        metadata=flag(
            "other", "JSON or TOML file with thresholds of the quality gates", metavar="FILE"
        ),
    )
    fail_on_qc: bool = field(
        default=False, metadata=flag("other", "exit with code 3 if a quality gate says FAIL")
    )
    write_graph: bool = field(
        default=False, metadata=flag("other", "save the workflow graph as a dot file")
    )
    resource_monitor: bool = field(
        default=False,
        metadata=flag("other", "record memory and CPU use of the run every second, in logs/"),
    )
    verbose: int = field(
        default=0, metadata=flag("other", "more messages", short="-v", counted=True)
    )
    log_json: bool = field(
        default=False, metadata=flag("other", "log messages as JSON, one object per line")
    )

    @property
    def threads(self) -> int:
        """Threads of one task: one where numbers have to repeat, no more than CPUs.

        The CPUs are those of this machine, which say nothing of the nodes of a cluster.
        """
        most = self.omp_nthreads if self.worker == "slurm" else self.nprocs
        return 1 if self.reproducible else min(self.omp_nthreads, most)

    def moves_outline(self, contrast: str) -> bool:
        """Tell whether outlines of a contrast are moved; those of own weights follow own labels."""
        return contrast in self.edge_contrasts and "cord" not in self.models

    def seeks_lesions(self, contrast: str) -> bool:
        """Tell whether a network looks for lesions in reference images of a contrast."""
        return "lesion" not in self.skip and contrast in self.lesion_contrasts
