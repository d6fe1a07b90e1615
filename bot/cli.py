"""The command line: ``gpuscout``. Each command imports what it needs when it runs.

Exit codes: 0 done, 1 failed, 2 wrong use. Errors are one line on standard error; ``--debug`` adds the traceback.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from bot.early import EARLY
from config.settings import ALL_ROLES, Role, Settings, load_settings

app = typer.Typer(
    name="gpuscout",
    help="GPUScout: what your GPUs should earn, where, and at what price - in Discord.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db_app = typer.Typer(help="Database migrations.", no_args_is_help=True)
commands_app = typer.Typer(help="Slash commands.", no_args_is_help=True)
dead_app = typer.Typer(help="Work that could not be done.", no_args_is_help=True)
keys_app = typer.Typer(help="Keys that wrap members' secrets.", no_args_is_help=True)
market_app = typer.Typer(help="What the market sources sent that needs a person.", no_args_is_help=True)
mail_app = typer.Typer(help="E-mail: results of tests, suppressed addresses.", no_args_is_help=True)
app.add_typer(db_app, name="db")
app.add_typer(market_app, name="market")
app.add_typer(commands_app, name="commands")
app.add_typer(dead_app, name="dead-letters")
app.add_typer(keys_app, name="keys")
app.add_typer(mail_app, name="mail")

_debug = False


def _version(show: bool) -> None:
    if show:
        typer.echo(f"gpuscout {version()}")
        raise typer.Exit


def version() -> str:
    """Version of the installed program."""
    try:
        return metadata.version("gpuscout")
    except metadata.PackageNotFoundError:
        return "0+source"


WAITING: Final = ("run", "demo")
"""Commands that set their own handlers of signals, once they are imported."""


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _show: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options that every command has."""
    global _debug
    _debug = debug
    if context.invoked_subcommand not in WAITING:
        EARLY.release()


def fail(message: str, code: int = 1) -> NoReturn:
    """End with one readable line on standard error."""
    typer.echo(f"gpuscout: {message}", err=True)
    raise typer.Exit(code)


def settings_or_fail() -> Settings:
    """The settings, or exit code 2 with the variable that is wrong."""
    from pydantic import ValidationError

    try:
        settings = load_settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        # Without the place in a list: the variable is what a person can change.
        name = ".".join(part for part in first["loc"] if isinstance(part, str)).upper() or "settings"
        fail(f"{name}: {first['msg'].removeprefix('Value error, ')}", 2)
    _configure(settings)
    return settings


def run_async(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its exit code; expected failures become one line."""
    try:
        code = asyncio.run(work)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if _debug:
            raise
        fail(_sentence(error))
    raise typer.Exit(code)


def _sentence(error: BaseException) -> str:
    from config.logging import redact_text

    text = redact_text(str(error)).strip().splitlines()
    return (text[0] if text else type(error).__name__) + " (use --debug for the traceback)"


def _configure(settings: Settings) -> None:
    from config.logging import configure_logging, hide_secrets

    hide_secrets(settings.secrets())
    configure_logging(settings.log_level, settings.log_format)


def _roles(text: str | None) -> tuple[Role, ...]:
    if text is None:
        return ALL_ROLES
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [role for role in wanted if role not in ALL_ROLES]
    if unknown or not wanted:
        fail(f"--roles takes {', '.join(ALL_ROLES)}; not {', '.join(unknown) or 'nothing'}", 2)
    return tuple(role for role in ALL_ROLES if role in wanted)


@app.command()
def run(
    roles: Annotated[str | None, typer.Option(help="Comma-separated: bot,ingest,worker,web. All by default.")] = None,
) -> None:
    """Run the product. Missing credentials switch off only what needs them."""
    gc.disable()  # while starting nothing becomes garbage worth looking for; App.run switches it on again
    from bot.app import serve

    settings = settings_or_fail()
    chosen = _roles(roles)
    try:
        settings.check_roles(chosen)
    except ValueError as error:
        fail(str(error), 2)
    run_async(serve(settings, chosen, version()))


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; a busy one is replaced.")] = 8800,
    speed: Annotated[
        float, typer.Option(min=0.1, max=3600, help="How much faster than real time the market runs.")
    ] = 20.0,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the earlier state of the demo.")] = False,
) -> None:
    """Run the whole product on a simulated market and a Discord of our own: no account, key or internet needed."""
    from sandbox.demo import serve_demo

    run_async(serve_demo(port=port, speed=speed, open_browser=open_browser, fresh=fresh, version=version()))


@app.command()
def ingest(
    source: Annotated[str | None, typer.Option(help="Source to read; all that are configured by default.")] = None,
    feed: Annotated[
        str | None, typer.Option(help="machines: the list of single machines instead of the statistics.")
    ] = None,
) -> None:
    """Run one ingest cycle now and say what it did."""
    from bot.tools import ingest_once

    settings = settings_or_fail()
    run_async(ingest_once(settings, source, feed))


@app.command()
def backfill(
    files: Annotated[list[Path] | None, typer.Argument(help="CSV or JSON, also gzipped.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Load files once more that were loaded before.")] = False,
    rejects: Annotated[Path | None, typer.Option(help="Write each rejected row with line and reason, as CSV.")] = None,
    template: Annotated[bool, typer.Option("--template", help="Print a CSV that loads, and exit.")] = False,
) -> None:
    """Load price history from files. Safe to repeat; a load that was stopped goes on where it was."""
    from bot.backfill import load_history
    from gpuscout.market.history_file import TEMPLATE

    if template:
        typer.echo(TEMPLATE, nl=False)
        raise typer.Exit
    if not files:
        fail("name a file, for example: gpuscout backfill history.csv.gz", 2)
    for file in files:
        if not file.is_file():
            fail(f"there is no file {file}", 2)
    settings = settings_or_fail()
    run_async(load_history(settings, files, again=again, rejects=rejects))


@app.command()
def doctor() -> None:
    """Check settings, database and every outside service; exit code 1 if a configured one fails."""
    from bot.doctor import examine

    settings = settings_or_fail()
    run_async(examine(settings))


@db_app.command("upgrade")
def db_upgrade(revision: Annotated[str, typer.Argument(help="Revision to go to.")] = "head") -> None:
    """Bring the database to a revision (the newest by default)."""
    from bot.tools import migrate_to

    run_async(migrate_to(settings_or_fail(), revision, up=True))


@db_app.command("downgrade")
def db_downgrade(
    revision: Annotated[str, typer.Argument(help="Revision to go back to, for example -1.")] = "-1",
) -> None:
    """Take the database back to an earlier revision."""
    from bot.tools import migrate_to

    run_async(migrate_to(settings_or_fail(), revision, up=False))


@db_app.command("current")
def db_current() -> None:
    """Print the database's revision."""
    from bot.tools import show_revision

    run_async(show_revision(settings_or_fail()))


@commands_app.command("sync")
def commands_sync(
    force: Annotated[bool, typer.Option("--force", help="Register even if nothing changed.")] = False,
) -> None:
    """Register slash commands with Discord when their hash changed."""
    from bot.tools import sync_slash_commands

    settings = settings_or_fail()
    if settings.discord_token is None:
        fail("DISCORD_TOKEN is not set; put the bot's token there", 2)
    run_async(sync_slash_commands(settings, force, version()))


@market_app.command("sources")
def market_sources() -> None:
    """Show each source: last answer, problem, what was rejected."""
    from bot.tools import show_sources

    run_async(show_sources(settings_or_fail()))


@market_app.command("rejected")
def market_rejected(limit: Annotated[int, typer.Option(min=1, max=500)] = 20) -> None:
    """Show the newest samples of rejected items with their reasons."""
    from bot.tools import show_rejected

    run_async(show_rejected(settings_or_fail(), limit))


@market_app.command("unknown")
def market_unknown() -> None:
    """List GPU names that the catalogue does not know, most often seen first."""
    from bot.tools import show_unknown

    run_async(show_unknown(settings_or_fail()))


@keys_app.command("rotate")
def keys_rotate() -> None:
    """Wrap stored secrets with the newest key of SECRET_KEY, so that earlier ones may leave it."""
    from bot.keys_cli import rotate_keys

    run_async(rotate_keys(settings_or_fail()))


@mail_app.command("results")
def mail_results() -> None:
    """Show how each variant of the running tests does."""
    from bot.mail_cli import show_results

    run_async(show_results(settings_or_fail()))


@mail_app.command("lift")
def mail_lift(address: Annotated[str, typer.Argument(help="The address, as its owner gave it.")]) -> None:
    """Let mail go to an address again that bounced, complained or unsubscribed, because its owner asked for it."""
    from bot.mail_cli import lift

    run_async(lift(settings_or_fail(), address))


@dead_app.command("list")
def dead_list(
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    kind: Annotated[str | None, typer.Option(help="Only jobs of this kind, such as delivery.notify.")] = None,
) -> None:
    """List dead jobs, newest first."""
    from bot.dead_letters import list_dead_letters

    run_async(list_dead_letters(settings_or_fail(), limit, kind))


@dead_app.command("show")
def dead_show(job: Annotated[int, typer.Argument(help="Id of the job.")]) -> None:
    """Show one job with its payload (secrets redacted) and its last error."""
    from bot.dead_letters import show_dead_letter

    run_async(show_dead_letter(settings_or_fail(), job))


@dead_app.command("retry")
def dead_retry(jobs: Annotated[list[int], typer.Argument(help="Ids of dead jobs.")]) -> None:
    """Give dead jobs a fresh set of tries."""
    from bot.dead_letters import settle_dead_letters

    run_async(settle_dead_letters(settings_or_fail(), jobs, retry=True))


@dead_app.command("discard")
def dead_discard(jobs: Annotated[list[int], typer.Argument(help="Ids of dead jobs.")]) -> None:
    """Close dead jobs for good."""
    from bot.dead_letters import settle_dead_letters

    run_async(settle_dead_letters(settings_or_fail(), jobs, retry=False))


def main() -> None:
    """Entry point of the ``gpuscout`` script."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        # Wrong use, in one line like every other error; the bare command's message is its whole help.
        message = error.format_message().strip()
        if message:
            one_line = "\n" not in message
            typer.echo(f"gpuscout: {message} (use -h for help)" if one_line else message, err=True)
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        if _debug:
            raise
        typer.echo(f"gpuscout: {_sentence(error)}", err=True)
        sys.exit(1)
    sys.exit(code)
