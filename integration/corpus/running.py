"""RUN: what it may do to the files, and its mounts."""

from __future__ import annotations

from corpus.case import STARTER, Case, file, folder

FROM = f"FROM {STARTER}\n"

CASES = [
    Case(
        "run-leaves-nothing-of-its-own", FROM + "RUN true\n", buildah="leaves the files it mounts on", tree={}
    ),
    Case(
        "run-sees-resolver-and-hosts",
        FROM + "RUN grep -q localhost /etc/hosts && test -s /etc/resolv.conf && echo x >/a\n",
    ),
    Case("run-removes-files-of-the-base", FROM + "RUN rm /etc/group && rm -r /home && rmdir /var/tmp\n"),
    Case(
        "run-removes-what-an-earlier-step-made",
        FROM + "RUN mkdir -p /d/e && touch /d/a /d/e/b\n"
        "RUN rm -r /d/e && touch /d/c\n"
        "RUN rm -r /d\n"
        "RUN mkdir /d\n",
    ),
    Case(
        "run-replaces-a-directory",
        FROM + "RUN mkdir /d && touch /d/a /d/b\nRUN rm -r /d && mkdir /d && touch /d/c\n",
    ),
    Case(
        "run-turns-a-directory-into-a-file",
        FROM + "RUN mkdir /d && touch /d/a && touch /f\n"
        "RUN rm -r /d && echo x >/d && rm /f && mkdir /f && touch /f/g\n",
    ),
    Case(
        "run-renames",
        FROM + "RUN mkdir -p /d/e && echo x >/d/e/f\n"
        "RUN mv /d /moved && mv /etc/group /etc/group.old && mv /home /usr/home\n",
    ),
    Case(
        "run-changes-modes-and-owners",
        FROM + "RUN touch /a && chmod 4755 /a\n"
        "RUN chown 5:6 /a; chmod 1700 /home; chown -h 7:8 /bin/sh; chown 9:10 /etc/passwd; chmod 2711 /usr\n",
    ),
    Case(
        "run-makes-links",
        FROM + "RUN echo x >/a && ln /a /b && ln -s a /c && mkfifo /p && ln -s /nowhere /e && ln /b /f\n",
    ),
    Case(
        "run-links-across-steps",
        FROM + "RUN echo x >/a && ln /a /b\nRUN echo y >>/a\n",
        buildah="makes one layer of all steps",
        tree={"a": file("x\ny\n"), "b": file("x\n")},  # overlayfs copies up one name only
    ),
    Case("run-with-a-umask", FROM + "RUN umask 077 && mkdir /d && touch /d/f && umask\n"),
    Case(
        "run-and-the-groups-of-a-user",
        FROM + "RUN echo extra:x:600:me >>/etc/group\n"
        "RUN echo me:x:500:500::/:/bin/sh >>/etc/passwd && mkdir -m 777 /d\n"
        "USER me\n"
        "RUN id -G >/d/a\n",
    ),
    Case(
        "run-writes-everywhere",
        FROM + "RUN echo x >/tmp/t && echo y >/var/tmp/u && mkdir -p /opt/o /srv/s "
        "&& (cd root; echo z >r) && echo w >/run/w\n",
    ),
    Case("run-appends-in-steps", FROM + "".join(f"RUN echo {n} >>/log\n" for n in range(8))),
    Case("run-reads-standard-input-as-empty", FROM + "RUN cat >/a; test ! -t 0 && echo no terminal >>/a\n"),
    Case(
        "run-sparse-and-large-files",
        FROM + "RUN dd if=/dev/zero of=/sparse bs=1 count=1 seek=5000000 2>/dev/null "
        "&& yes text | head -c 300000 >/big\n",
    ),
    Case(
        "run-without-network",
        FROM + "RUN --network=none wc -l </proc/net/route >/a\n",
        buildah="chroot isolation has the host's network only",
        tree={"a": file("1\n")},  # the line of titles
    ),
    Case(
        "run-with-the-network-of-the-host",
        FROM + "RUN --network=host wget -q -O /a {http}/plain.txt\n",
        buildah="no RUN --network before 1.31",
        tree={"a": file("served over http\n")},
    ),
    Case(
        "run-in-the-default-security",
        FROM + "RUN --security=sandbox echo x >/a\n",
        buildah="no --security",
        tree={"a": file("x\n")},
    ),
    Case(
        "run-insecure",
        FROM + "RUN --security=insecure grep -c '^CapEff:.*ffffffff$' /proc/self/status >/a\n",
        options=("--allow", "security.insecure"),
        buildah="no --security",
        tree={"a": file("1\n")},
    ),
    # --- mounts ---
    Case(
        "mount-the-context",
        FROM + "RUN --mount=type=bind,target=/m cat /m/f /m/d/g >/a\n",
        {"f": "f", "d/g": "g"},
    ),
    Case(
        "mount-without-a-type",
        FROM + "RUN --mount=target=/tmp/m,source=d cat /tmp/m/g >/a\n",
        {"d/g": "g"},
        buildah="leaves the mount point in /tmp",
        tree={"a": file("g")},
    ),
    Case(
        "mount-a-file",
        FROM + "RUN --mount=type=bind,source=f,target=/etc/mounted cat /etc/mounted >/a\n",
        {"f": "f"},
    ),
    Case(
        "mount-is-read-only",
        FROM + "RUN --mount=type=bind,target=/m touch /m/x 2>/dev/null || echo read-only >/a\n",
    ),
    Case(
        "mount-discards-what-is-written",
        FROM + "RUN --mount=type=bind,target=/m,rw echo x >/m/f && cat /m/f >/a\n"
        "RUN --mount=type=bind,target=/m cat /m/f >/b\n",
        {"f": "old\n"},
        buildah="writes to the context",
        tree={"a": file("x\n"), "b": file("old\n")},
    ),
    Case(
        "mount-respects-dockerignore",
        FROM + "RUN --mount=type=bind,target=/m ls -A /m | sort >/a\n",
        {"f": "f", "g.log": "g", ".dockerignore": "*.log\nDockerfile\n.dockerignore\n"},
        buildah="mounts ignored files too",
        tree={"a": file("f\n")},
    ),
    Case(
        "mount-a-stage",
        f"FROM {STARTER} AS one\n"
        "RUN mkdir /o && echo o >/o/f\n"
        f"{FROM}RUN --mount=type=bind,from=one,source=/o,target=/m cat /m/f >/a\n",
    ),
    Case(
        "mount-an-image",
        FROM + f"RUN --mount=from={STARTER},target=/m head -n 1 /m/etc/passwd >/a\n",
    ),
    Case(
        "mount-over-what-is-there",
        FROM + "RUN --mount=type=bind,source=d,target=/home ls /home >/a\n",
        {"d/g": "g"},
        buildah="removes the mount point though the image has it",
        tree={"a": file("g\n")},
    ),
    Case(
        "mount-a-cache",
        FROM + "RUN --mount=type=cache,id=c-{salt},target=/c echo x >/c/f\n"
        "RUN --mount=type=cache,id=c-{salt},target=/other cat /other/f >/a; ls /c >>/a"
        " 2>/dev/null || echo gone >>/a\n",
    ),
    Case(
        "mount-a-cache-with-mode-and-owner",
        FROM
        + "RUN --mount=type=cache,id=m-{salt},target=/c,mode=0711,uid=5,gid=6 stat -c '%a %u %g' /c >/a\n",
    ),
    Case(
        "mount-a-cache-with-content",
        f"FROM {STARTER} AS seed\nRUN mkdir /s && echo seeded >/s/f\n{FROM}"
        "RUN --mount=type=cache,id=s-{salt},from=seed,source=/s,target=/c cat /c/f >/a; echo y >/c/g\n"
        "RUN --mount=type=cache,id=s-{salt},from=seed,source=/s,target=/c cat /c/f /c/g >/b\n",
    ),
    Case(
        "mount-a-private-and-a-locked-cache",
        FROM + "RUN --mount=type=cache,id=p-{salt},target=/p,sharing=private"
        " --mount=type=cache,id=l-{salt},target=/l,sharing=locked "
        "echo p >/p/f && echo l >/l/f && cat /p/f /l/f >/a\n",
        buildah="no sharing=private",
        tree={"a": file("p\nl\n")},
    ),
    Case(
        "mount-a-cache-read-only",
        FROM + "RUN --mount=type=cache,id=r-{salt},target=/c echo x >/c/f\n"
        "RUN --mount=type=cache,id=r-{salt},target=/c,ro cat /c/f >/a; touch /c/g 2>/dev/null"
        " || echo read-only >>/a\n",
    ),
    Case(
        "mount-a-tmpfs",
        FROM + "RUN --mount=type=tmpfs,target=/t,size=1m stat -f -c %T /t >/a; head -c 2000000"
        " /dev/zero 2>/dev/null >/t/f || echo full >>/a\n",
        buildah="knows tmpfs-size, not size",
        tree={"a": file("tmpfs\nfull\n")},
    ),
    Case(
        "mount-a-secret",
        FROM + "RUN --mount=type=secret,id=key cat /run/secrets/key >/a; stat -c '%a %u %g'"
        " /run/secrets/key >>/a\n"
        "RUN ls /run >>/a\n",
        options=("--secret", "id=key,src={case}/key"),
        beside={"key": "very secret\n"},
        buildah="leaves /run/secrets",
        tree={"a": file("very secret\n400 0 0\n")},
    ),
    Case(
        "mount-a-secret-elsewhere",
        FROM + "RUN --mount=type=secret,id=key,target=/etc/k,mode=0440,uid=3,gid=4 cat /etc/k >/a;"
        " stat -c '%a %u %g' /etc/k >>/a\n",
        options=("--secret", "id=key,src={case}/key"),
        beside={"key": "very secret\n"},
    ),
    Case(
        "mount-a-secret-of-the-environment",
        FROM + "RUN --mount=type=secret,id=KEY cat /run/secrets/KEY >/a\n",
        options=("--secret", "id=KEY,env=OF_CALLER"),
        env={"OF_CALLER": "secret"},
        buildah="leaves /run/secrets",
        tree={"a": file("secret")},
    ),
    Case(
        "secret-as-a-variable",
        FROM + 'RUN --mount=type=secret,id=key,env=KEY echo "$KEY" >/a; test ! -e /run/secrets/key\n'
        'RUN echo "[$KEY]" >/b\n',
        options=("--secret", "id=key,src={case}/key"),
        beside={"key": "very secret"},
        buildah="no env= before 1.44",
        tree={"a": file("very secret\n"), "b": file("[]\n")},
    ),
    Case(
        "secret-that-is-not-required",
        FROM + "RUN --mount=type=secret,id=none ls /run/secrets 2>/dev/null >/a; echo x >>/a\n",
        buildah="leaves /run/secrets",
        tree={"a": file("x\n")},
    ),
    Case(
        "ssh-that-is-not-required",
        FROM + 'RUN --mount=type=ssh echo "[$SSH_AUTH_SOCK]" >/a\n',
    ),
    Case(
        "several-mounts",
        FROM + "RUN --mount=type=bind,target=/m --mount=type=tmpfs,target=/t \\\n "
        " --mount=type=cache,id=v-{salt},target=/c cp /m/f /t/f && cp /t/f /c/f && cat /c/f >/a\n",
        {"f": "f"},
    ),
    Case(
        "mount-points-of-the-image-stay",
        FROM
        + "RUN mkdir -p -m 750 /m && echo x >/m/own\nRUN --mount=type=tmpfs,target=/m ls -A /m | wc -l >/a\n",
        tree={"a": file("0\n"), "m": folder(0o750), "m/own": file("x\n")},
        buildah="removes the mount point though the image has it",
    ),
]
