"""The console script: runs a command, and makes exit codes and words of what it raises."""

import os
import sys
from typing import TYPE_CHECKING

from foundry_tui.cli import problems

if TYPE_CHECKING:
    from types import TracebackType

    import click

    from foundry_tui.wire import RefusedError


def main() -> int:
    """Run the command line; the exit code of contract.md."""
    sys.excepthook = _tell_crash
    try:
        if sys.argv[1:] == ["statusline"]:
            # printed by shell prompts and status bars many times a minute: not even click is loaded for it
            from foundry_tui.cli.line import print_line

            print_line()
            return problems.DONE
        return _run()
    except KeyboardInterrupt:
        return problems.INTERRUPTED


def _run() -> int:
    from foundry_tui.config import ConfigError

    try:
        if not sys.argv[1:] and "_FOUNDRY_COMPLETE" not in os.environ:
            # the app, without what commands need before its first paint
            from foundry_tui.cli.context import Context
            from foundry_tui.cli.launch import launch

            return launch(Context({}))
        return _command()
    except problems.CommandError as error:
        return _say(error.message, error.hint, error.exit_code)
    except ConfigError as error:
        return _say(str(error), "see: foundry config show", problems.USAGE)


def _command() -> int:
    import click

    from foundry_tui.cli.commands import foundry
    from foundry_tui.cli.output import ReaderGoneError
    from foundry_tui.wire import RefusedError, UnreachableError

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
    except RefusedError as refused:
        return _refused(refused)
    except UnreachableError as error:
        return _say(error.message, error.hint or "see how it is: foundry backend status", problems.UNREACHABLE)
    except ReaderGoneError:
        return problems.DONE
    return result if isinstance(result, int) else problems.DONE


def _refused(refused: "RefusedError") -> int:
    problem = refused.problem
    lines = [problem.detail or problem.title]
    lines += [f"  {error.field}: {error.message}" for error in problem.errors if error.message not in lines[0]]
    hint = ""
    if problem.status == 401:
        hint = "give its token with --token-file or FOUNDRY_TOKEN_FILE"
    elif problem.status >= 500 and problem.request_id:
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
