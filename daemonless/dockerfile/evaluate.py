"""From a stage's instructions and the config it starts from to the steps that make it."""

from __future__ import annotations

from daemonless import jsonio
from daemonless.dockerfile import settings
from daemonless.dockerfile.arguments import Arguments, declarations, platform_arguments
from daemonless.dockerfile.flags import Flags
from daemonless.dockerfile.mounts import parse_mount
from daemonless.dockerfile.parse import heredoc_of, parse_one
from daemonless.dockerfile.steps import CopyWork, Evaluated, RunWork, Step, WorkdirWork
from daemonless.dockerfile.words import Words
from daemonless.errors import UsageError, printable
from daemonless.oci.image import DEFAULT_PATH, parse_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from daemonless.dockerfile.document import Dockerfile, Instruction, Stage

    Work = RunWork | CopyWork | WorkdirWork

_LAYER = " # buildkit"  # how BuildKit ends the history entry of a step that touches files
_SHOWN = 400  # characters of an instruction in the progress display
_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")


class Scope:
    """What all stages share: the arguments, and the platforms. Raises DockerfileError."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        build_args: Mapping[str, str],
        target_platform: str,
        build_platform: str,
        target: str = "",
        contexts: Collection[str] = (),
    ) -> None:
        """`target` is the stage asked for, `contexts` the names that `--build-context` gave."""
        self.dockerfile = dockerfile
        self.contexts = contexts
        stage = target or dockerfile.stages[-1].name or "default"
        self.arguments = Arguments(
            dockerfile, build_args, platform_arguments(target_platform, build_platform, stage)
        )

    def bases(self) -> list[tuple[str, str]]:
        """Return each stage's base and platform, expanded."""
        found = []
        for stage in self.dockerfile.stages:
            words = Words(self.dockerfile.escape, self.arguments.defaults)
            try:
                base, platform = words.word(stage.base), words.word(stage.platform)
                if not base:
                    raise UsageError(
                        f"the image {printable(stage.base)!r} is empty once its variables are expanded",
                        "give the ARG a default before the first FROM, or a value with --build-arg",
                    )
                if stage.platform:
                    parse_platform(platform)
            except UsageError as error:
                raise self.dockerfile.mistake(
                    error.message, error.hint, first=stage.first, last=stage.last
                ) from None
            found.append((base, platform))
        return found

    def unused_build_args(self) -> list[str]:
        """Return the `--build-arg`s that no ARG evaluated so far has declared."""
        return self.arguments.unused()


def evaluate(
    stage: Stage, base_config: Mapping[str, Any], scope: Scope, *, inherited: Evaluated | None = None
) -> Evaluated:
    """Return the steps of a stage, the triggers its base has left first.

    `base_config` is the `config` section of its base, `inherited` the base if that is a stage.
    Raises DockerfileError.
    """
    evaluation = _Evaluation(stage, base_config, scope, inherited)
    for text in base_config.get("OnBuild") or ():
        try:
            trigger = parse_one(text)
        except UsageError as error:
            raise scope.dockerfile.mistake(
                f"the base has an unusable ONBUILD {printable(text)}: {error.message}", first=stage.first
            ) from None
        evaluation.run(trigger.replace(first=stage.first, last=stage.last))
    for instruction in stage.instructions:
        evaluation.run(instruction)
    return Evaluated(
        steps=tuple(evaluation.steps),
        config=evaluation.config,
        arguments=evaluation.arguments,
        author=evaluation.author,
    )


class _Evaluation:
    """The state of a stage while its instructions are gone through."""

    def __init__(
        self, stage: Stage, base: Mapping[str, Any], scope: Scope, inherited: Evaluated | None
    ) -> None:
        self.config: dict[str, Any] = {key: value for key, value in base.items() if key != "OnBuild"}
        self.arguments: dict[str, str] = dict(inherited.arguments) if inherited else {}
        self.author = inherited.author if inherited else ""
        self.steps: list[Step] = []
        self._stage = stage
        self._scope = scope
        self._escape = scope.dockerfile.escape
        self._has_cmd = False  # CMD was set here, not inherited
        self._declared = dict(self.arguments)  # for the history of RUN: those without a value too
        if "PATH" not in settings.variables_of(self.config):
            self.config["Env"] = [*(self.config.get("Env") or []), f"PATH={DEFAULT_PATH}"]
        self._variables = settings.variables_of(self.config)

    def run(self, instruction: Instruction) -> None:
        """Add the step of one instruction."""
        self.config = dict(self.config)  # the step before keeps its own
        words = Words(self._escape, self._variables, self.arguments)
        work: Work | None = None
        try:
            match instruction.keyword:
                case "RUN":
                    created_by, work = self._run(instruction, words)
                case "COPY" | "ADD":
                    created_by, work = self._copy(instruction, words)
                case "ARG":
                    created_by = self._arg(instruction, words)
                case "MAINTAINER":
                    self.author = instruction.args[0]
                    created_by = f"MAINTAINER {self.author}"
                case _:
                    created_by = settings.change(self.config, instruction, words)
                    self._follow_up(instruction.keyword)
                    if instruction.keyword == "WORKDIR" and self.config["WorkingDir"] != "/":
                        work = WorkdirWork(path=self.config["WorkingDir"])
        except UsageError as error:
            raise self._scope.dockerfile.mistake(
                error.message, error.hint, first=instruction.first, last=instruction.last
            ) from None
        self.steps.append(
            Step(
                first=instruction.first,
                last=instruction.last,
                text=_on_one_line(instruction),
                created_by=created_by,
                key=self._key(work) if work else "",
                config=self.config,
                work=work,
                author=self.author,
                undefined=tuple(sorted(words.missing - set(self._declared))),
            )
        )

    def _follow_up(self, keyword: str) -> None:
        """Do what an instruction means for the settings of others."""
        self._has_cmd |= keyword == "CMD"
        if keyword == "ENV":
            self._variables = settings.variables_of(self.config)
        if keyword == "ENTRYPOINT" and not self._has_cmd:
            self.config.pop("Cmd", None)  # one that was meant for another entry point
        for key in ("Cmd", "Entrypoint"):
            if self.config.get(key) == []:
                del self.config[key]  # `CMD []` takes one away

    def _check_origin(self, name: str) -> None:
        """Refuse a stage that cannot be the origin of files here; other names are the builder's to find."""
        dockerfile, index = self._scope.dockerfile, self._stage.index
        if not name or name in self._scope.contexts or dockerfile.find(name, before=index):
            return
        found = dockerfile.find(name)
        if found is not None and found.index == index:
            raise UsageError(f"the stage {printable(name)} cannot take files from itself")
        if found is not None:
            raise UsageError(
                f"the stage {printable(name)} begins later, in line {found.first}",
                "a stage takes files from those before it: move it up",
            )
        if name.lstrip("+-").isdigit():
            count = len(dockerfile.stages)
            raise UsageError(f"there is no stage {printable(name)}", f"there are {count}, counted from 0")

    def _arg(self, instruction: Instruction, words: Words) -> str:
        shown = []
        for name, default in declarations(instruction, words):
            value = self._scope.arguments.value(name, default, words)
            if value is not None:
                self.arguments[name] = value
            self._declared[name] = value or ""
            shown.append(name if value is None else f"{name}={value}")
        return f"ARG {' '.join(shown)}"

    def _run(self, instruction: Instruction, words: Words) -> tuple[str, RunWork]:
        flags = Flags(instruction)
        network, security = flags.one("network", "default"), flags.one("security", "sandbox")
        _check_choice("network", network, _NETWORKS)
        _check_choice("security", security, _SECURITY)
        args, files = _command(instruction)
        argv = settings.in_shell(self.config, instruction, args)
        if not argv:
            raise UsageError("RUN has no command")
        if any("\0" in word for word in argv):  # of JSON, or a here-document
            raise UsageError("the command has a NUL in it")
        variables = self._variables
        env = {**variables, **{k: v for k, v in self.arguments.items() if k not in variables}}
        mounts = tuple(
            parse_mount(text, words.word, lambda path: settings.absolute(self.config, path))
            for text in flags.many("mount")
        )
        for mount in mounts:
            self._check_origin(mount.from_)
        work = RunWork(
            args=tuple(argv),
            env=tuple(f"{name}={value}" for name, value in env.items()),
            mounts=mounts,
            network=network,
            security=security,
            files=files,
        )
        given = [f"{name}={variables.get(name, value)}" for name, value in self._declared.items()]
        prefix = [f"|{len(given)}", *given] if given else []
        return " ".join(("RUN", *prefix, *argv)) + _LAYER, work

    def _copy(self, instruction: Instruction, words: Words) -> tuple[str, CopyWork]:
        keyword, args = instruction.keyword, instruction.args
        if len(args) < 2:
            raise UsageError(f"{keyword} needs a source and a destination")
        flags = Flags(instruction, words.word)
        sources, inline = [], []
        for word in args[:-1]:
            document = heredoc_of(word, instruction.heredocs)
            if document is None:
                sources.append(words.word(word))
            else:
                content = words.document(document.content) if document.expand else document.content
                inline.append((document.name, content))
        if heredoc_of(args[-1], instruction.heredocs) is not None:
            raise UsageError(f"the destination of {keyword} cannot be a here-document")
        given = words.word(args[-1])
        destination = settings.absolute(self.config, given)
        if given.endswith(("/", "/.")) or given in ("", "."):
            destination = destination.rstrip("/") + "/"
        if len(args) > 2 and not destination.endswith("/"):
            raise UsageError(
                f"{keyword} has several sources, so its destination must be a directory",
                f"end it with a slash: {printable(given)}/",
            )
        self._check_origin(flags.one("from"))
        work = CopyWork(
            is_add=keyword == "ADD",
            sources=tuple(sources),
            inline=tuple(inline),
            destination=destination,
            from_=flags.one("from"),
            chown=flags.one("chown"),
            chmod=flags.one("chmod"),
            link=flags.switch("link"),
            parents=flags.switch("parents"),
            exclude=flags.many("exclude"),
            checksum=flags.one("checksum"),
            keep_git_dir=flags.switch("keep-git-dir"),
            unpack=flags.switch("unpack") if "unpack" in flags else None,
        )
        shown = [flag for flag in instruction.flags if not flag.startswith("--from=")]
        names = [*sources, *(f"<<{name}" for name, _content in inline)]
        return " ".join((keyword, *shown, *names, given)) + _LAYER, work

    def _key(self, work: Work) -> str:
        """Return the canonical text of all that a layer depends on; a stage's name is no part of it."""
        values = {name: _plain(value) for name, value in work.as_dict().items() if name != "from_"}
        if isinstance(work, RunWork):
            values["cwd"] = self.config.get("WorkingDir") or "/"
        if not isinstance(work, CopyWork):
            values["user"] = self.config.get("User") or ""
        return jsonio.dumps([type(work).__name__, values])


def _on_one_line(instruction: Instruction) -> str:
    """Return the instruction for a display, with the beginning of what a here-document says."""
    text = " ".join(instruction.original.split())
    if instruction.keyword == "RUN" and instruction.heredocs:
        lines = instruction.heredocs[0].content.strip().splitlines() or [""]
        text += f" ({lines[0]}{'...' * (len(lines) > 1)})"
    return printable(text, _SHOWN)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.as_dict() if hasattr(value, "as_dict") else value


def _check_choice(flag: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"--{flag} is none of {', '.join(allowed)}: {printable(value)!r}")


def _command(instruction: Instruction) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return what of RUN goes to the shell, and the scripts it needs.

    A here-document alone is the command; one that begins with `#!` is a program of its own; others
    are given to the shell, which knows what to do with them.
    """
    args = instruction.args
    if not instruction.heredocs:
        return args, ()
    alone = heredoc_of(args[0], instruction.heredocs)
    if alone is None:
        documents = (f"\n{document.content}{document.name}" for document in instruction.heredocs)
        return ("".join((args[0], *documents)),), ()
    if alone.content.startswith("#!"):
        return (f"/dev/pipes/{alone.name}",), ((alone.name, alone.content),)
    return (alone.content,), ()
