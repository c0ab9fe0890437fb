"""Instructions that only say something about the image."""

from __future__ import annotations

from corpus.case import STARTER, Case, file, folder

FROM = f"FROM {STARTER}\n"
SECOND = 10**9  # durations are nanoseconds in the configuration

CASES = [
    Case(
        "env-in-both-forms",
        FROM + "ENV OLD all of this  'kept'\n"
        "ENV A=b C=\"d e\" F=g\\ h I='j k' L=\n"
        "RUN env | grep '^[ACFILO][=L]' | sort >/a\n",
    ),
    Case(
        "env-sees-the-values-of-the-line-before",
        FROM + "ENV A=old\nENV A=new B=$A\nENV C=$A\nRUN echo $A$B$C >/a\n",
    ),
    Case(
        "env-replaces-in-place",
        FROM + "ENV A=1 B=2\nENV PATH=/mine:$PATH\nENV A=3\nRUN env | grep -E '^(A|B|PATH)=' | sort >/a\n",
    ),
    Case("env-with-quotes", FROM + 'ENV A="a \'b\' \\"c\\"" B=\'"$A"\' C=a"b"\'c\'\n'),
    Case("labels", FROM + 'LABEL a=b "c d"="e f" g=\'h\' i.j/k=""\nLABEL a=again\nLABEL one two three\n'),
    Case("labels-over-lines", FROM + 'ENV V=1\nLABEL a="one \\\ntwo" \\\n  v=$V\n'),
    Case("maintainer", FROM + "MAINTAINER A Person <a@example.com>\nRUN echo x >/a\n"),
    Case("expose", FROM + "ENV P=90\nEXPOSE 80 443/tcp 53/udp\nEXPOSE $P/udp\n"),
    Case(
        "expose-ranges",
        FROM + "EXPOSE 7000-7002 8000-8001/udp\n",
        buildah="keeps a range as it is written",
        tree={},
        config={
            "ExposedPorts": {key: {} for key in ("7000/tcp", "7001/tcp", "7002/tcp", "8000/udp", "8001/udp")}
        },
    ),
    Case(
        "user-by-number",
        FROM + "RUN mkdir -m 777 /d\nUSER 1234\nRUN id -u >/d/a; id -g >>/d/a; umask >>/d/a\n",
    ),
    Case(
        "user-and-group-by-number",
        FROM + "RUN mkdir -m 777 /d\nUSER 1234:99\nRUN id -u >/d/a; id -g >>/d/a\n",
    ),
    Case(
        "user-by-name",
        FROM + "RUN mkdir -m 777 /d\nUSER daemon\nRUN id -un >/d/a; id -gn >>/d/a; echo $HOME >>/d/a\n",
    ),
    Case(
        "user-and-group-by-name",
        FROM + "RUN mkdir -m 777 /d\nUSER nobody:daemon\nRUN id >/d/a\nUSER root\nRUN id -u >/b\n",
    ),
    Case("user-from-a-variable", FROM + "ARG U=7\nENV G=8\nUSER ${U}:$G\n"),
    Case(
        "user-made-by-the-build",
        FROM + "RUN echo me:x:4321:4321::/home/me:/bin/sh >>/etc/passwd "
        "&& mkdir -m 777 /home/me\n"
        "USER me\n"
        "RUN echo $HOME >/home/me/a; id -u >>/home/me/a\n",
    ),
    Case(
        "workdir",
        FROM + "WORKDIR /a/b\nRUN pwd >here\nWORKDIR c\nRUN pwd >here\nWORKDIR ../d/./\nCOPY f .\n",
        {"f": "f"},
    ),
    Case("workdir-from-a-variable", FROM + "ENV D=/x/y\nWORKDIR $D/${E:-z}\nRUN pwd >/a\n"),
    Case("workdir-without-run", FROM + "WORKDIR /not/there\n"),
    Case("workdir-that-exists", FROM + "RUN mkdir -m 700 /d && chown 3:4 /d\nWORKDIR /d\nRUN touch a\n"),
    Case(
        "workdir-through-a-link",
        FROM + "RUN mkdir /real && ln -s real /alias\nWORKDIR /alias\nRUN touch a\nCOPY f .\n",
        {"f": "f"},
    ),
    Case(
        "volume",
        FROM + 'VOLUME /a /b\nVOLUME ["/c d", "/e"]\nENV V=/f\nVOLUME $V\n',
        buildah="makes the last directory",
        tree={},
        config={"Env": ["V=/f"], "Volumes": {name: {} for name in ("/a", "/b", "/c d", "/e", "/f")}},
    ),
    Case(
        "volume-keeps-what-is-written-later",
        FROM + "RUN mkdir /v && echo 1 >/v/before\nVOLUME /v\nRUN echo 2 >/v/after\nCOPY f /v/\n",
        {"f": "f"},
        buildah="drops what RUN writes to a volume",
        tree={
            "v": folder(),
            "v/before": file("1\n"),
            "v/after": file("2\n"),
            "v/f": file("f"),
        },
        config={"Volumes": {"/v": {}}},
    ),
    Case("entrypoint-in-both-forms", FROM + 'ENTRYPOINT ["/a", "$b"]\nCMD ["c"]\n'),
    Case("entrypoint-in-shell-form", FROM + "ENTRYPOINT exec /a $b\nCMD c 'd e'\n"),
    Case("entrypoint-resets-an-inherited-command", FROM + 'ENTRYPOINT ["/a"]\n'),
    Case("command-before-entrypoint-stays", FROM + 'CMD ["mine"]\nENTRYPOINT ["/a"]\n'),
    Case("the-last-command-counts", FROM + 'CMD ["one"]\nCMD two\nCMD ["three", "four"]\n'),
    Case("command-emptied", FROM + "CMD []\nENTRYPOINT []\n"),
    Case("stop-signal", FROM + "ARG S=USR1\nSTOPSIGNAL SIG$S\n"),
    Case("stop-signal-by-number", FROM + "STOPSIGNAL 9\n"),
    Case(
        "healthcheck",
        FROM
        + "HEALTHCHECK --interval=5m --timeout=3s --start-period=1s --retries=4 CMD wget -q x || exit 1\n",
    ),
    Case("healthcheck-in-exec-form", FROM + 'HEALTHCHECK CMD ["wget", "x"]\n'),
    Case("healthcheck-none", FROM + "HEALTHCHECK CMD x\nHEALTHCHECK NONE\n"),
    Case(
        "healthcheck-start-interval",
        FROM + "HEALTHCHECK --start-interval=500ms --interval=1m30s CMD x\n",
        buildah="no --start-interval before 1.34",
        tree={},
        config={
            "Healthcheck": {
                "Test": ["CMD-SHELL", "x"],
                "Interval": 90 * SECOND,
                "StartInterval": SECOND // 2,
            }
        },
    ),
    Case(
        "onbuild-is-kept",
        FROM + 'ONBUILD RUN echo $A\nONBUILD COPY . /src\nONBUILD CMD ["x"]\nRUN echo x >/a\n',
    ),
    Case(
        "onbuild-runs-in-the-next-stage",
        f"FROM {STARTER} AS base\nONBUILD COPY f /f\nONBUILD RUN echo triggered >/a\nONBUILD ENV T=1\n"
        "FROM base\nRUN cat /a >/b && echo $T >>/b\n",
        {"f": "f"},
    ),
    Case(
        "onbuild-copies-from-a-stage",
        f"FROM {STARTER} AS base\nONBUILD COPY --from=other /o /o\n"
        f"FROM {STARTER} AS other\nRUN echo o >/o\nFROM base\nRUN cp /o /p\n",
        buildah="no ONBUILD COPY --from of a stage",
        tree={"o": file("o\n"), "p": file("o\n")},
    ),
    Case(
        "onbuild-with-arguments",
        f"FROM {STARTER} AS base\n"
        "ONBUILD ARG A=default\n"
        "ONBUILD RUN echo $A >/a\n"
        "FROM base\n"
        "RUN echo $A >/b\n",
        options=("--build-arg", "A=given"),
    ),
    Case("shell-is-kept", FROM + 'SHELL ["/bin/ash", "-c"]\n'),
    Case(
        "instructions-of-the-base-stay",
        f"FROM {STARTER} AS one\n"
        "ENV A=b\n"
        "USER 5\n"
        "WORKDIR /w\n"
        "EXPOSE 1\n"
        "LABEL l=m\n"
        "VOLUME /v\n"
        'ENTRYPOINT ["e"]\n'
        'CMD ["c"]\n'
        "STOPSIGNAL 3\n"
        "FROM one\n"
        "ENV C=$A\n",
    ),
]
