"""build: an image from a Dockerfile."""

from __future__ import annotations

import os
import time

from daemonless import clock, events
from daemonless.actions.args import Args
from daemonless.actions.build_caches import Caches
from daemonless.actions.build_results import forget, tell
from daemonless.actions.create import find_image, have_layers
from daemonless.actions.names import new_reference
from daemonless.build.annotations import annotations_of
from daemonless.build.building import Builder
from daemonless.build.contexts import open_context, parse_named
from daemonless.build.lookup import StepCache
from daemonless.build.overrides import Overrides
from daemonless.build.planning import Plan
from daemonless.build.progress import make_report
from daemonless.build.request import BuildRequest, Times
from daemonless.build.runoptions import run_settings
from daemonless.build.sources import Sources
from daemonless.build.steps import Steps
from daemonless.build.workspace import Workspace
from daemonless.containers import grammar
from daemonless.containers.request import RunRequest
from daemonless.containers.variables import read_text
from daemonless.dockerfile.document import DockerfileError
from daemonless.dockerfile.parse import parse
from daemonless.errors import NotFound, UsageError, printable
from daemonless.images.leases import Lease
from daemonless.isolation.userns import load_id_map
from daemonless.oci.digest import is_hex
from daemonless.oci.image import asked_platform, host_platform, parse_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from daemonless.actions.build_output import Outputs
    from daemonless.build.contexts import Context
    from daemonless.build.finishing import Finished
    from daemonless.build.report import Report
    from daemonless.dockerfile.checks import Checked
    from daemonless.images.store import Image
    from daemonless.oci.reference import Reference

_ATTEMPTS = 3  # to get hold of an image that others remove
_SHORT_ID = 12  # digits, as `images` shows them
_PULL = {"true": "always", "false": "missing"}  # docker's words for --pull, which is a boolean there


def main(args: Args) -> int:
    """Build the image, or one for each platform and a list of them, and print its id."""
    args = _completed(args)
    if not args.check:
        forget(args)
    platforms = [platform for platform in (args.platform or "").split(",") if platform]
    try:
        with Lease(args.paths.data) as lease:
            if len(platforms) > 1 or args.manifest:
                from daemonless.actions.build_list import build_list  # noqa: PLC0415 - seldom asked for

                if built_list := build_list(args, platforms, lease, _build):
                    print(built_list.partition(":")[2])
                return 0
            if annotations_of(args.annotation, host_platform()).index:
                raise UsageError(
                    "--annotation index: is for a list of images, and this is a build of one",
                    "leave index: out, or build for several platforms",
                )
            built = _build(args, lease)
    except DockerfileError as error:
        excerpt = error.excerpt()
        if excerpt:
            os.write(2, f"{excerpt}\n".encode("utf-8", "backslashreplace"))
        raise
    if built is not None:
        print(built.id.partition(":")[2])
    return 0


def _completed(args: Args) -> Args:
    """Return the options with one --platform for all that say so, and one --check. Raises UsageError."""
    platform = args.platform or os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    if args.os or args.arch or args.variant:
        if "," in platform:
            raise UsageError("--os, --arch and --variant cannot be used with several platforms")
        asked = asked_platform(
            platform, os=args.os or "", architecture=args.arch or "", variant=args.variant or ""
        )
        platform = str(asked)
    check = args.check or args.call == "check"
    return Args({**vars(args), "platform": platform or None, "check": check}, {})


def _build(args: Args, lease: Lease, *, listed: bool = True) -> Finished | None:
    """Build the image and return it; None if none is to be had from the store.

    Unless it is `listed`, nobody but the holder of the lease can come by it.
    """
    _refuse_attestations(args)
    pull = _PULL.get(args.pull, args.pull)
    tags = tuple(new_reference(name) for name in args.tag)
    outputs = _outputs(args, tags)
    arguments = _arguments(args)
    caches = Caches(args, arguments)
    id_map = load_id_map(os.getuid(), os.getgid())
    report = make_report("quiet" if args.quiet else args.progress)
    puller = args if report.is_for_people else Args({**vars(args), "quiet": True}, {})

    def obtain(name: str, platform: str) -> Image:
        if is_hex(name) and len(name) < _SHORT_ID:
            name += ":latest"  # a stage by a wrong name is not the image whose ID happens to begin so
        given = _for_platform(puller, platform or args.platform)
        request = RunRequest(image=name, pull=pull, platform=_parts(given.platform))
        for _ in range(_ATTEMPTS):
            image = find_image(given, request)
            have_layers(puller, image, id_map)
            if cache.hold(image):
                return image
        raise NotFound(f"image {printable(name)} was removed while the build looked at it", "build again")

    named = [parse_named(text) for text in args.build_context]
    with Workspace(args.paths.data) as workspace:
        staging = f"{workspace.path}/context"
        context = open_context(
            args.context or ".",
            staging,
            file=args.file or "",
            ignore_file=args.ignorefile or "",
            keep_git_dir=arguments.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "") in ("1", "true"),
        )
        sources = Sources(context, named, staging, args.paths.cache)
        for line in context.warnings:
            report.warn(line)
        request = _request(args, context, arguments).replace(
            tags=outputs.tags if outputs else tags,
            listed=listed and (outputs is None or outputs.is_listed),
            is_one_of_many=not listed,
            inline_cache=caches.is_inline,
        )
        steps = Steps(
            args.paths,
            id_map,
            directory=workspace.path,
            lease=lease,
            sources=sources,
            settings=run_settings(args, dict(request.arguments), warn=report.warn, caller=os.environ),
            times=request.times,
        )
        cache = StepCache(args.paths, id_map, lease, caches.open(request.platform), oldest=_oldest(args))
        plan = Plan(request, sources, obtain)
        for name in plan.unused_arguments():
            report.warn(f"--build-arg {printable(name)} is not used by this Dockerfile")
        _tell(args, request, plan.check(), report)
        if args.check:
            return None
        builder = Builder(
            args.paths, request, plan, id_map, lease=lease, steps=steps, cache=cache, report=report
        )
        report.planned(plan.tasks)
        with report:
            built = builder.build()
            if outputs:
                outputs.write(builder, built, id_map, workspace.new_directory())
            caches.save(builder, cache, id_map)
            report.finished(built.id, [str(reference) for reference in request.tags])
    sources.save()
    names = [str(reference) for reference in request.tags]
    tell(args, built.id, _metadata(built, names))
    if not listed:
        return built
    if not request.listed:
        return None
    for name in names or [""]:
        events.record(args.paths, "image", "build", built.id.partition(":")[2], name=name)
    if outputs:
        outputs.push(quiet=not report.is_for_people)
    return None if outputs and outputs.to_stdout else built


def _refuse_attestations(args: Args) -> None:
    """Raise UsageError if attestations are asked for; scripts often ask that there be none."""
    for option, value in (("--provenance", args.provenance), ("--sbom", args.sbom)):
        if value not in (None, "false", "0"):
            raise UsageError(
                f"cannot make attestations, which {option}={printable(value)} asks for",
                f"leave {option} out, or say {option}=false",
            )


def _outputs(args: Args, tags: tuple[Reference, ...]) -> Outputs | None:
    """Return where the result goes besides the store, if anywhere."""
    if not args.output and not args.push:
        return None
    from daemonless.actions.build_output import Outputs  # noqa: PLC0415 - few builds have any

    return Outputs(args, tags)


def _tell(args: Args, request: BuildRequest, checked: Checked, report: Report) -> None:
    """Print what the checks found. Raises UsageError if that is to be an error."""
    name = request.dockerfile.name
    for finding in checked.findings:
        line = f"{name}:{finding.first}: {finding.message} ({finding.rule})"
        if args.check:
            print(line)
        elif not args.quiet:
            report.warn(line)
    rules = ", ".join(dict.fromkeys(finding.rule for finding in checked.findings))
    if checked.is_error or (args.check and checked.findings):
        raise UsageError(
            f"the Dockerfile does not pass its checks: {rules}",
            "a line `# check=skip=RULE` above an instruction, or at the top, leaves a rule out",
            exit_status=1 if args.check else None,
        )
    if args.check and not args.quiet:
        os.write(2, b"Check complete, no warnings found.\n")


def _request(args: Args, context: Context, arguments: dict[str, str]) -> BuildRequest:
    if args.timestamp and args.source_date_epoch:
        raise UsageError("--timestamp and --source-date-epoch cannot be used together")
    said = (
        args.source_date_epoch
        or arguments.get("SOURCE_DATE_EPOCH")
        or os.environ.get("SOURCE_DATE_EPOCH", "")
    )
    epoch, times = None, None
    if args.timestamp:
        epoch = clock.epoch_of(args.timestamp, "--timestamp")
        times = Times(epoch=epoch, all=True)
    elif said:
        epoch = clock.epoch_of(said, "SOURCE_DATE_EPOCH")
        times = Times(epoch=epoch) if args.rewrite_timestamp else None
    platform = parse_platform(args.platform) if args.platform else host_platform()
    return BuildRequest(
        dockerfile=parse(context.dockerfile, os.path.basename(context.dockerfile_name)),
        target=args.target or "",
        arguments=tuple(arguments.items()),
        platform=platform,
        build_platform=host_platform(),
        overrides=_overrides(args),
        keep_history=not args.omit_history,
        annotations=annotations_of(args.annotation, platform).manifest,
        format=args.format,
        squash="all" if args.squash_all else "new" if args.squash or not args.layers else "",
        use_cache=not args.no_cache and args.layers,
        uncached_stages=args.no_cache_filter,
        keep_failed=args.on_error == "keep",
        jobs=_jobs(args),
        epoch=epoch,
        times=times,
    )


def _jobs(args: Args) -> int:
    """Return how many steps are made at a time. Raises UsageError."""
    if (args.jobs or 0) < 0:
        raise grammar.refusal("--jobs", str(args.jobs), "it is not a number of steps")
    return args.jobs or os.cpu_count() or 1


def _oldest(args: Args) -> str:
    """Return the time that --cache-ttl says, as steps have it. Raises UsageError."""
    if not args.cache_ttl:
        return ""
    age = 0 if args.cache_ttl == "0" else clock.duration(args.cache_ttl)
    if age is None:
        raise grammar.refusal("--cache-ttl", args.cache_ttl, "it is not a length of time such as 24h")
    return clock.timestamp(max(time.time_ns() - age, 0))


def _overrides(args: Args) -> Overrides:
    variables = [entry for value in args.env for entry in grammar.variable(value, os.environ)]
    return Overrides(
        labels=tuple(grammar.key_value(value, "--label") for value in args.label),
        without_labels=args.unsetlabel,
        inherit_labels=args.inherit_labels,
        variables=tuple(_variables(variables).items()),
        without_variables=args.unsetenv,
    )


def _arguments(args: Args) -> dict[str, str]:
    """Return the values of --build-arg-file and --build-arg; a name alone takes the caller's variable."""
    found: dict[str, str] = {}
    for path in args.build_arg_file:
        text = read_text(path, "--build-arg-file")
        found |= _variables(grammar.variables_of_file(text, path, os.environ))
    for value in args.build_arg:
        if not value.partition("=")[0]:
            raise UsageError(f"--build-arg {printable(value)!r} is not NAME=VALUE")
        found |= _variables(grammar.variable(value, os.environ))
    return found


def _variables(entries: Iterable[str]) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _for_platform(args: Args, platform: str | None) -> Args:
    """Return the options of a pull for one platform."""
    return Args({**vars(args), "platform": platform, "os": None, "arch": None, "variant": None}, {})


def _parts(platform: str | None) -> tuple[str, str, str]:
    if not platform:
        return "", "", ""
    parsed = parse_platform(platform)
    return parsed.os, parsed.architecture, parsed.variant


def _metadata(built: Finished, names: list[str]) -> dict[str, Any]:
    return {
        "containerimage.config.digest": built.id,
        "containerimage.descriptor": built.descriptor.to_json(),
        "containerimage.digest": built.digest,
        **({"image.name": ",".join(names)} if names else {}),
    }
