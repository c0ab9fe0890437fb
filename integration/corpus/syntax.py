"""How a Dockerfile is written: case, comments, continuations, directives, forms, here-documents."""

from __future__ import annotations

from corpus.case import STARTER, Case, file, folder

FROM = f"FROM {STARTER}\n"

CASES = [
    Case(
        "instructions-in-lower-case",
        f"from {STARTER}\nenv A=b\nrun echo $A >/a\ncopy f /f\n",
        {"f": "f"},
    ),
    Case(
        "continued-lines-with-comments",
        FROM
        + "# a comment\nRUN echo one >/a && \\\n  # inside\n  echo two >>/a && \\\n\n  echo three >>/a\n"
        + "ENV A=1 \\\n    # of ENV\n    B=2\n",
    ),
    Case("leading-blanks", f"   FROM {STARTER}\n\t RUN echo x >/a\n    # comment\n  ENV A=b\n"),
    Case(
        "a-comment-sign-within-arguments",
        FROM + "RUN echo '# not a comment' >/a # but this is the shell's\nENV A=#b\nLABEL x=\"# y\"\n",
    ),
    Case(
        "escape-directive",
        f"# escape=`\nFROM {STARTER}\nRUN echo one >/a && `\n    echo 'C:\\dir' >>/a\nENV A=`$B C=\\\\x\n",
        buildah="takes a backslash for the escape of words all the same",
        tree={"a": file("one\nC:\\dir\n")},
        config={"Env": ["A=$B", "C=\\\\x"]},
    ),
    Case(
        "escape-after-a-comment-is-no-directive",
        f"# a comment\n# escape=`\nFROM {STARTER}\nRUN echo a && \\\n echo x >/a\n",
    ),
    Case(
        "syntax-directive-of-any-version",
        f"# syntax=docker/dockerfile:1.99-unknown\nFROM {STARTER}\nRUN echo x >/a\n",
    ),
    Case(
        "check-directive",
        f"# check=skip=all;error=true\nFROM {STARTER} as X\nMAINTAINER me\nRUN echo x >/a\n",
    ),
    Case("lines-that-end-in-crlf", f"FROM {STARTER}\r\nENV A=b \\\r\n  C=d\r\nRUN echo $A$C >/a\r\n"),
    Case("byte-order-mark", f"\ufeffFROM {STARTER}\nRUN echo x >/a\n"),
    Case("run-in-shell-form", FROM + 'ENV A=b\nRUN printf "%s|" "$A" $HOME \'$A\' >/a\n'),
    Case("run-in-exec-form", FROM + 'ENV A=b\nRUN ["touch", "/$A", "/with space"]\n'),
    Case("invalid-json-is-shell-form", FROM + "RUN ['/bin/echo', 'x'] >/a || echo y >/b\nCMD [ 'a' ]\n"),
    Case(
        "json-with-escapes",
        FROM + 'RUN ["sh", "-c", "printf \'%s\' \\"\\u00e4\\tb\\" >/a"]\nCMD ["a\\\\b", "c\\"d", ""]\n',
    ),
    Case(
        "shell-changes-what-follows",
        FROM + 'SHELL ["/bin/sh", "-ec"]\nRUN echo $- >/a\nCMD x\nENTRYPOINT y\n',
        buildah="takes /bin/sh -c for CMD and ENTRYPOINT all the same",
        tree={"a": file("ce\n")},
        config={
            "Cmd": ["/bin/sh", "-ec", "x"],
            "Entrypoint": ["/bin/sh", "-ec", "y"],
            "Shell": ["/bin/sh", "-ec"],
        },
    ),
    Case(
        "shell-with-pipefail",
        FROM + 'SHELL ["/bin/ash", "-o", "pipefail", "-c"]\n'
        "RUN if false | true; then :; else echo fails >/a; fi\n",
    ),
    # --- here-documents: buildah 1.28 has none ---
    Case(
        "heredoc-run",
        FROM + "RUN <<EOF\necho one >/a\nif true; then\n  echo $PWD >>/a\nfi\nEOF\n",
        buildah="no here-documents before 1.33",
        tree={"a": file("one\n/\n")},
    ),
    Case(
        "heredoc-run-tabs-stripped",
        FROM + "RUN <<-EOF\n\techo one >/a\n\t\techo '\ttab' >>/a\n\tEOF\n",
        buildah="no here-documents before 1.33",
        tree={"a": file("one\n\ttab\n")},
    ),
    Case(
        "heredoc-run-interpreter",
        FROM + 'RUN <<EOF\n#!/usr/bin/awk -f\nBEGIN { print "awk" > "/a" }\nEOF\n',
        buildah="no here-documents before 1.33",
        tree={"a": file("awk\n")},
    ),
    Case(
        "heredoc-as-standard-input",
        FROM + "ENV A=b\nRUN cat >/a <<EOF && cat >/b <<'RAW'\n$A ${HOME}\nEOF\n$A `id`\nRAW\n",
        buildah="no here-documents before 1.33",
        tree={"a": file("b /root\n"), "b": file("$A `id`\n")},
        config={"Env": ["A=b"]},
    ),
    Case(
        "heredoc-shell-instruction",
        FROM + 'SHELL ["/bin/sh", "-ec"]\nRUN <<EOF\nfalse || echo $- >/a\nEOF\n',
        buildah="no here-documents before 1.33",
        tree={"a": file("ce\n")},
        config={"Shell": ["/bin/sh", "-ec"]},
    ),
    Case(
        "heredoc-run-with-a-mount",
        FROM + "RUN --mount=type=bind,target=/m <<EOF\ncat /m/f >/a\nEOF\n",
        {"f": "f"},
        buildah="no here-documents before 1.33",
        tree={"a": file("f")},
    ),
    Case(
        "heredoc-with-backslashes",
        FROM + "RUN <<EOF\nprintf 'one \\\ntwo\\n' >/a\n# kept\nEOF\n",
        buildah="no here-documents before 1.33",
        tree={"a": file("one \\\ntwo\n")},
    ),
    Case(
        "heredoc-copy",
        FROM + "ARG WHO=you\nENV A=b\nCOPY <<EOF /dir/a\nhello $WHO\n  $A ${C:-c} \\$A\nEOF\n",
        buildah="no here-documents before 1.33",
        tree={"dir": folder(), "dir/a": file("hello you\n  b c $A\n")},
        config={"Env": ["A=b"]},
    ),
    Case(
        "heredoc-copy-quoted",
        FROM + 'COPY <<\'EOF\' /a\n$HOME \\$x "q"\nEOF\nCOPY <<"E2" /b\n${HOME}\nE2\n',
        buildah="no here-documents before 1.33",
        tree={"a": file('$HOME \\$x "q"\n'), "b": file("${HOME}\n")},
    ),
    Case(
        "heredoc-copy-several",
        FROM + "COPY --chmod=600 --chown=1:2 <<one <<two f /dir/\n1\none\n2\ntwo\n",
        {"f": "f"},
        buildah="no here-documents before 1.33",
        tree={
            "dir": folder(0o755, (1, 2)),
            "dir/one": file("1\n", 0o600, (1, 2)),
            "dir/two": file("2\n", 0o600, (1, 2)),
            "dir/f": file("f", 0o600, (1, 2)),
        },
    ),
    Case(
        "heredoc-copy-tabs-stripped",
        FROM + "COPY <<-EOF /a\n\tone\n\t\ttwo\n  three\n\tEOF\n",
        buildah="no here-documents before 1.33",
        tree={"a": file("one\ntwo\n  three\n")},
    ),
    Case(
        "heredoc-add",
        FROM + "ADD <<EOF /a\nadded\nEOF\nADD <<EOF /b\nEOF\n",
        buildah="no here-documents before 1.33",
        tree={"a": file("added\n"), "b": file("")},
    ),
]
