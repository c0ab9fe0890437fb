"""completion: the script that teaches a shell this program's words.

The shell asks the program itself, through the environment variable that Typer looks for, so the
script never needs to change. zsh and fish use Typer's own scripts. For bash there is a better
one: Typer's splits words at every colon, and image names and `-v` and `-p` values are full of them.
"""

from __future__ import annotations

from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_PROGRAM = "daemonless"
_VARIABLE = "_DAEMONLESS_COMPLETE"

# fish's protocol hands the whole line over and returns a word and its help per line. Bash replaces
# only what follows the last colon or equals sign, so that much is cut from each answer.
_BASH = r"""_daemonless_completion() {
    local line=${COMP_LINE:0:COMP_POINT} word before answer IFS=$'\n'
    word=${line##*[[:space:]]}
    before=${word%"${word##*[:=]}"}
    COMPREPLY=()
    for answer in $(_TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS=$line \
        _DAEMONLESS_COMPLETE=complete_fish "$1" 2>/dev/null); do
        answer=${answer%%$'\t'*}
        COMPREPLY+=("${answer#"$before"}")
    done
}
complete -o default -o nosort -F _daemonless_completion daemonless
"""


def main(args: Args) -> int:
    """Print the script for the shell."""
    if args.shell == "bash":
        print(_BASH, end="")
        return 0
    if args.shell not in ("zsh", "fish"):
        raise UsageError(f"no completion for the shell {args.shell!r}", "there is one for bash, zsh and fish")
    from typer import completion  # noqa: PLC0415 - bash's script needs no typer

    script: str = completion.get_completion_script(  # type: ignore[attr-defined] # not in its __all__
        prog_name=_PROGRAM, complete_var=_VARIABLE, shell=args.shell
    )
    print(script)
    return 0
