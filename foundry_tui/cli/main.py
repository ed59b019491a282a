"""The console script: runs a command, and makes exit codes and words of what it raises."""

import errno
import os
import sys
from typing import TYPE_CHECKING, TextIO

from foundry_tui.cli import problems

if TYPE_CHECKING:
    from types import TracebackType

    import click

    from foundry_tui.client.errors import ProblemError


def main() -> int:
    """Run the command line; one of the exit codes of `cli/problems.py`."""
    sys.excepthook = _tell_crash
    try:
        if not _streams():
            return _say("standard output is closed, and this has something to print", "", problems.FAILED)
        return _run()
    except KeyboardInterrupt:
        return problems.INTERRUPTED
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            _forget(sys.stdout)
            return problems.DONE
        if error.errno not in _UNWRITABLE:
            raise
        _forget(sys.stdout)
        return _say(f"standard output cannot be written: {error.strerror}", "", problems.FAILED)
    finally:
        try:
            sys.stderr.flush()
        except OSError:
            _forget(sys.stderr)


_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
"""What a stream says that takes no more. Who opens files and sockets hears of theirs by itself."""


def _streams() -> bool:
    """Whether there is a standard output. Those that are closed are opened on the null device: what is opened next
    would take their numbers, and their words.
    """
    has_output = sys.stdout is not None
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", closefd=False))
    return has_output


def _forget(stream: TextIO) -> None:
    """Let the interpreter's last flush of it go nowhere: it would fail as the one before, and be the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run() -> int:
    from foundry_tui.settings.errors import ConfigError

    try:
        if sys.argv[1:] == ["statusline"]:
            # printed by shell prompts and status bars many times a minute: not even click is loaded for it
            from foundry_tui.cli.startup.statusline import print_line

            print_line()
            return problems.DONE
        if not sys.argv[1:] and "_FOUNDRY_COMPLETE" not in os.environ:
            # the app, without what commands need before its first paint
            from foundry_tui.cli.startup.launch import launch

            return launch({})
        return _command()
    except problems.CommandError as error:
        return _say(error.message, error.hint, error.exit_code)
    except ConfigError as error:
        return _say(str(error), "see: foundry config show", problems.USAGE)


def _command() -> int:
    import click

    from foundry_tui.cli.command_table import foundry
    from foundry_tui.client.errors import ProblemError, UnreachableError

    try:
        result = foundry.main(prog_name="foundry", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        return _wrong_words(error, problems.USAGE)
    except click.ClickException as error:
        return _wrong_words(error, problems.FAILED)
    except (click.Abort, KeyboardInterrupt):
        return problems.INTERRUPTED
    except SystemExit:
        # click's word for a reader that went away
        raise BrokenPipeError from None
    except ProblemError as refused:
        return _refused(refused)
    except UnreachableError as error:
        return _say(error.message, error.hint or "see how it is: foundry backend status", problems.UNREACHABLE)
    return result if isinstance(result, int) else problems.DONE


def _refused(refused: "ProblemError") -> int:
    from foundry_tui.contract.problems import NOT_KNOWN

    problem = refused.problem
    lines = [problem.detail or problem.title]
    lines += [f"  {error.field}: {error.message}" for error in problem.errors if error.message not in lines[0]]
    hint = ""
    if problem.status == 401:
        hint = "give its token with --token-file or FOUNDRY_TOKEN_FILE"
    elif any(error.field == "provider" for error in problem.errors) and "agent install" in lines[0] + lines[-1]:
        hint = "to look around without an agent: foundry demo"
    elif problem.status >= 500 and problem.status != NOT_KNOWN and problem.request_id:
        hint = f"the backend's log tells more, under request {problem.request_id}"
    return _say("\n".join(lines), hint, problems.FAILED)


def _say(message: str, hint: str, exit_code: int) -> int:
    from foundry_tui.cli.output import tell

    tell(f"foundry: {message}")
    if hint:
        tell(f"  {hint}")
    return exit_code


def _wrong_words(error: "click.ClickException", exit_code: int) -> int:
    """Show what click says of the words that were given, which may be anything."""
    import io

    from foundry_tui.cli.output import tell

    said = io.StringIO()
    error.show(said)
    tell(said.getvalue().rstrip("\n"))
    return exit_code


def _tell_crash(kind: type[BaseException], error: BaseException, trace: "TracebackType | None") -> None:
    from traceback import format_exception

    from foundry_tui.cli.output import tell

    tell("".join(format_exception(kind, error, trace)).rstrip("\n"))


if __name__ == "__main__":
    sys.exit(main())
