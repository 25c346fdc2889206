"""What the exit codes of ``spinalprep`` mean."""

from spinalprep import errors

EXIT_CODES = (
    (0, "every participant finished"),
    (1, "at least one participant failed; `status.tsv` says which and why"),
    (errors.UsageError.exit_code, "invalid arguments, or a folder that cannot be written"),
    (3, "finished, but a quality gate says FAIL (only with `--fail-on-qc`)"),
    (errors.NoInputError.exit_code, "no usable input"),
    (5, "group level: results of different versions, models or templates"),
    (errors.ModelError.exit_code, "weights or template missing or corrupt"),
    (errors.DefectError.exit_code, "internal error: the workflow could not be built"),
    (130, "interrupted by Ctrl-C; the same command resumes"),
    (143, "stopped by SIGTERM; the same command resumes"),
)
