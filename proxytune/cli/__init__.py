"""The command line: click's verbs, and tables of what they found."""

import sys


def start() -> None:
    """What the script `proxytune` calls: the command, or the word on what it lacks."""
    from proxytune.cli.signals import STOPPED, end, heeded
    from proxytune.libraries import MissingLibrary, libraries_in_words

    with heeded():
        try:
            with libraries_in_words():
                from proxytune.cli.main import main
            main()
        except MissingLibrary as error:
            print(f"Error: {error}", file=sys.stderr)
            code: object = 2
        except KeyboardInterrupt:
            print(f"Error: {STOPPED}", file=sys.stderr)
            code = 1
        except SystemExit as exit:
            code = exit.code
        end(code)
