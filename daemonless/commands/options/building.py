"""What `build` is told of the image, the context and the cache."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands import complete

_IMAGE = "Image"
_FILES = "Files"
_CACHE = "Cache"

Tag = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        "-t",
        metavar="NAME",
        help="Name the image; repeatable.",
        autocompletion=complete.images,
        rich_help_panel=_IMAGE,
    ),
]
Manifest = Annotated[
    str | None,
    typer.Option(
        "--manifest",
        metavar="LIST",
        help="Put the image on this list of images, which is made if it is not there.",
        rich_help_panel=_IMAGE,
    ),
]
Platform = Annotated[
    str | None,
    typer.Option(
        "--platform",
        metavar="OS/ARCH/VARIANT",
        help="Build for this platform, or for several, with commas between them: then the name is a list's.",
        rich_help_panel=_IMAGE,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="STAGE",
        help="Build this stage, by name or number.",
        autocompletion=complete.stages,
        rich_help_panel=_IMAGE,
    ),
]
BuildArg = Annotated[
    list[str] | None,
    typer.Option(
        "--build-arg",
        metavar="NAME=VALUE",
        help="Set an ARG of the Dockerfile; NAME alone takes the value of your environment; repeatable.",
        autocompletion=complete.build_args,
        rich_help_panel=_IMAGE,
    ),
]
BuildArgFile = Annotated[
    list[str] | None,
    typer.Option(
        "--build-arg-file",
        metavar="FILE",
        help="Set ARGs from the NAME=VALUE lines of a file; repeatable.",
        rich_help_panel=_IMAGE,
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        "--label", metavar="KEY=VALUE", help="Give the image a label; repeatable.", rich_help_panel=_IMAGE
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME=VALUE",
        help="Set a variable in the image, after all instructions, or copy the caller's; repeatable.",
        rich_help_panel=_IMAGE,
    ),
]
UnsetEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--unsetenv",
        metavar="NAME",
        help="Leave a variable out of the image; repeatable.",
        rich_help_panel=_IMAGE,
    ),
]
UnsetLabel = Annotated[
    list[str] | None,
    typer.Option(
        "--unsetlabel",
        metavar="KEY",
        help="Do not take over this label of base images; repeatable.",
        rich_help_panel=_IMAGE,
    ),
]
InheritLabels = Annotated[
    bool,
    typer.Option(
        "--inherit-labels/--no-inherit-labels",
        help="Take over the labels of base images.",
        rich_help_panel=_IMAGE,
    ),
]
OmitHistory = Annotated[
    bool,
    typer.Option(
        "--omit-history",
        help="Leave out of the image how it was made.",
        rich_help_panel=_IMAGE,
    ),
]
Annotation = Annotated[
    list[str] | None,
    typer.Option(
        "--annotation",
        metavar="KEY=VALUE",
        help="Annotate the image's manifest, or with index: before the key the list of several; repeatable.",
        rich_help_panel=_IMAGE,
    ),
]
Format = Annotated[
    Literal["oci", "docker"],
    typer.Option("--format", help="The kind of manifest and config to write.", rich_help_panel=_IMAGE),
]
Timestamp = Annotated[
    str | None,
    typer.Option(
        "--timestamp",
        metavar="SECONDS",
        help="Date the image and all its new files to this second since 1970, for the same digest each time.",
        rich_help_panel=_IMAGE,
    ),
]
SourceDateEpoch = Annotated[
    str | None,
    typer.Option(
        "--source-date-epoch",
        metavar="SECONDS",
        help="Date the image to this second, and let none of its new files be newer; "
        "$SOURCE_DATE_EPOCH if not given.",
        rich_help_panel=_IMAGE,
    ),
]
RewriteTimestamp = Annotated[
    bool,
    typer.Option(
        "--rewrite-timestamp/--no-rewrite-timestamp",
        help="Let --source-date-epoch change the times of files, too.",
        rich_help_panel=_IMAGE,
    ),
]
File = Annotated[
    str | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="Read this Dockerfile, an address, or - for standard input; "
        "if not given, Containerfile or Dockerfile of the context.",
        rich_help_panel=_FILES,
    ),
]
IgnoreFile = Annotated[
    str | None,
    typer.Option(
        "--ignorefile",
        metavar="FILE",
        help="Read this file instead of .dockerignore.",
        rich_help_panel=_FILES,
    ),
]
BuildContext = Annotated[
    list[str] | None,
    typer.Option(
        "--build-context",
        metavar="NAME=PLACE",
        help="Let --from=NAME mean a directory, an address, or docker-image://IMAGE; repeatable.",
        rich_help_panel=_FILES,
    ),
]
Iidfile = Annotated[
    str | None,
    typer.Option(
        "--iidfile", metavar="FILE", help="Write the image's ID to this file.", rich_help_panel=_FILES
    ),
]
MetadataFile = Annotated[
    str | None,
    typer.Option(
        "--metadata-file",
        metavar="FILE",
        help="Write digests and name of the image to this file, as JSON.",
        rich_help_panel=_FILES,
    ),
]
BuildSecret = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="id=ID,src=FILE",
        help="Let RUN --mount=type=secret have a file, or with env=NAME a variable; repeatable.",
        rich_help_panel=_FILES,
    ),
]
Ssh = Annotated[
    list[str] | None,
    typer.Option(
        "--ssh",
        metavar="ID=PATH",
        help="Let RUN --mount=type=ssh have your agent (default), its socket, or keys; repeatable.",
        rich_help_panel=_FILES,
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Make all steps anew.", rich_help_panel=_CACHE)]
NoCacheFilter = Annotated[
    list[str] | None,
    typer.Option(
        "--no-cache-filter",
        metavar="STAGE",
        help="Make the steps of this stage anew; repeatable.",
        autocompletion=complete.stages,
        rich_help_panel=_CACHE,
    ),
]
CacheTtl = Annotated[
    str | None,
    typer.Option(
        "--cache-ttl",
        metavar="TIME",
        help="Make steps anew that were made longer ago, such as 24h.",
        rich_help_panel=_CACHE,
    ),
]
CacheFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--cache-from",
        metavar="PLACE",
        help="Look for steps in another cache too: type=local,src=DIRECTORY, or type=registry,ref=NAME; "
        "repeatable.",
        rich_help_panel=_CACHE,
    ),
]
CacheTo = Annotated[
    list[str] | None,
    typer.Option(
        "--cache-to",
        metavar="PLACE",
        help="Save the steps and cache mounts of this build: type=local,dest=DIRECTORY[,mode=max]"
        "[,max-size=SIZE], type=registry,ref=NAME, or type=inline; repeatable.",
        rich_help_panel=_CACHE,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="NUMBER",
        help="Make so many steps at a time; as many as there are processors if not given.",
        rich_help_panel=_CACHE,
    ),
]
Pull = Annotated[
    Literal["always", "missing", "never", "newer", "true", "false"],
    typer.Option(
        "--pull",
        help="Choose when base images are pulled; newer does without where that fails, true is always, "
        "false missing; alone it means always.",
        rich_help_panel=_IMAGE,
    ),
]
Check = Annotated[
    bool,
    typer.Option("--check", help="Build nothing; say what in the Dockerfile is likely not meant."),
]
Call = Annotated[
    Literal["build", "check"],
    typer.Option("--call", help="What to do; check is what --check does."),
]
Volume = Annotated[
    list[str] | None,
    typer.Option(
        "--volume",
        "-v",
        metavar="SOURCE:TARGET:OPTIONS",
        help="Mount a file or directory of this machine in each RUN, which is in no layer then; what is in "
        "it does not count for the cache; options are ro, rw, z, Z and those of mount(8); repeatable.",
        rich_help_panel=_FILES,
    ),
]
Layers = Annotated[
    bool,
    typer.Option(
        "--layers/--no-layers",
        help="Keep a layer for each step; without, all steps are made anew, and one layer of them.",
        rich_help_panel=_IMAGE,
    ),
]
Squash = Annotated[
    bool,
    typer.Option(
        "--squash", help="Make one layer of all that are not the base image's.", rich_help_panel=_IMAGE
    ),
]
SquashAll = Annotated[
    bool,
    typer.Option(
        "--squash-all", help="Make one layer of all, the base image's included.", rich_help_panel=_IMAGE
    ),
]
OnError = Annotated[
    Literal["remove", "keep"],
    typer.Option(
        "--on-error",
        help="What becomes of what a RUN that fails has left; keep makes a container of it, to look inside.",
    ),
]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PLACE",
        help="Put the result there: a directory, - for a tar archive on standard output, or "
        "type=local|tar|oci|docker|image|registry[,dest=PLACE ...]; repeatable.",
        rich_help_panel=_FILES,
    ),
]
Load = Annotated[
    bool,
    typer.Option("--load", help="Keep the image here, whatever else --output says.", rich_help_panel=_IMAGE),
]
Push = Annotated[
    bool, typer.Option("--push", help="Push the image under each of its names.", rich_help_panel=_IMAGE)
]
Progress = Annotated[
    Literal["auto", "plain", "tty", "rawjson", "quiet"],
    typer.Option("--progress", help="How to show what happens; auto asks whether stderr is a terminal."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="ENTITLEMENT",
        help="Allow security.insecure, for RUN --security=insecure, or network.host; repeatable.",
        rich_help_panel="Privileges and namespaces",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        "-m",
        metavar="SIZE",
        help="Limit the memory of each RUN, with a unit b, k, m or g.",
        rich_help_panel="Limits",
    ),
]
MemorySwap = Annotated[
    str | None,
    typer.Option(
        "--memory-swap",
        metavar="SIZE",
        help="Limit memory and swap together; -1 does not limit swap.",
        rich_help_panel="Limits",
    ),
]
Cpus = Annotated[
    str | None,
    typer.Option(
        "--cpus",
        metavar="NUMBER",
        help="Let each RUN use so much of the processors, such as 1.5.",
        rich_help_panel="Limits",
    ),
]
