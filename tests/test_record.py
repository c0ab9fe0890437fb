import pytest

from daemonless.record import Record


class Point(Record):
    x: int
    y: int = 2
    label: str = "p"


class Point3(Point):
    z: int = 0


def test_has_fields_defaults_and_repr():
    point = Point(x=1)
    assert point.as_dict() == {"x": 1, "y": 2, "label": "p"}
    assert repr(point) == "Point(x=1, y=2, label='p')"


def test_equality_and_hash_follow_the_values():
    assert Point(x=1) == Point(x=1, y=2)
    assert hash(Point(x=1)) == hash(Point(x=1, y=2))
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != Point3(x=1)


def test_is_immutable():
    with pytest.raises(AttributeError, match="Point is immutable"):
        Point(x=1).x = 3


@pytest.mark.parametrize(("values", "reason"), [({}, "needs x"), ({"x": 1, "q": 2}, "no field q")])
def test_construction_is_checked(values, reason):
    with pytest.raises(TypeError, match=reason):
        Point(**values)


def test_inherits_fields_and_replaces():
    assert Point3(x=1, z=9).replace(y=5).as_dict() == {"x": 1, "y": 5, "label": "p", "z": 9}
