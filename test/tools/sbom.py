#!/usr/bin/env python3
"""Lists what the programs are made of: a CycloneDX 1.5 document on standard output.

Every crate that is linked into `loglake`, `loglake-agent` or `loglakectl`, or runs while they are built, with its version, licence, source and
checksum, as Cargo.lock pins them; crates that only tests use are left out. The same tree gives the same bytes.

    test/tools/sbom.py > sbom.cdx.json
    test/tools/sbom.py --check          prints nothing; fails where a crate has no licence or no checksum
"""

import json
import subprocess
import sys
import tomllib

PROGRAMS = ["loglake", "loglake-agent", "loglakectl"]


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def reached(nodes, roots):
    """The packages that `roots` need to be built and run, and which of them needs which."""
    needs, waiting = {}, list(roots)
    while waiting:
        at = waiting.pop()
        if at in needs:
            continue
        kinds = ("normal", "build")
        is_used = lambda dep: any((kind["kind"] or "normal") in kinds for kind in dep["dep_kinds"])
        needs[at] = sorted({dep["pkg"] for dep in nodes[at]["deps"] if is_used(dep)})
        waiting.extend(needs[at])
    return needs


def component(package, checksum, is_program):
    of = {
        "type": "application" if is_program else "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
    }
    if package["license"]:
        of["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["source"]:
        of["purl"] = reference(package)
        of["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return of


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def main():
    found = metadata()
    packages = {package["id"]: package for package in found["packages"]}
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    with open(found["workspace_root"] + "/Cargo.lock", "rb") as lock:
        pinned = tomllib.load(lock)["package"]
    checksums = {(one["name"], one["version"]): one.get("checksum") for one in pinned}
    roots = [package["id"] for package in packages.values() if package["name"] in PROGRAMS and not package["source"]]
    needs = reached(nodes, roots)
    order = sorted(needs, key=lambda at: (packages[at]["name"], packages[at]["version"]))

    wrong = []
    for package in (packages[at] for at in order):
        if not package["license"]:
            wrong.append(f"{package['name']} {package['version']} has no licence")
        if package["source"] and not checksums.get((package["name"], package["version"])):
            wrong.append(f"{package['name']} {package['version']} has no checksum in Cargo.lock")
    for line in wrong:
        print(f"sbom: {line}", file=sys.stderr)
    if wrong or sys.argv[1:] == ["--check"]:
        return 1 if wrong else 0

    components = []
    for at in order:
        package = packages[at]
        checksum = checksums.get((package["name"], package["version"]))
        components.append(component(package, checksum, at in roots))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "loglake-workspace", "name": "loglake"}},
        "components": components,
        "dependencies": [
            {"ref": reference(packages[at]), "dependsOn": [reference(packages[to]) for to in needs[at]]} for at in order
        ],
    }
    json.dump(document, sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
