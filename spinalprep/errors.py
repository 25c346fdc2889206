"""Errors that a user can act on.

* SpinalprepError
  - UsageError            invalid arguments, or an unwritable folder        (exit code 2)
  - InputError            an image or a label cannot be used                 (exit code 1)
    + NoCordError         no spinal cord in the field of view
    + EmptyMaskError      a mask is empty
  - DifferenceError       two folders that should hold the same do not     (exit code 1)
  - NoInputError          nothing usable in the whole dataset               (exit code 4)
  - MixedResultsError     results of several versions at the group level    (exit code 5)
  - ModelError            weights are missing, corrupt or of another kind   (exit code 6)
  - TemplateError         the template is missing or corrupt                (exit code 6)
  - DefectError           the workflow could not be built                   (exit code 70)
"""

import errno

FOLDER_TROUBLE = (  # the user's to mend, no defect
    *(errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS),
    *(errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO, errno.ESTALE),
)


def one_line(text: str) -> str:
    r"""Return a message on one line, without what would steer a terminal: names may hold it.

    Examples
    --------
    >>> one_line("sub-a\nb")
    'sub-a b'
    """
    line = " ".join(text.splitlines())
    return "".join(c if c.isprintable() or c.isspace() else "?" for c in line)


class SpinalprepError(Exception):
    """Base class of all errors of spinalprep; ``kind`` is the first word of a status reason.

    Its text is one line, whatever is quoted in it.
    """

    exit_code = 1
    kind = "defect"

    def __str__(self) -> str:
        """Return the message on one line."""
        return one_line(super().__str__())


class UsageError(SpinalprepError):
    """The arguments are invalid."""

    exit_code = 2
    kind = "input"


class InputError(SpinalprepError):
    """An image, a label or a sidecar cannot be used."""

    kind = "input"


class NoCordError(InputError):
    """The field of view shows no spinal cord."""


class EmptyMaskError(InputError):
    """A mask is empty."""


class DifferenceError(SpinalprepError):
    """Two folders that should hold the same do not, or a file is not what it was."""

    kind = "input"


class NoInputError(SpinalprepError):
    """The dataset has no usable input."""

    exit_code = 4
    kind = "input"


class MixedResultsError(SpinalprepError):
    """The group level found results of several versions, models or templates."""

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
    """An internal error."""

    exit_code = 70
