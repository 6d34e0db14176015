#!/usr/bin/env python3
"""Checks the direction of dependencies between the crates, and who may link which client.

The table is the one of ARCHITECTURE.md: arrows point from `cmd` to the roles, from the roles to `commit` and the parts,
from all to `model`; a role never uses a role, a part never a part. Tests may use what they like.
"""

import json
import subprocess
import sys

PARTS = {"broker", "store", "index"}
ROLES = {"ingest", "process", "query"}
MAY_USE = {
    "model": set(),
    "api": {"model"},
    "auth": {"model"},
    "batch": {"model"},
    "broker": {"model"},
    "chunk": {"model"},
    "commit": {"model", "store", "index"},
    "formats": {"api", "model"},
    "index": {"model"},
    "pipeline": {"model"},
    "search": {"model"},
    "service": {"model", "transport"},
    "store": {"model"},
    "transport": {"model"},
    "ingest": {"api", "auth", "batch", "broker", "formats", "model", "pipeline", "transport"},
    "process": {"api", "auth", "batch", "chunk", "commit", "model", "search", "transport"} | PARTS,
    "query": {"api", "auth", "batch", "chunk", "commit", "model", "search", "transport"} | PARTS,
    "admin": {"batch", "chunk", "commit", "model"} | PARTS,
    "loglake": {"admin", "auth", "commit", "model", "service", "transport"} | PARTS | ROLES,
    "loglakectl": {"api", "model"},
    "agent": {"api", "model", "pipeline"},
}
# Each is named in one place only, so that it can be replaced there. Clients of HTTP none of the servers has: what asks others for
# something goes through one client that looks at the address first. Decoders stand where they are bounded.
CLIENTS = {"rdkafka": {"broker"}, "redis": {"index"}, "aws-sdk-s3": {"store"}, "aws-config": {"store"}, "fjall": {"index"}, "reqwest": set(), "ureq": set(),
           "zstd": {"formats"}, "libdeflater": {"chunk"}, "isal-rs": {"chunk"}, "flate2": {"formats", "commit", "process", "admin"}}
# The shipper runs on every host and stays small.
AGENT_NEVER_LINKS = {"rdkafka", "redis", "aws-sdk-s3", "fjall"}


def short(name):
    return name.removeprefix("loglake-")


def is_for_tests(package):
    return "/test/" in package["manifest_path"]


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    members = set(metadata["workspace_members"])
    packages = {package["id"]: package for package in metadata["packages"]}
    ours = {package["name"] for package in packages.values() if package["id"] in members}
    wrong = []
    for package in packages.values():
        if package["id"] not in members or is_for_tests(package):
            continue
        name = short(package["name"])
        if name not in MAY_USE:
            wrong.append(f"{name} is not in the table of {sys.argv[0]}: say what it may use")
            continue
        for dependency in package["dependencies"]:
            if dependency["kind"] == "dev":
                continue
            used = dependency["name"]
            if used in ours and short(used) not in MAY_USE[name]:
                wrong.append(f"{name} must not use {short(used)}")
            if used in CLIENTS and name not in CLIENTS[used]:
                wrong.append(f"{name} must not use {used}: only {', '.join(sorted(CLIENTS[used])) or 'none'} may")

    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    agent = next(package["id"] for package in packages.values() if package["name"] == "loglake-agent")
    reached, waiting = set(), [agent]
    while waiting:
        at = waiting.pop()
        if at in reached:
            continue
        reached.add(at)
        for dependency in nodes[at]["deps"]:
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    for linked in sorted(AGENT_NEVER_LINKS & {packages[at]["name"] for at in reached}):
        wrong.append(f"agent links {linked}")

    for line in wrong:
        print(f"arrows: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
