"""Errors that a user can act on.

* SpinalprepError
  - UsageError            bad arguments, or a folder that can't be written  (exit code 2)
  - InputError            an image or a label is not what is needed         (exit code 1)
    + NoCordError         no spinal cord in the field of view
    + EmptyMaskError      a mask has no voxel
  - NoInputError          nothing usable in the whole dataset               (exit code 4)
  - MixedResultsError     results of several versions at the group level    (exit code 5)
  - ModelError            weights are missing, corrupt or of another kind   (exit code 6)
  - TemplateError         the template is missing or corrupt                (exit code 6)
  - DefectError           the workflow could not be built: ours             (exit code 70)
"""


class SpinalprepError(Exception):
    """Base of every error raised on purpose; ``kind`` is the first word of a status reason."""

    exit_code = 1
    kind = "defect"


class UsageError(SpinalprepError):
    """The command line can't be carried out."""

    exit_code = 2
    kind = "input"


class InputError(SpinalprepError):
    """An image, a label or a sidecar is not what a step needs."""

    kind = "input"


class NoCordError(InputError):
    """The field of view shows no spinal cord."""


class EmptyMaskError(InputError):
    """A mask has no voxel."""


class NoInputError(SpinalprepError):
    """The dataset holds nothing to work on."""

    exit_code = 4
    kind = "input"


class MixedResultsError(SpinalprepError):
    """The group level met results of several versions, models or templates."""

    exit_code = 5
    kind = "input"


class ModelError(SpinalprepError):
    """Weights are missing, corrupt or of another kind."""

    exit_code = 6
    kind = "input"


class TemplateError(SpinalprepError):
    """The template is missing or corrupt."""

    exit_code = 6
    kind = "input"


class DefectError(SpinalprepError):
    """The program contradicts itself."""

    exit_code = 70
