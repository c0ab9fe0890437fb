import os
from types import SimpleNamespace

import pytest

from daemonless.containers.arguments import from_args
from daemonless.containers.request import RunRequest
from daemonless.errors import Unsupported, UsageError


def parse(**options):
    warnings = []
    caller = options.pop("caller", {})
    request = from_args(
        SimpleNamespace(image="alpine", **options), warn=warnings.append, caller=caller, cwd="/"
    )
    return request, warnings


def test_missing_options_are_the_defaults():
    request, warnings = parse()
    assert request == RunRequest(image="alpine")
    assert warnings == []


def test_options_that_are_none_or_empty_are_the_defaults():
    names = (
        "name user workdir network volume env publish security_opt ulimit entrypoint oom_score_adj platform"
    )
    assert parse(**dict.fromkeys(names.split()))[0] == RunRequest(image="alpine")
    lists = "command volume mount tmpfs env env_file publish dns label cap_add ulimit sysctl device"
    assert parse(**dict.fromkeys(lists.split(), ()))[0] == RunRequest(image="alpine")


def test_the_environment_of_the_caller_is_copied_once_and_in_order(tmp_path):
    (tmp_path / "one").write_text("A=file\nB=file\nTOKEN\n")
    request, _ = parse(
        env_file=[f"{tmp_path}/one"], env=["A=cli", "HOME"], caller={"TOKEN": "t", "HOME": "/h"}
    )
    assert request.env == ("A=file", "B=file", "TOKEN=t", "A=cli", "HOME=/h")


def test_an_env_file_may_be_a_pipe():
    read_end, write_end = os.pipe()
    os.write(write_end, b"A=1\nB=\xff\n")
    os.close(write_end)
    request, _ = parse(env_file=[f"/dev/fd/{read_end}"])
    os.close(read_end)
    assert request.env == ("A=1", "B=\udcff")


def test_an_env_file_is_bounded():
    with pytest.raises(UsageError, match="larger than"):
        parse(env_file=["/dev/zero"])


def test_a_missing_env_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="no-such-file: No such file"):
        parse(env_file=[f"{tmp_path}/no-such-file"])


def test_labels_of_the_command_line_win(tmp_path):
    (tmp_path / "labels").write_text("a=1\nb=2\n")
    request, _ = parse(label_file=[f"{tmp_path}/labels"], label=["b=3", "c"])
    assert request.label == (("a", "1"), ("b", "3"), ("c", ""))


def test_entrypoint_is_absent_cleared_or_given():
    assert parse()[0].entrypoint is None
    assert parse(entrypoint="")[0].entrypoint == ()
    assert parse(entrypoint='["sh","-c"]')[0].entrypoint == ("sh", "-c")


def test_a_missing_source_is_an_error_with_mkdir_as_the_hint(tmp_path):
    with pytest.raises(UsageError, match="it does not exist") as caught:
        parse(volume=[f"{tmp_path}/gone:/data"])
    assert caught.value.hint == f"mkdir -p {tmp_path}/gone"
    request, _ = parse(volume=[f"{tmp_path}:/data"])
    assert request.mounts[0].source == str(tmp_path)


def test_a_destination_is_used_once(tmp_path):
    with pytest.raises(UsageError, match="destination /data"):
        parse(volume=[f"{tmp_path}:/data"], tmpfs=["/data/"])


def test_a_device_is_a_device(tmp_path):
    assert parse(device=["/dev/null:r"])[0].devices[0].writable is False
    with pytest.raises(UsageError, match="not a device"):
        parse(device=["/etc/passwd"])
    with pytest.raises(UsageError, match="does not exist"):
        parse(device=[f"{tmp_path}/gone"])


def test_ports_without_a_network_of_its_own_are_ignored_with_a_warning():
    request, warnings = parse(network="host", publish=["80:80"])
    assert request.publish == ()
    assert "published ports are ignored" in warnings[0]
    request, warnings = parse(publish=["80:80"])
    assert len(request.publish) == 1
    assert warnings == []


def test_what_a_log_is_to_tell_beside_the_output():
    request, _ = parse(log_opt=["labels=a,b", "env=V", "tag={{.Name}}"])
    assert request.log_opts.labels == ("a", "b")
    assert request.log_opts.env == ("V",)
    assert request.log_opts.tag == "{{.Name}}"


def test_ulimit_host_is_a_flag_of_its_own():
    request, _ = parse(ulimit=["host", "core=0"])
    assert request.host_ulimits
    assert request.ulimits == (("core", 0, 0),)


def test_the_platform_may_come_from_the_environment():
    assert parse(caller={"DOCKER_DEFAULT_PLATFORM": "linux/arm64"})[0].platform == ("linux", "arm64", "")
    request, _ = parse(platform="linux/386", caller={"DOCKER_DEFAULT_PLATFORM": "linux/arm64"})
    assert request.platform == ("linux", "386", "")


def test_the_parts_of_a_platform():
    assert parse(arch="aarch64")[0].platform == ("linux", "arm64", "")
    assert parse(platform="linux/arm64/v8", arch="arm", variant="v7")[0].platform == ("linux", "arm", "v7")
    assert parse()[0].platform == ("", "", "")


def test_which_streams_are_attached():
    assert parse(attach=["STDIN", "stderr"])[0].attach == ("stdin", "stderr")


def test_the_time_zone_is_a_mount(tmp_path):
    zone = parse(tz="local")[0].mounts
    assert [(mount.destination, mount.source, mount.type) for mount in zone] == [
        ("/etc/localtime", "/etc/localtime", "bind")
    ]
    own = parse(tz="local", volume=[f"{tmp_path}:/etc/localtime"])[0].mounts
    assert [mount.source for mount in own] == [str(tmp_path)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attach": ["stdlog"]}, "--attach"),
        ({"attach": ["stdin"], "detach": True}, "--attach and --detach"),
        ({"tz": "../../etc/passwd"}, "--tz"),
        ({"tz": "/etc/passwd"}, "--tz"),
        ({"tz": "Mars/Olympus"}, "--tz"),
        ({"hosts_file": "/nonexistent"}, "/nonexistent"),
        ({"hosts_file": "none", "no_hosts": True}, "--hosts-file and --no-hosts"),
        ({"arch": "a b"}, "platform"),
        ({"network": "none", "dns": ["1.1.1.1"]}, "--dns"),
        ({"network": "host", "mac_address": "92:d0:c6:0a:29:33"}, "--mac-address"),
        ({"dns": ["none", "1.1.1.1"]}, "--dns=none"),
        ({"uts": "host", "hostname": "a"}, "--hostname"),
        ({"pid": "host", "init": True}, "--init"),
        ({"network": ["none", "host"]}, "--network"),
        ({"network": "host", "sysctl": ["net.core.somaxconn=5"]}, "no network namespace"),
        ({"ipc": "host", "sysctl": ["kernel.shmmax=5"]}, "no ipc namespace"),
        ({"workdir": "src"}, "--workdir"),
        ({"pull": "sometimes"}, "--pull"),
        ({"stop_timeout": -1}, "--stop-timeout"),
        ({"oom_score_adj": 1001}, "--oom-score-adj"),
        ({"stop_signal": "KILLALL"}, "--stop-signal"),
        ({"name": "a b"}, "--name"),
        ({"log_driver": "syslog"}, "--log-driver"),
        ({"log_opt": ["tag={{.Nope}}"]}, "there is no {{.Nope}}"),
        ({"log_opt": ["colour=red"]}, "there is no such option"),
        ({"log_driver": "journald", "log_opt": ["path=x"]}, "journald"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(UsageError, match=message):
        parse(**options)


def test_whatever_is_refused_names_no_control_character():
    with pytest.raises((UsageError, Unsupported)) as caught:
        parse(name="a\x1b[31m")
    assert caught.value.message.isprintable()
