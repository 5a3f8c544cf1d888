"""``asynctcp doctor``, on this system and on one whose limits are low or not told."""

import json
import resource
import subprocess

import pytest

import asynctcp
from asynctcp._cli import doctor
from asynctcp._cli.main import main
from cli import COMMAND

GOOD = {
    "net.core.somaxconn": "4096\n",
    "net.ipv4.tcp_max_syn_backlog": "1024\n",
    "net.ipv4.ip_local_port_range": "32768\t60999\n",
}


@pytest.fixture
def system(tmp_path, monkeypatch):
    """``system(files=(soft, hard), **settings)`` has the doctor see those; gives its status and report."""

    def see(capsys, files=(8192, 8192), options=(), **settings):
        for name, value in {
            **GOOD,
            **{key.replace("__", "."): value for key, value in settings.items()},
        }.items():
            path = tmp_path / name.replace(".", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(value)
        monkeypatch.setattr(doctor, "SYSCTL", tmp_path)
        monkeypatch.setattr(resource, "getrlimit", lambda _: files)
        return main(["doctor", *options]), capsys.readouterr().out

    return see


def line_of(report, name):
    return next(line for line in report.splitlines() if f" {name} " in line)


def advice_on(report, name):
    """Return the line after that of ``name``."""
    lines = report.splitlines()
    return lines[lines.index(line_of(report, name)) + 1].strip()


def test_this_system_is_reported_without_root_and_without_a_complaint():
    done = subprocess.run([*COMMAND, "doctor"], capture_output=True, text=True, timeout=20, check=False)
    assert done.stderr == ""
    assert done.returncode == (1 if "\nchange " in done.stdout else 0)
    assert line_of(done.stdout, "asynctcp").split() == ["ok", "asynctcp", asynctcp.__version__]


def test_good_limits_are_status_0(system, capsys):
    status, report = system(capsys)
    assert status == 0
    assert "change " not in report
    assert report.endswith("\nnothing to change\n")
    assert line_of(report, "loopback").split() == ["ok", "loopback", "works"]
    assert line_of(report, "net.ipv4.ip_local_port_range").endswith(
        "32768 to 60999: 28232 connections to one server"
    )


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        ((1024, 1048576), "ulimit -n 65536 "),
        ((1024, 8192), "ulimit -n 8192 "),
        ((1024, resource.RLIM_INFINITY), "ulimit -n 65536 "),
        ((1024, 4095), "nofile in /etc/security/limits.conf "),
    ],
)
def test_few_descriptors_are_to_be_changed(files, advice, system, capsys):
    status, report = system(capsys, files)
    assert status == 1
    assert line_of(report, "RLIMIT_NOFILE").startswith("change ")
    assert advice_on(report, "RLIMIT_NOFILE").startswith(advice)
    assert report.endswith("\n1 to change for thousands of connections\n")


def test_unlimited_descriptors_are_well(system, capsys):
    status, report = system(capsys, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert status == 0
    assert line_of(report, "RLIMIT_NOFILE").endswith("unlimited (at most unlimited)")


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("net.core.somaxconn", "128\n", "sysctl -w net.core.somaxconn=4096 "),
        ("net.ipv4.tcp_max_syn_backlog", "1023\n", "sysctl -w net.ipv4.tcp_max_syn_backlog=4096 "),
        (
            "net.ipv4.ip_local_port_range",
            "60000 61000\n",
            "sysctl -w net.ipv4.ip_local_port_range='32768 60999' ",
        ),
    ],
)
def test_low_setting_is_to_be_changed(name, value, advice, system, capsys):
    status, report = system(capsys, **{name.replace(".", "__"): value})
    assert status == 1
    assert advice_on(report, name).startswith(advice)


@pytest.mark.parametrize("value", ["", "many\n", "1 2 3\n"])
def test_setting_that_is_not_understood_is_unknown(value, system, capsys):
    status, report = system(capsys, net__ipv4__ip_local_port_range=value)
    assert (status, line_of(report, "net.ipv4.ip_local_port_range").split()[-1]) == (0, "unknown")


def test_system_without_proc_has_unknown_settings_and_is_well(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "SYSCTL", tmp_path / "none")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8192, 8192))
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.count(" unknown\n") == 3


def test_loopback_that_refuses_is_to_be_changed(system, capsys, monkeypatch, peers):
    connect = asynctcp.tcp_connect
    port = peers.free_port()
    monkeypatch.setattr(
        asynctcp, "tcp_connect", lambda host, _, *callbacks, **rest: connect(host, port, *callbacks, **rest)
    )
    status, report = system(capsys)
    assert status == 1
    assert "TcpRefused" in line_of(report, "loopback")


def test_loopback_without_a_server_is_to_be_changed(system, capsys, monkeypatch):
    def no_server(*_arguments):
        raise asynctcp.TcpServerBindError(99, "cannot assign requested address", "127.0.0.1", 0)

    monkeypatch.setattr(asynctcp, "tcp_server", no_server)
    status, report = system(capsys)
    assert status == 1
    assert "cannot assign" in line_of(report, "loopback")


def test_json_has_each_finding_and_what_to_change(system, capsys):
    status, report = system(capsys, (1024, 8192), ["--json"])
    told = json.loads(report)
    findings = {finding["name"]: finding for finding in told["findings"]}
    assert (status, told["to_change"]) == (1, 1)
    assert findings["asynctcp"] == {"name": "asynctcp", "value": asynctcp.__version__, "advice": None}
    assert findings["RLIMIT_NOFILE"]["advice"].startswith("ulimit -n 8192 ")


def test_json_of_good_limits_is_status_0(system, capsys):
    status, report = system(capsys, options=["--json"])
    assert (status, json.loads(report)["to_change"]) == (0, 0)
