from __future__ import annotations

import pytest

from daemonless.dockerfile.words import Words
from daemonless.errors import UsageError

VALUES = {"V": "value", "E": "", "P": "/a/b.tar.gz", "S": "two words", "Q": "it's", "D": "$V"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$V", "value"),
        ("${V}", "value"),
        ("$Vx-${V}x", "-valuex"),
        ("\\$V \\${V}", "$V ${V}"),
        ("'$V'", "$V"),
        ('"$V"', "value"),
        ('a"b c"\'d e\'f', "ab cd ef"),
        ("\"a\\\"b\\\\c\\d\"", 'a"b\\c\\d'),
        ("a\\ b\\", "a b"),
        ("$U${U}", ""),
        ("$", "$"),
        ("$$", ""),
        ("$1x", "x"),
        ("a$.b", "a$.b"),
        ("${V:-w}", "value"), ("${E:-w}", "w"), ("${U:-w}", "w"), ("${U:-}", ""),
        ("${V-w}", "value"), ("${E-w}", ""), ("${U-w}", "w"),
        ("${V:+w}", "w"), ("${E:+w}", ""), ("${U:+w}", ""),
        ("${V+w}", "w"), ("${E+w}", "w"), ("${U+w}", ""),
        ("${V:?w}", "value"), ("${V?w}", "value"), ("${E?w}", ""),
        ("${U:-${V}}", "value"), ("${U:-${W:-deep}}", "deep"), ("${U:-a b}", "a b"), ("${U:-'}'}", "}"),
        ("${U:-\\}}", "}"),
        ("${P#*/}", "a/b.tar.gz"), ("${P##*/}", "b.tar.gz"), ("${P%.*}", "/a/b.tar"), ("${P%%.*}", "/a/b"),
        ("${P#x}", "/a/b.tar.gz"), ("${P%gz}", "/a/b.tar."), ("${P#/?/}", "b.tar.gz"), ("${E#*}", ""),
        ("${P/a/X}", "/X/b.tar.gz"), ("${P//a/X}", "/X/b.tXr.gz"), ("${P/b.*r/X}", "/a/X.gz"),
        ("${P//\\//_}", "_a_b.tar.gz"), ("${P/./}", "/a/btar.gz"), ("${V/[v]/X}", "value"),
        ("$D", "$V"),
        ("${D}", "$V"),
        ("ü$V", "üvalue"),
        ("", ""),
    ],
)  # fmt: skip
def test_every_form(text, expected):
    assert Words("\\", VALUES).word(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${", "missing '}'"), ("${V", "missing '}'"), ("${V:-", "missing '}'"), ("${}", "bad substitution"),
        ("${:V}", "bad substitution"), ("${V!x}", "unsupported modifier (!)"),
        ("${V:x}", "unsupported modifier (:x)"),
        ("${V:#x}", "unsupported modifier"), ("${V/a}", "missing '/'"), ("${V/a/b", "missing '}'"),
        ("'a", "single-quote"), ('"a', "double-quote"),
        ("${U:?}", "U: is not allowed to be unset"), ("${E:?}", "E: is not allowed to be empty"),
        ("${U?give one}", "U: give one"), ("${E:?give one}", "E: give one"),
        ("${P#\\a}", "invalid escape"),
        ("${U:-" * 2000, ""),
    ],
)  # fmt: skip
def test_mistakes(text, reason):
    with pytest.raises(UsageError, match="cannot expand") as caught:
        Words("\\", VALUES).word(text)
    assert reason in caught.value.message


def test_words_split_where_values_have_blanks():
    words = Words("\\", VALUES)
    assert words.words("$S a 'b c' \"$S\"") == ["two", "words", "a", "b c", "two words"]
    assert words.words("$U  ''") == []
    assert words.words("$Q") == ["it's"]


def test_the_escape_may_be_another():
    assert Words("`", VALUES).word("`$V a\\b c` d") == "$V a\\b c d"


def test_references_may_stay():
    words = Words("\\")
    assert words.word("'a' $V ${V:-x} \\$V") == "a $V ${V:-x} $V"


def test_the_first_that_has_it_gives_the_value():
    words = Words("\\", {"A": "1"}, {"A": "2", "B": "3"})
    assert words.word("$A$B$C") == "13"
    assert (words.asked, words.missing) == ({"A", "B", "C"}, {"C"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 'b' \"c\" $V\n", "a 'b' \"c\" value\n"),
        ("'$V'\n", "'value'\n"),
        ("\\$V \\\\ \\a\n", "$V \\ a\n"),
        ("a\\\nb\n", "a\nb\n"),
        ("${U:-x\ny}\n$V", "x\ny\nvalue"),
        ("a << b\n", "a << b\n"),
        ("no\nvariables\r\n", "no\nvariables\r\n"),
        ("", ""),
    ],
)
def test_documents(text, expected):
    assert Words("`", VALUES).document(text) == expected


def test_a_mistake_in_a_document():
    with pytest.raises(UsageError, match="missing '}'"):
        Words("\\", VALUES).document("a\n${V")
