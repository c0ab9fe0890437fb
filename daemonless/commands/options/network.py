"""The container's network."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "Network"

Network = Annotated[
    str | None,
    typer.Option(
        "--network",
        "--net",
        metavar="MODE",
        help="Choose none, host or slirp4netns; slirp4netns, a private network, if not given.",
        rich_help_panel=PANEL,
    ),
]
Publish = Annotated[
    list[str] | None,
    typer.Option(
        "--publish",
        "-p",
        metavar="IP:HOST:PORT/PROTOCOL",
        help="Make a port, or a range, of the container reachable on the host; repeatable.",
        rich_help_panel=PANEL,
    ),
]
Expose = Annotated[
    list[str] | None,
    typer.Option(
        "--expose",
        metavar="PORT/PROTOCOL",
        help="Note that the container listens on a port, or a range; repeatable.",
        rich_help_panel=PANEL,
    ),
]
PublishAll = Annotated[
    bool,
    typer.Option(
        "--publish-all",
        "-P",
        help="Publish all ports that the image or --expose notes, at free ports of the host.",
        rich_help_panel=PANEL,
    ),
]
Dns = Annotated[
    list[str] | None,
    typer.Option(
        "--dns",
        metavar="ADDRESS",
        help="Ask this name server, or none to leave resolv.conf alone; repeatable.",
        rich_help_panel=PANEL,
    ),
]
DnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--dns-option",
        "--dns-opt",
        metavar="OPTION",
        help="Set a resolver option; repeatable.",
        rich_help_panel=PANEL,
    ),
]
DnsSearch = Annotated[
    list[str] | None,
    typer.Option(
        "--dns-search",
        metavar="DOMAIN",
        help="Search this domain for short names, or . for no domain; repeatable.",
        rich_help_panel=PANEL,
    ),
]
AddHost = Annotated[
    list[str] | None,
    typer.Option(
        "--add-host",
        metavar="NAME:ADDRESS",
        help="Add a line to /etc/hosts; the address may be host-gateway; repeatable.",
        rich_help_panel=PANEL,
    ),
]
HostsFile = Annotated[
    str | None,
    typer.Option(
        "--hosts-file",
        metavar="FILE",
        help="Begin /etc/hosts with this file; none begins with nothing but the container itself.",
        rich_help_panel=PANEL,
    ),
]
NoHosts = Annotated[
    bool,
    typer.Option("--no-hosts", help="Leave the image's /etc/hosts as it is.", rich_help_panel=PANEL),
]
MacAddress = Annotated[
    str | None,
    typer.Option(
        "--mac-address",
        metavar="ADDRESS",
        help="Give the container's interface this hardware address.",
        rich_help_panel=PANEL,
    ),
]
Hostname = Annotated[
    str | None,
    typer.Option(
        "--hostname",
        "-h",
        metavar="NAME",
        help="Set the host name; the first twelve digits of the ID if not given.",
        rich_help_panel=PANEL,
    ),
]
