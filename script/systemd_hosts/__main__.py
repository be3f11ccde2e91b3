"""``script/hosts``: build trees, start hosts on them, remove them."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from provision.progress import Progress, StepFailed
from systemd_hosts import paths, trees
from systemd_hosts.hosts import Host, load
from systemd_hosts.network import FIRST_HOST, Net


def parser() -> argparse.ArgumentParser:
    """The command line's description."""
    it = argparse.ArgumentParser(
        prog="script/hosts", description="Hosts with systemd for tests, on one machine. Root's."
    )
    verbs = it.add_subparsers(dest="verb", required=True, metavar="VERB")
    one = verbs.add_parser("trees", help="build the trees that hosts run on, unless they are there")
    one.add_argument("trees", nargs="*", choices=[*trees.LAYERS, []], default=[], metavar="TREE")
    one = verbs.add_parser("up", help="start hosts and wait until they can be logged in to")
    one.add_argument("net", type=_net, metavar="N", help="their network, 10.77.N.0/24 and fd77:N::/64")
    one.add_argument("hosts", nargs="+", type=_host, metavar="NAME=TREE[@NUMBER]", help="NUMBER ends the addresses")
    one = verbs.add_parser("down", help="remove hosts, and with the last one the network")
    one.add_argument("net", type=_net, metavar="N")
    one.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    one = verbs.add_parser("list", help="the hosts there are")
    one = verbs.add_parser("ssh", help="log in to a host as root, or run a command there")
    one.add_argument("net", type=_net, metavar="N")
    one.add_argument("name", metavar="NAME")
    one.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    return it


def _net(text: str) -> Net:
    if not re.fullmatch(r"\d{1,3}", text) or not 0 <= int(text) <= 255:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 255")
    return Net(int(text))


def _host(text: str) -> tuple[str, str, int | None]:
    match = re.fullmatch(r"([a-z][a-z0-9-]{0,30})=([a-z]+)(?:@(\d{1,3}))?", text)
    if match is None or match[2] not in trees.LAYERS:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=TREE[@NUMBER] with a TREE of {', '.join(trees.LAYERS)}")
    return match[1], match[2], int(match[3]) if match[3] else None


def main(argv: Sequence[str]) -> int:
    """Do what the command line says."""
    options = parser().parse_args(argv)
    progress = Progress()
    try:
        if os.geteuid() != 0:
            raise StepFailed("only root can start hosts.")
        paths.prepare()
        match options.verb:
            case "trees":
                trees.ensure(set(options.trees or trees.LAYERS), progress)
            case "up":
                up(options.net, options.hosts, progress)
            case "down":
                down(options.net, options.names)
            case "list":
                show()
            case "ssh":
                return subprocess.run(
                    [*_existing(options.net, options.name).ssh(), *options.command], check=False
                ).returncode
    except StepFailed as failure:
        progress.say(f"script/hosts: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def up(net: Net, wanted: Sequence[tuple[str, str, int | None]], progress: Progress) -> list[Host]:
    """Start those hosts that are not there yet.

    :raises StepFailed: a host did not start; those that did stay
    """
    layers = trees.ensure({tree for _, tree, _ in wanted}, progress)
    _key()
    with _alone(net):
        there = {host.name: host for host in load(net)}
        taken = {host.number for host in there.values()} | {number for _, _, number in wanted if number}
        new = []
        for name, tree, number in wanted:
            if name in there and there[name].pids():
                continue
            if name in there:
                there[name].remove()  # it ended by itself, or with this machine
            free = number or next(n for n in range(FIRST_HOST, 255) if n not in taken)
            taken.add(free)
            new.append(Host(net, name, free, tree))
        net.up()
        with progress.step(f"Starting {', '.join(host.name for host in new) or 'nothing'}"):
            for host in new:
                host.save()
                host.boot(layers[host.tree])
            _write_lists(net)
            for host in new:
                host.wait()
    return new


def down(net: Net, names: Sequence[str]) -> None:
    """Remove hosts; all of the network's when none is named."""
    with _alone(net):
        for host in load(net):
            if not names or host.name in names:
                host.remove()
        if not load(net):
            net.down()
        _write_lists(net)


def show() -> None:
    """Print all hosts."""
    for folder in sorted(paths.NETS.iterdir(), key=lambda path: int(path.name)):
        for host in load(Net(int(folder.name))):
            state = "running" if host.pids() else "ended"
            print(f"{folder.name} {host.name} {host.tree} {host.v4} {host.v6} {state}")


def _existing(net: Net, name: str) -> Host:
    for host in load(net):
        if host.name == name:
            return host
    raise StepFailed(f"there is no host {name} in network {net.number}.")


def _write_lists(net: Net) -> None:
    """For ssh: the hosts' keys. For Ansible: an inventory that says how they are reached, and that has no groups."""
    folder = paths.NETS / str(net.number)
    there = load(net)
    keys = [file.read_text() for host in there if (file := host.folder / "known_hosts").exists()]
    (folder / "known_hosts").write_text("".join(keys))
    arguments = f"-F /dev/null -o UserKnownHostsFile={folder / 'known_hosts'} -o StrictHostKeyChecking=yes"
    lines = ["---", "all:", "  vars:", "    ansible_user: root", f"    ansible_ssh_private_key_file: {paths.KEY}"]
    lines += [
        f"    ansible_ssh_common_args: {arguments}",
        "    ansible_python_interpreter: /usr/bin/python3",
        "  hosts:",
    ]
    lines += [f"    {host.name}: {{ansible_host: {host.v4}}}" for host in there]
    (folder / "inventory.yml").write_text("\n".join(lines) + ("\n" if there else " {}\n"))


def _key() -> None:
    with _locked(paths.KEY.with_suffix(".lock")):
        if not paths.KEY.exists():
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(paths.KEY)]
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def _alone(net: Net) -> Iterator[None]:
    """One change at a time in a network."""
    folder = paths.NETS / str(net.number)
    folder.mkdir(exist_ok=True)
    with _locked(folder / "lock"):
        yield


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
