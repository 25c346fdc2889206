"""What the user asked for."""

from dataclasses import dataclass, field
from pathlib import Path

LESION_THRESHOLD = 0.9  # the probability that a lesion reaches


@dataclass(frozen=True)
class Settings:
    """Everything that the command line decides; names follow the flags.

    ``None`` stands for "not given"; paths are absolute.
    """

    bids_dir: Path
    out_dir: Path
    level: str
    participant_label: tuple[str, ...] = ()
    session_label: tuple[str, ...] = ()
    bids_filters: dict[str, dict[str, object]] = field(default_factory=dict)
    derivatives: dict[str, Path] = field(default_factory=dict)
    manual_labels: bool = True
    skip_bids_validation: bool = False
    bids_database_dir: Path | None = None
    reference_anat: str = "auto"
    skip: tuple[str, ...] = ()
    denoise: bool = False
    models: dict[str, Path] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    lesion_threshold: float = LESION_THRESHOLD
    min_lesion_mm3: float = 3.0
    template: str | None = None
    level_hint: str | None = None
    qc_gates: Path | None = None
    output_spaces: tuple[str, ...] = ("reference", "template")
    random_seed: int = 0
    reproducible: bool = False
    nprocs: int = 1
    omp_nthreads: int = 1
    mem_gb: float = 4.0
    device: str = "auto"
    work_dir: Path = Path("work")
    clean_workdir: bool = False
    worker: str = "local"
    retries: int = 1
    dry_run: bool = False
    reports_only: bool = False
    boilerplate_only: bool = False
    stop_on_first_crash: bool = False
    sloppy: bool = False
    fail_on_qc: bool = False
    write_graph: bool = False
    resource_monitor: bool = False
    cohort_column: str | None = None
    person_column: str | None = None
    covariate: str | None = None
    nuisance: tuple[str, ...] = ()
    min_n: int = 5
    exclude_yml: Path | None = None
    allow_mixed: bool = False
    n_permutations: int = 5000
    tfce: bool = False
    verbose: int = 0
    log_json: bool = False
