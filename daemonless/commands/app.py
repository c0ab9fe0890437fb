"""The Typer application: every command, its aliases and groups, and its errors in podman's words.

A command's module is imported when that command is asked for (`daemonless.commands.NAME` holds
one function NAME, or NAME_ where Python reserves the word), so `daemonless version --help` does not
build sixty options of `run`.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any, Literal, NamedTuple

import typer
from typer import completion
from typer.core import TyperCommand, TyperGroup

from daemonless import __version__
from daemonless.commands.grammar import describe, to_click
from daemonless.commands.parse import COMPLETION_VARIABLE
from daemonless.errors import UsageError

PROGRAM = "daemonless"


class Entry(NamedTuple):
    """What a name stands for: a command, and parameters that the name fixes."""

    command: str
    fixed: dict[str, str]


# Words after the first positional one belong to the container's own command, or to ps.
_OPTIONS_FIRST = {"create", "exec", "run", "top", "unshare"}
# Options that mean something without a value; one is given with an equals sign only, as in pflag.
_BARE = {"build": {"pull": "always"}}

_CONTAINERS = "Containers"
_IMAGES = "Images"
_VOLUMES = "Volumes"
_SECRETS = "Secrets"
_OBJECTS = "By kind of object"
_OTHER = "This program"
# A name with an underscore is a command that only a group has: `container exists`.
COMMANDS = {
    "run": _CONTAINERS,
    "create": _CONTAINERS,
    "start": _CONTAINERS,
    "exec": _CONTAINERS,
    "attach": _CONTAINERS,
    "ps": _CONTAINERS,
    "logs": _CONTAINERS,
    "inspect": _CONTAINERS,
    "wait": _CONTAINERS,
    "stop": _CONTAINERS,
    "restart": _CONTAINERS,
    "init": _CONTAINERS,
    "kill": _CONTAINERS,
    "rm": _CONTAINERS,
    "pause": _CONTAINERS,
    "unpause": _CONTAINERS,
    "rename": _CONTAINERS,
    "port": _CONTAINERS,
    "top": _CONTAINERS,
    "diff": _CONTAINERS,
    "cp": _CONTAINERS,
    "export": _CONTAINERS,
    "events": _CONTAINERS,
    "commit": _CONTAINERS,
    "healthcheck_run": _CONTAINERS,
    "container_exists": _CONTAINERS,
    "container_prune": _CONTAINERS,
    "build": _IMAGES,
    "pull": _IMAGES,
    "push": _IMAGES,
    "images": _IMAGES,
    "tag": _IMAGES,
    "untag": _IMAGES,
    "history": _IMAGES,
    "rmi": _IMAGES,
    "login": _IMAGES,
    "logout": _IMAGES,
    "search": _IMAGES,
    "save": _IMAGES,
    "load": _IMAGES,
    "import": _IMAGES,
    "image_exists": _IMAGES,
    "image_prune": _IMAGES,
    "image_tree": _IMAGES,
    "image_mount": _IMAGES,
    "image_unmount": _IMAGES,
    **dict.fromkeys(
        (
            *("manifest_create", "manifest_add", "manifest_annotate", "manifest_inspect", "manifest_push"),
            *("manifest_remove", "manifest_rm", "manifest_exists"),
        ),
        _IMAGES,
    ),
    "builder_prune": _IMAGES,
    "builder_du": _IMAGES,
    "volume_create": _VOLUMES,
    "volume_ls": _VOLUMES,
    "volume_inspect": _VOLUMES,
    "volume_rm": _VOLUMES,
    "volume_prune": _VOLUMES,
    "volume_exists": _VOLUMES,
    "volume_export": _VOLUMES,
    "volume_import": _VOLUMES,
    "secret_create": _SECRETS,
    "secret_ls": _SECRETS,
    "secret_inspect": _SECRETS,
    "secret_rm": _SECRETS,
    "secret_exists": _SECRETS,
    "system_df": _OTHER,
    "system_prune": _OTHER,
    "system_check": _OTHER,
    "system_reset": _OTHER,
    "unshare": _OTHER,
    "info": _OTHER,
    "version": _OTHER,
    "completion": _OTHER,
}
_BUILDER = {
    "build": Entry("build", {}),
    "prune": Entry("builder_prune", {}),
    "du": Entry("builder_du", {}),
}
GROUPS: dict[str, tuple[str, dict[str, Entry]]] = {
    "container": (
        "Work with containers.",
        {
            **{name: Entry(name, {}) for name in ("run", "create", "start", "exec", "attach")},
            "ls": Entry("ps", {}),
            "logs": Entry("logs", {}),
            "inspect": Entry("inspect", {"type": "container"}),
            **{name: Entry(name, {}) for name in ("wait", "stop", "kill", "rm", "rename", "port", "top")},
            "diff": Entry("diff", {"type": "container"}),
            **{name: Entry(name, {}) for name in ("pause", "unpause", "restart", "init")},
            "cp": Entry("cp", {}),
            "export": Entry("export", {}),
            "commit": Entry("commit", {}),
            "exists": Entry("container_exists", {}),
            "prune": Entry("container_prune", {}),
        },
    ),
    "image": (
        "Work with images.",
        {
            "build": Entry("build", {}),
            "pull": Entry("pull", {}),
            "push": Entry("push", {}),
            "ls": Entry("images", {}),
            "inspect": Entry("inspect", {"type": "image"}),
            "diff": Entry("diff", {"type": "image"}),
            "history": Entry("history", {}),
            "tree": Entry("image_tree", {}),
            "tag": Entry("tag", {}),
            "untag": Entry("untag", {}),
            "rm": Entry("rmi", {}),
            "exists": Entry("image_exists", {}),
            "mount": Entry("image_mount", {}),
            "unmount": Entry("image_unmount", {}),
            "prune": Entry("image_prune", {}),
            "search": Entry("search", {}),
            "save": Entry("save", {}),
            "load": Entry("load", {}),
            "import": Entry("import", {}),
        },
    ),
    "manifest": (
        "Work with lists of images for several platforms.",
        {
            name: Entry(f"manifest_{name}", {})
            for name in ("create", "add", "annotate", "inspect", "push", "remove", "rm", "exists")
        },
    ),
    "volume": (
        "Work with volumes.",
        {
            name: Entry(f"volume_{name}", {})
            for name in ("create", "ls", "inspect", "rm", "prune", "exists", "export", "import")
        },
    ),
    "secret": (
        "Work with secrets.",
        {name: Entry(f"secret_{name}", {}) for name in ("create", "ls", "inspect", "rm", "exists")},
    ),
    "builder": ("Build images, and look after the build cache.", _BUILDER),
    "buildx": (
        "Build images, as with docker's plugin of that name.",
        {**_BUILDER, "version": Entry("version", {})},
    ),
    "healthcheck": ("Check the health of containers.", {"run": Entry("healthcheck_run", {})}),
    "system": (
        "Look after this program.",
        {
            **{name: Entry(f"system_{name}", {}) for name in ("df", "prune", "check", "reset")},
            **{name: Entry(name, {}) for name in ("events", "info")},
        },
    ),
}
# Further spellings, accepted but not listed.
SYNONYMS = {
    "container": {"list": "ls", "ps": "ls", "remove": "rm"},
    "image": {"list": "ls", "remove": "rm", "umount": "unmount"},
    "manifest": {},
    "volume": {"list": "ls", "remove": "rm"},
    "secret": {"list": "ls", "remove": "rm"},
    "builder": {},
    "buildx": {"b": "build"},
    "healthcheck": {},
    "system": {},
}


class Command(TyperCommand):
    """A command that also takes the boolean forms docker and podman take."""

    action: str  # the name of its module in `daemonless.actions`
    bare: dict[str, str]  # what options without a value mean, by parameter

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse `args`, rewritten as click wants them."""
        if not ctx.resilient_parsing:  # completion wants the words as they were typed
            args = to_click(describe(self), args)
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            if getattr(error, "ctx", None) is None:  # click forgets it for a missing value
                error.ctx = ctx  # type: ignore[attr-defined] # an attribute of its usage errors
            raise


_ONE_BUILDER = "there is one builder, with nothing to set up: daemonless buildx build"
# What scripts ask docker for, and what to do instead.
_HINTS = {
    **{("buildx", name): _ONE_BUILDER for name in ("create", "inspect", "ls", "rm", "stop", "use")},
    ("buildx", "imagetools"): "lists of images are made and shown by daemonless manifest",
}


class Group(TyperGroup):
    """A group whose commands are imported when asked for."""

    entries: dict[str, Entry]
    synonyms: dict[str, str]

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names to show, in order."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Build the command of that name or return None."""
        entry = self.entries.get(self.synonyms.get(cmd_name, cmd_name))
        if entry is None:
            return None
        if entry.command in GROUPS:
            return _group(entry.command)
        return load(entry.command, name=cmd_name, fixed=entry.fixed)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; raises UsageError in podman's words."""
        name = args[0]
        if name[:1] != "-" and self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            near = get_close_matches(name, self.entries, n=1, cutoff=0.65)
            path = ctx.command_path
            hint = f"did you mean `{path} {near[0]}`?" if near else f"see '{path} --help'"
            raise UsageError(
                f"unrecognized command `{path} {name}`", _HINTS.get((self.name or "", name), hint)
            )
        return super().resolve_command(ctx, args)


class Root(Group):
    """The program itself."""

    entries = {  # noqa: RUF012 - constant
        name: Entry(name, {}) for name in (*COMMANDS, *GROUPS) if "_" not in name
    }
    synonyms: dict[str, str] = {}  # noqa: RUF012 - constant


def load(action: str, *, name: str = "", fixed: dict[str, str] | None = None) -> Any:
    """Import one command and return it as a click command; `fixed` parameters are not shown."""
    function = getattr(import_module(f"{__package__}.{action}"), action + "_" * iskeyword(action))
    app = typer.Typer(add_completion=False)
    settings: dict[str, Any] = {"default_map": dict(fixed or {})}
    if action in _OPTIONS_FIRST:
        settings["allow_interspersed_args"] = False
    panel = COMMANDS[action]
    app.command(name or action, cls=Command, context_settings=settings, rich_help_panel=panel)(function)
    command = typer.main.get_command(app)
    # A docstring's lines end where the source's do; those of the help, where the terminal does.
    command.help = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    command.action = action  # type: ignore[attr-defined] # a Command
    command.bare = _BARE.get(action, {})  # type: ignore[attr-defined] # a Command
    for parameter in command.params:
        if fixed and parameter.name in fixed:
            parameter.hidden = True  # type: ignore[attr-defined] # click's base class lacks it
    return command


def _group(name: str) -> Any:
    text, entries = GROUPS[name]
    members = {"entries": entries, "synonyms": SYNONYMS[name]}
    kind = type("Members", (Group,), members)
    app = typer.Typer(name=name, cls=kind, add_completion=False, help=text, no_args_is_help=True)
    app.callback()(lambda: None)
    group = typer.main.get_command(app)
    group.rich_help_panel = _OBJECTS  # type: ignore[attr-defined] # a TyperGroup
    return group


def _print_version(value: bool) -> None:
    if value:
        print(f"{PROGRAM} version {__version__}")
        raise typer.Exit


def _root(
    root: Annotated[
        str | None, typer.Option("--root", metavar="DIRECTORY", help="Keep images and containers here.")
    ] = None,
    runroot: Annotated[
        str | None,
        typer.Option("--runroot", metavar="DIRECTORY", help="Keep the state of running containers here."),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warn", "error"],
        typer.Option("--log-level", help="Say more, with debug, or leave out warnings, with error."),
    ] = "warn",
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-v", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Run containers without a daemon and without privileges."""


def application() -> TyperGroup:
    """Return the whole program as a click group."""
    app = typer.Typer(name=PROGRAM, cls=Root, add_completion=False, no_args_is_help=True)
    app.callback(epilog="Run `daemonless COMMAND --help` for the options of a command.")(_root)
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    return command


def invoke(words: list[str]) -> int:
    """Let Typer parse and run `words`; return the exit status.

    Raises UsageError for what click would print in its own words.
    """
    if COMPLETION_VARIABLE in os.environ:
        completion.completion_init()  # type: ignore[attr-defined] # else done for Typer's own options only
        os.environ["COLUMNS"] = "1000"  # an answer is one line, so rich must not wrap its help text
    try:
        status = application().main(list(words), prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        raise _in_our_words(error) from None
    return int(status or 0)


def _in_our_words(error: typer.TyperException) -> UsageError:
    """Translate a click error; its types are private to Typer, so their names are compared."""
    context = getattr(error, "ctx", None)
    hint = f"see '{context.command_path if context else PROGRAM} --help'"
    kind = type(error).__name__
    if kind == "NoArgsIsHelpError":  # Typer has printed the help
        return UsageError("missing command", hint)
    if kind == "NoSuchOption":
        option: str = getattr(error, "option_name", "")
        near = get_close_matches(option, getattr(error, "possibilities", None) or (), n=1, cutoff=0.75)
        what = "unknown flag" if option[:2] == "--" else "unknown shorthand flag"
        return UsageError(f"{what}: {option}", f"did you mean {near[0]}?" if near else hint)
    message = error.format_message().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint)
