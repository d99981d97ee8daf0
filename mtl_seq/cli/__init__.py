"""The `mtl-seq` command: a thin face on the package. Typer is loaded when it is run."""

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What stands behind ``mtl-seq``; by default the process's own.

    Returns:
        0 where it worked, 2 for bad input, 130 where it was interrupted.
    """
    try:
        from mtl_seq.cli.app import run
    except KeyboardInterrupt:
        return 130
    return run(arguments)
