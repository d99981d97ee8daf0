"""The typer application: its commands and its exit codes."""

import sys

import typer

from mtl_seq.cli.compare import compare
from mtl_seq.cli.confounding import confounding
from mtl_seq.cli.convert import convert
from mtl_seq.cli.evaluate import evaluate
from mtl_seq.cli.export import export
from mtl_seq.cli.fit import fit
from mtl_seq.cli.inspect import inspect
from mtl_seq.cli.predict import predict
from mtl_seq.cli.scenarios import scenarios
from mtl_seq.cli.sensitivity import sensitivity
from mtl_seq.cli.simulate import simulate
from mtl_seq.cli.study import study
from mtl_seq.cli.tune import tune
from mtl_seq.errors import MtlSeqError

__all__ = ["run"]

_INTERRUPTED = 130

app = typer.Typer(
    help="Entire-space CTR and CVR modelling: simulate logs, fit models, report CVR bias.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (
    simulate,
    scenarios,
    convert,
    fit,
    tune,
    export,
    predict,
    evaluate,
    compare,
    inspect,
    sensitivity,
):
    app.command()(command)
app.command("test-confounding")(confounding)
app.add_typer(study, name="study")


def run(arguments: list[str] | None) -> int:
    """Run the application; an expected error is one line on standard error and an exit code."""
    try:
        arguments = sys.argv[1:] if arguments is None else arguments
        code = app(args=arguments or ["--help"], prog_name="mtl-seq", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except (MtlSeqError, OSError) as error:
        return _fail(f"error: {error}", 2)
    except typer.TyperException as error:
        return _fail(f"error: {error.format_message()} (see `mtl-seq --help`)", 2)
    if code == _INTERRUPTED:  # typer returns it, too, after Ctrl-C
        return _fail("interrupted: no partial file is left", _INTERRUPTED)
    return int(code or 0)


def _fail(line: str, code: int) -> int:
    print(" ".join(line.split()), file=sys.stderr)
    return code
