"""The `mtl-seq` command. Typer is imported when it runs."""

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command-line arguments after ``mtl-seq``; by default those of the process.

    Returns:
        The exit code: 0 for success, 2 for bad input, 130 after an interruption.
    """
    try:
        from mtl_seq.cli.app import run
    except KeyboardInterrupt:
        return 130
    return run(arguments)
