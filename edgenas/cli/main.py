"""The command line: parse, dispatch, and turn whatever happens into an exit code and at most one line on stderr.

Exit codes: 0 done, 1 no model meets the budget or a check failed, 2 usage, 3 data, 4 environment, 130 / 143 signals.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import re
import shlex
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import PurePath
from types import ModuleType
from typing import NoReturn

from edgenas.cli.output import write
from edgenas.cli.signals import Stopper
from edgenas.errors import EdgeNASError, Ended, EnvironmentFault, Interrupted, OwnCode, UsageError
from edgenas.system import distributed
from edgenas.system.progress import LastingStream
from edgenas.system.text import LONGEST, printable, shortened

# What each command does, in a line: here, so that `edgenas --help` imports none of them.
COMMANDS = {
    "search": "find, train, measure and bundle a model",
    "specialize": "from the weights of a search, a model for another budget or device",
    "ranking": "check how a run's shared weights rank, beside networks trained alone",
    "inspect": "what a data set holds: classes, splits, copies, what is left out and why",
    "baseline": "what trained networks take as they are, which fit; fine-tune the best",
    "profile": "measure this machine's latency table for a space, or over ssh another's",
    "predict": "predict latency and size of architectures, or the latency of ONNX files",
    "train": "train one architecture",
    "export": "write a run's network as ONNX",
    "bench": "time ONNX files on this machine, or a run's models against its budget",
    "kit": "make a kit that measures a space's ops on another device",
    "ingest": "check a kit's results file and write the device's latency tables",
    "adapt": "predict a new device's latency tables from few probes and source devices",
    "list": "list spaces, networks, strategies, data, runtimes, presets and devices",
}
TOGETHER = ("search", "train")  # commands that may run in several processes of torchrun
RENAMED = {"--statics": "--shape-choices"}
ABOUT = "From images and a latency budget to an ONNX model that was measured to meet the budget."
# What argparse takes for a flag although it is a bad value, as in `--budget-ms -inf`.
_NEGATIVE = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code.

    Args:
        argv: words after `edgenas`; None takes those of this process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Without patience: before a command takes the signals over, and in all that do not, the first one interrupts.
    with Stopper(patience_s=0) as stop:
        try:
            with distributed.processes():
                return _run(arguments)
        except (Exception, KeyboardInterrupt) as error:
            if {"-v", "--verbose"} & set(arguments):
                LastingStream(sys.stderr).write("".join(traceback.format_exception(error)))
            code, text = _explain(error, stop.signum)
            if not isinstance(error, Interrupted):  # its line is typed, and must stay whole
                text = shortened(_cut(text, arguments))
            if isinstance(error, OwnCode) and error.words:
                text += f": edgenas {shlex.join(arguments)} {error.words}"
            if not isinstance(error, Ended):  # else the process that ended first has printed the cause
                LastingStream(sys.stderr).write(f"edgenas: {printable(text)}\n")
            return code


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises instead of exiting."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError, naming where help is."""
        raise UsageError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`")


def _run(arguments: list[str]) -> int:
    name = next((argument for argument in arguments if not argument.startswith("-")), None)
    if "--version" in arguments[:1]:
        from edgenas import __version__

        write(f"edgenas {__version__}")
        return 0
    if not arguments or (name is None and {"-h", "--help"} & set(arguments)):
        write(_overview())
        return 0
    if name is None or arguments[0] != name:
        raise UsageError(f"{arguments[0]} stands where a command belongs, for example `edgenas search --budget-ms 20`")
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `edgenas {near[0]}`?" if near else f"there are {', '.join(COMMANDS)}"
        raise UsageError(f"no command {name!r}; {hint}")
    # Each process would do all of the work, and write the same files.
    if name not in TOGETHER and distributed.world() > 1:
        raise UsageError(f"`edgenas {name}` runs in one process; start it without torchrun")
    command = _command(name)
    parser = _parser(name, command)
    # Before anything is parsed: argparse would print the help itself, and exit.
    if {"-h", "--help"} & set(arguments):
        write(parser.format_help())
        return 0
    words = _joined(arguments[1:])
    _check_flags(parser, words)
    values, unknown = parser.parse_known_args(words)
    if unknown:
        raise UsageError(f"{parser.prog} does not take {unknown[0]!r}; see `{parser.prog} --help`")
    from edgenas.system.threads import configure_threads  # it brings ctypes, which help can do without

    configure_threads()  # before a workflow brings torch
    code: int = command.run(values)
    return code


def _command(name: str) -> ModuleType:
    return importlib.import_module(f"edgenas.cli.{name}")


def _parser(name: str, command: ModuleType) -> Parser:
    example = "\n  ".join(["example:", *command.EXAMPLE.splitlines()])
    parser = Parser(
        prog=f"edgenas {name}",
        description=COMMANDS[name][0].upper() + COMMANDS[name][1:] + ".",
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # `_check_flags` knows whole names, and a new flag must not change what old ones mean
    )
    command.configure(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("-v", "--verbose", action="store_true", help="a traceback with an error")
    return parser


def _overview() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {help_}" for name, help_ in COMMANDS.items())
    return f"""\
usage: edgenas COMMAND [options]

{ABOUT}

commands:
{commands}

`edgenas COMMAND --help` shows a command's options, `edgenas --version` the version.

example:
  edgenas search --budget-ms 20
"""


def _joined(arguments: Sequence[str]) -> list[str]:
    """Return `--flag -inf` as `--flag=-inf`, so that the flag's own check sees the value."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1].startswith("--") and "=" not in joined[-1] and _NEGATIVE.match(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _check_flags(parser: Parser, words: Sequence[str]) -> None:
    """Raise UsageError for an unknown flag, before argparse misses what the misspelt flag should have given."""
    known = [option for action in parser._actions for option in action.option_strings]
    for name in (word.partition("=")[0] for word in words if word.startswith("--") and word != "--"):
        if name in RENAMED and RENAMED[name] in known:
            raise UsageError(f"the flag {name} is named {RENAMED[name]} now; rename it")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"see `{parser.prog} --help`"
            raise UsageError(f"{parser.prog} has no flag {name!r}; {hint}")


def _cut(message: str, arguments: Sequence[str]) -> str:
    """Return a message that repeats no more than 200 characters of one argument; `shortened` sees no blanks in it."""
    for value in (argument.rpartition("=")[2] for argument in arguments):
        for form in {value, repr(value)[1:-1]} if len(value) > LONGEST else ():
            message = message.replace(form, f"{form[:LONGEST]}...")
    return message


def _explain(error: BaseException, signum: int | None) -> tuple[int, str]:
    """Return exit code and message of what ended a command."""
    if isinstance(error, EdgeNASError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 128 + (signum or 2), "interrupted"  # as shells count signals; 2 is SIGINT
    # Often without a text of its own; torch has an error of that name for GPUs, and is not imported for its sake.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return EnvironmentFault.exit_code, "out of memory; close other programs, or try smaller images or networks"
    if isinstance(error, OSError):
        path = f"{PurePath(error.filename)}: " if isinstance(error.filename, str) else ""
        step = "; free some space, then --resume" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return EnvironmentFault.exit_code, f"{path}{error.strerror or error}{step}"
    return EdgeNASError.exit_code, f"internal error, {type(error).__name__}: {error}; run again with -v to see where"
