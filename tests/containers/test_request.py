from types import SimpleNamespace

import pytest

from daemonless import jsonio
from daemonless.containers.arguments import from_args
from daemonless.containers.request import Mount, Network, Port, RunRequest
from daemonless.errors import InvalidData


@pytest.fixture
def full(tmp_path):
    args = SimpleNamespace(
        image="docker.io/library/debian:12",
        command=["sh", "-c", "\udcff"],
        entrypoint='["a"]',
        volume=[f"{tmp_path}:/data:ro"],
        tmpfs=["/scratch:size=1m"],
        device=["/dev/null"],
        publish=["127.0.0.1:8080:80", "53/udp"],
        network="slirp4netns:mtu=1500",
        add_host=["db:10.0.0.1"],
        label=["a=b"],
        ulimit=["nofile=10:20"],
        sysctl=["net.core.somaxconn=5"],
        security_opt=["no-new-privileges", "mask=/proc/a"],
        userns="keep-id:uid=5,gid=6",
        platform="linux/amd64",
        oom_score_adj=100,
    )
    return from_args(args, warn=lambda text: None, caller={}, cwd="/")


def test_json_round_trip(full):
    read = RunRequest.from_dict(jsonio.loads(jsonio.dumps(full.as_dict())))
    assert read == full
    assert hash(read) == hash(full)
    assert isinstance(read.mounts[0], Mount)
    assert isinstance(read.publish[1], Port)
    assert read.network == Network(mtu=1500)


def test_inner_records_are_objects_in_json(full):
    document = full.as_dict()
    assert document["mounts"][0]["destination"] == "/data"
    assert document["publish"][0] == {
        "host_ip": "127.0.0.1",
        "host_port": 8080,
        "container_port": 80,
        "protocol": "tcp",
    }
    assert document["security"]["mask"] == ["/proc/a"]


def test_replace_keeps_inner_records(full):
    changed = full.replace(name="other")
    assert changed.name == "other"
    assert changed.mounts == full.mounts
    assert isinstance(changed.network, Network)


def test_a_request_is_frozen(full):
    with pytest.raises(AttributeError):
        full.image = "other"
    assert isinstance(full.mounts[0].options, tuple)


def test_fields_missing_from_an_older_file_have_their_defaults():
    assert RunRequest.from_dict({"image": "a"}) == RunRequest(image="a")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"image": "a", "future": 1},
        {"image": "a", "mounts": [{"destination": "/x"}]},
        {"image": "a", "network": {"speed": 1}},
        {"image": "a", "network": None},
        {"image": "a", "mounts": ["x"]},
    ],
)
def test_a_damaged_document_is_refused(document):
    with pytest.raises(InvalidData, match="container request"):
        RunRequest.from_dict(document)


def test_with_image_adds_labels_and_stop_signal():
    warnings = []
    request = RunRequest(image="a", label=(("b", "mine"),))
    config = {"config": {"Labels": {"a": "1", "b": "2"}, "StopSignal": "SIGQUIT"}}
    completed = request.with_image(config, warnings.append)
    assert dict(completed.label) == {"a": "1", "b": "mine"}
    assert completed.stop_signal == 3
    assert request.replace(stop_signal=9).with_image(config, warnings.append).stop_signal == 9
    assert warnings == []


def test_with_image_drops_what_is_damaged():
    warnings = []
    config = {"config": {"Labels": {"": "x", "a": 1, "c": "ok"}, "StopSignal": "NOPE\n"}}
    completed = RunRequest(image="a").with_image(config, warnings.append)
    assert completed.label == (("c", "ok"),)
    assert completed.stop_signal == 0
    assert len(warnings) == 3
    assert all(text.isprintable() for text in warnings)


def test_with_image_of_labels_that_are_a_list():
    warnings = []
    completed = RunRequest(image="a").with_image({"config": {"Labels": ["a=b"]}}, warnings.append)
    assert completed.label == ()
    assert len(warnings) == 1


def test_a_config_that_is_no_object_is_refused():
    with pytest.raises(InvalidData, match="not an object"):
        RunRequest(image="a").with_image({"config": ["x"]}, pytest.fail)


@pytest.mark.parametrize("config", [{}, {"config": None}, {"config": {"Labels": None}}])
def test_with_image_of_an_empty_config(config):
    request = RunRequest(image="a")
    assert request.with_image(config, pytest.fail) == request
