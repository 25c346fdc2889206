"""The command ``spinalprep-tools``: helpers around the BIDS App."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from spinalprep import __version__
from spinalprep.app.log import LOG, start_log
from spinalprep.app.parser import ArgumentParser
from spinalprep.errors import SpinalprepError, UsageError
from spinalprep.streams import end_streams, open_closed_streams
from spinalprep.tools.consensus_tools import add_consensus_commands
from spinalprep.tools.doctor import add_doctor_options, examine
from spinalprep.tools.export import add_export_options, export
from spinalprep.tools.fault_tools import add_fault_options, draw_faults
from spinalprep.tools.network_tools import add_network_commands
from spinalprep.tools.protocol_tools import add_protocol_commands
from spinalprep.tools.slurm_tools import add_slurm_options, print_script
from spinalprep.tools.training_tools import add_training_commands
from spinalprep.tools.verify import add_verify_options, verify


def main(argv: Sequence[str] | None = None) -> int:
    """Run a helper and return its exit code."""
    open_closed_streams()
    start_log()
    try:
        given = build_parser().parse_args(sys.argv[1:] if argv is None else argv)
        given.carry_out(given)
    except SpinalprepError as error:
        LOG.error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        end_streams()
    return 0


def build_parser() -> ArgumentParser:
    """Return the parser of ``spinalprep-tools``."""
    parser = ArgumentParser("spinalprep-tools", description="Helper commands of spinalprep.")
    parser.add_argument("--version", action="version", version=f"spinalprep {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, carry_out: object, text: str) -> ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(carry_out=carry_out)
        return sub

    sub = command("phantom", _phantom, "write a synthetic BIDS dataset with ground truth")
    sub.add_argument("out_dir", type=Path, help="a new folder")
    sub.add_argument("-n", "--people", type=int, default=2, metavar="N", help="default: 2")
    sub.add_argument(
        "--seed", type=int, default=100_000, help="of the first subject (default: 100000)"
    )
    sub.add_argument(
        "--group", action="store_true", help="a cohort with derivatives, for the group level"
    )
    sub.add_argument("--template", help="NAME_OR_PATH, of the cohort (default: Generic)")
    add_fault_options(command("faults", draw_faults, "simulate artifacts in labeled images"))
    add_network_commands(command)
    add_training_commands(command)
    add_protocol_commands(command)
    add_consensus_commands(command)
    sub = command("template", _template, "show which template is found, or fetch PAM50")
    sub.add_argument("action", choices=("show", "fetch"))
    sub.add_argument("--template", help="NAME_OR_PATH, as for spinalprep")
    sub.add_argument("--sha256", metavar="HASH", help="expected digest of the downloaded archive")
    command("descriptor", _descriptor, "print the Boutiques descriptor of spinalprep")
    add_slurm_options(command("slurm", print_script, "print a script that submits a cohort"))
    add_verify_options(command("verify", verify, "compare two output folders, or check a cache"))
    add_export_options(command("export", export, "write outputs with the names of SCT"))
    text = "check weights, template, CPUs, memory, disk, GPU and scheduler"
    add_doctor_options(command("doctor", examine, text))
    return parser


def _descriptor(_: Namespace) -> None:
    """Print the Boutiques descriptor."""
    from spinalprep.app.descriptor import descriptor_text

    sys.stdout.write(descriptor_text())


def _phantom(given: Namespace) -> None:
    from spinalprep.phantom.dataset import write_dataset

    if given.out_dir.is_dir() and any(given.out_dir.iterdir()):
        raise UsageError(f"{given.out_dir} is not empty; give a new folder")
    if given.group:
        from spinalprep.phantom.cohort import write_cohort
        from spinalprep.template.files import resolve_template

        template = resolve_template(given.template or "Generic")
        write_cohort(given.out_dir, template, given.people, given.seed)
    else:
        write_dataset(given.out_dir, given.people, given.seed)
    LOG.info("%d synthetic subjects in %s", given.people, given.out_dir)


def _template(given: Namespace) -> None:
    from spinalprep.template.files import resolve_template

    if given.action == "fetch":
        from spinalprep.template.fetch import fetch
        from spinalprep.template.places import cache_folder

        found = fetch(cache_folder(os.environ) / "PAM50", sha256=given.sha256)
        LOG.info("%s (%s) in %s", found.name, found.version, found.folder)
        return
    template = resolve_template(given.template)
    LOG.info("%s (%s) in %s", template.name, template.version, template.folder)
