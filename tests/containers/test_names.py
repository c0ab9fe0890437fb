from daemonless.containers import names
from daemonless.containers.grammar import container_name


def test_ids_are_64_hexadecimal_digits_and_differ():
    ids = {names.new_id() for _ in range(200)}
    assert len(ids) == 200
    for container_id in ids:
        assert len(container_id) == 64
        assert set(container_id) <= set("0123456789abcdef")
        assert not container_id[:12].isdigit()


def test_names_are_valid_and_many():
    drawn = {names.new_name() for _ in range(300)}
    assert len(drawn) > 250
    for name in drawn:
        adjective, surname = container_name(name).split("_")
        assert adjective in names.ADJECTIVES.split()
        assert surname in names.SURNAMES.split()


def test_the_word_lists():
    for words in (names.ADJECTIVES.split(), names.SURNAMES.split()):
        assert len(words) >= 60
        assert len(set(words)) == len(words)
        assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
