"""The command line: click's verbs, and tables of what they found."""

import sys


def start() -> None:
    """What the script `proxytune` calls: the command, or the word on what it lacks."""
    from proxytune.libraries import MissingLibrary, libraries_in_words

    try:
        with libraries_in_words():
            from proxytune.cli.main import main
    except MissingLibrary as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    main()
