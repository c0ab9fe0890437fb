import pytest

from daemonless import jsonio
from daemonless.containers.exits import KEPT, earlier, with_earlier


def test_the_first_end_has_none_before_it(tmp_path):
    assert with_earlier({"exitCode": 1}, f"{tmp_path}/exit.json") == {"exitCode": 1}


def test_some_are_kept_and_the_newest_is_first(tmp_path):
    path = tmp_path / "exit.json"
    for number in range(KEPT + 5):
        record = with_earlier({"exitCode": number}, str(path))
        path.write_text(jsonio.dumps(record))
    kept = [record, *earlier(record)]
    assert [each["exitCode"] for each in kept] == [*range(KEPT + 4, 4, -1)]
    assert not any(each["earlier"] for each in kept[1:])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"exitCode": 1, "earlier": 5}', '{"earlier": [1]}'])
def test_a_damaged_record_is_no_obstacle(tmp_path, content):
    path = tmp_path / "exit.json"
    path.write_text(content)
    record = with_earlier({"exitCode": 7}, str(path))
    assert record["exitCode"] == 7 and len(earlier(record)) <= 1
