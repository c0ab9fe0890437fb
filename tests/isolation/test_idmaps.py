import pytest

from daemonless.errors import UsageError
from daemonless.isolation.idmaps import chosen_id_map
from daemonless.isolation.userns import IdMap

OWN = IdMap(
    uids=((0, 1000, 1), (1, 100000, 500), (501, 900000, 1000)),
    gids=((0, 1000, 1), (1, 100000, 500), (501, 900000, 1000)),
)
ROOT = ((0, 0, 1),)


@pytest.mark.parametrize(
    ("wanted", "outside"),
    [
        (((0, 0, 1),), ((0, 1000, 1),)),
        (((0, 0, 2),), ((0, 1000, 1), (1, 100000, 1))),
        (((0, 1, 1000), (1000, 0, 1)), ((0, 100000, 500), (500, 900000, 500), (1000, 1000, 1))),
        (((5, 0, 1), (0, 499, 4)), ((0, 100498, 2), (2, 900000, 2), (5, 1000, 1))),
    ],
)
def test_ranges_are_those_of_the_machine_in_the_end(wanted, outside):
    assert chosen_id_map(OWN, wanted, ROOT).uids == outside
    assert chosen_id_map(OWN, ROOT, wanted).gids == outside


def test_layers_are_unpacked_once_for_each_map():
    maps = [chosen_id_map(OWN, wanted, ROOT) for wanted in (ROOT, ((0, 0, 2),), ROOT)]
    assert maps[0].key == maps[2].key != maps[1].key
    assert maps[0].is_single and not maps[1].is_single


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (((0, 0, 1502),), "your ids 0 to 1501, and you have 0 to 1500"),
        (((1, 0, 10),), "leaves out the container's id 0"),
        (((0, 0, 10), (9, 20, 1)), "maps an id twice: 9"),
        (((0, 0, 10), (20, 0, 1)), "maps an id twice: 1000"),
    ],
)
def test_what_makes_no_map(wanted, message):
    with pytest.raises(UsageError, match=message):
        chosen_id_map(OWN, wanted, ROOT)
