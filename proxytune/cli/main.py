"""The command `proxytune`. No verb imports torch or ray before it needs them."""

from typing import Any

import click

from proxytune import __version__
from proxytune.cli.check import check
from proxytune.cli.coord_check import coord_check
from proxytune.cli.doctor import doctor
from proxytune.cli.evidence import evidence
from proxytune.cli.export import export
from proxytune.cli.growth import compare, enqueue, extend
from proxytune.cli.init import init
from proxytune.cli.plan import plan
from proxytune.cli.report import report
from proxytune.cli.scaling import scaling
from proxytune.cli.schema import schema
from proxytune.cli.signals import STOPPED, heeded
from proxytune.cli.streams import make_printable
from proxytune.cli.study import study
from proxytune.cli.transfer import transfer
from proxytune.cli.ui import ui
from proxytune.cli.verify import verify
from proxytune.errors import InputError, RunError
from proxytune.libraries import libraries_in_words


class _BadInput(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Tells the user's mistakes, and failures while running, in words: no traceback."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        make_printable()
        with heeded():
            return super().main(*arguments, **options)

    def invoke(self, ctx: click.Context) -> object:
        try:
            with libraries_in_words():
                return super().invoke(ctx)
        except InputError as error:
            raise _BadInput(str(error)) from None
        except RunError as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            raise click.ClickException(STOPPED) from None
        except BrokenPipeError:
            raise  # click ends in silence: who reads the output has enough
        except OSError as error:
            # A fault of the machine, such as a full or read-only disk.
            where = "" if error.filename is None else f"{error.filename}: "
            raise click.ClickException(f"{where}{error.strerror or error}") from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Tune on small GQA-μP proxies, train large."""


COMMANDS = (
    init,
    plan,
    study,
    transfer,
    check,
    export,
    verify,
    report,
    scaling,
    coord_check,
    evidence,
    schema,
    ui,
    doctor,
)
for verb in (extend, enqueue, compare):
    study.add_command(verb)
for command in COMMANDS:
    main.add_command(command)
