"""The program: `plex-companion`, or `python -m plex_companion`."""

import gc


def main() -> None:
    """Run a command and exit, with the garbage collector off during imports: they make no garbage.

    Imports make some 300,000 objects that stay, and every collection looks at all of them: a tenth of a start.
    `cli` turns the collector on when everything is imported.
    """
    gc.disable()
    from plex_companion.cli import main as run_command_line  # noqa: PLC0415 - see above

    run_command_line()


if __name__ == "__main__":
    main()
