#!/usr/bin/env python3
"""Make of the built function what deploys without Rust and without a checkout: `make package`.

    package.py BUILT.zip OUTPUT NAME [--cyclonedx PATH]

BUILT.zip is what `cargo lambda build --output-format zip` makes. Into OUTPUT go

    NAME.zip       the function's code
    NAME.yaml      template.yaml, which takes the code from NAME.zip beside it
    NAME.cdx.json  the crates in the function, with licences and hashes: CycloneDX
    NAME.sha256    the sums of these three, for `sha256sum --check`

Nothing in them depends on the time or the place of the build: the same commit and the same tools make the same sums.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
FUNCTION = "root-usage-alert"
# The field e_machine of the ELF header: what Lambda and Rust call it.
MACHINES = {62: ("x86_64", "x86_64-unknown-linux-gnu"), 183: ("arm64", "aarch64-unknown-linux-gnu")}
# 1980-01-01, the first that a zip file can say.
NO_TIME, NO_DATE = 0, (1 << 5) | 1


class Failure(Exception):
    """What is wrong, for the person who runs this."""


def without_times(path):
    """The zip file's bytes, with the same time for every entry: cargo-lambda writes that of the build.

    The compressed data stay as they are. Compressed again here, they would differ with Python's version of zlib.
    """
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entries, directory = archive.infolist(), archive.start_dir
    for entry in entries:
        if entry.extra:
            raise Failure(f"{path}: {entry.filename} has an extra field, which may hold another time")
        # The last two fields before the check sum, in both headers. Source: PKWARE's APPNOTE.TXT, 4.3.7 and 4.3.12.
        struct.pack_into("<HH", data, entry.header_offset + 10, NO_TIME, NO_DATE)
        struct.pack_into("<HH", data, directory + 12, NO_TIME, NO_DATE)
        lengths = struct.unpack_from("<HHH", data, directory + 28)
        directory += 46 + sum(lengths)
    return bytes(data)


def executable(path):
    """The function in the zip file: it and nothing else."""
    with zipfile.ZipFile(path) as archive:
        if archive.namelist() != ["bootstrap"]:
            raise Failure(f"{path} has {archive.namelist()}, and should have bootstrap alone")
        return archive.read("bootstrap")


def machine(code):
    """What Lambda and Rust call the machine that this ELF file is for."""
    number = struct.unpack_from("<H", code, 18)[0]
    if code[:4] != b"\x7fELF" or number not in MACHINES:
        raise Failure("bootstrap is not an executable for Linux on x86_64 or arm64")
    return MACHINES[number]


def template(name, architecture):
    """template.yaml with the code from the zip file beside it. What only a build needs is left out."""
    text = (ROOT / "template.yaml").read_text()
    for pattern, replacement in (
        (r"^      BuildMethod: rust-cargolambda\n      BuildProperties:\n        Binary: [\w-]+\n", ""),
        (r"^      CodeUri: \.$", f"      CodeUri: {name}.zip"),
        (
            r"^      # EDIT: \[arm64\].*\n      Architectures: \[\w+\]$",
            f"      # What the code was built for.\n      Architectures: [{architecture}]",
        ),
    ):
        text, found = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        if found != 1:
            raise Failure(f"template.yaml has {found} places for {pattern!r}, and should have one")
    return text


def output(*command, **more):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def compiled(target):
    """The crates whose code can be in the function, as (name, version): no macros, nothing that only builds or tests."""
    tree = output(
        *("cargo", "tree", "--locked", "--package", FUNCTION, "--target", target),
        *("--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"),
    )
    return set(re.findall(r"^(\S+) v(\S+)", tree, flags=re.MULTILINE))


def described(target, cyclonedx):
    """What cargo-cyclonedx writes for the function's crate. It writes beside each Cargo.toml of the workspace."""
    with tempfile.NamedTemporaryFile(dir=ROOT, prefix=".sbom-", suffix=".json") as unique:
        stem = pathlib.Path(unique.name).stem
    command = [cyclonedx, "cyclonedx", "--format", "json", "--spec-version", "1.5", "--target", target, "--no-build-deps"]
    try:
        # A time of the build and a random serial number are what this leaves out.
        output(*command, "--quiet", "--override-filename", stem, env=os.environ | {"SOURCE_DATE_EPOCH": "0"})
        return json.loads((ROOT / f"{stem}.json").read_text())
    finally:
        for written in [ROOT / f"{stem}.json", *ROOT.glob(f"crates/*/{stem}.json")]:
            written.unlink(missing_ok=True)


def sbom(code, target, cyclonedx):
    """The bill of materials: the crates in the function, and what it was built with."""
    bom = described(target, cyclonedx)
    function = bom["metadata"]["component"]
    # cargo-cyclonedx also lists macros, and what a feature that is off would bring.
    crates = compiled(target)
    bom["components"] = [one for one in bom["components"] if (one["name"], one["version"]) in crates]
    listed = {(one["name"], one["version"]) for one in bom["components"]} | {(function["name"], function["version"])}
    if listed != crates:
        raise Failure(f"cargo-cyclonedx and cargo tree differ: {sorted(listed ^ crates)}")
    kept = {one["bom-ref"] for one in bom["components"]} | {function["bom-ref"]}
    bom["dependencies"] = [
        one | {"dependsOn": sorted(set(one.get("dependsOn", [])) & kept)} for one in bom["dependencies"] if one["ref"] in kept
    ]

    # The executable itself, in place of the targets that the crate could build.
    function.pop("components", None)
    function["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(code).hexdigest()}]
    del bom["metadata"]["timestamp"]
    pins = (ROOT / "tests/requirements.txt").read_text()
    bom["metadata"].setdefault("properties", []).extend(
        {"name": f"{FUNCTION}:{tool}", "value": version}
        for tool, version in [
            ("rustc", output("rustc", "--version").strip()),
            *((tool, re.search(rf"^{tool}==(\S+)", pins, flags=re.MULTILINE)[1]) for tool in ("cargo-lambda", "ziglang")),
        ]
    )

    # Where a crate of this workspace was built is nobody's business, and differs from place to place.
    text = json.dumps(bom, indent=2, sort_keys=True, ensure_ascii=False).replace(f"file://{ROOT}", "file://.") + "\n"
    if str(ROOT) in text:
        raise Failure(f"the bill of materials names {ROOT}, where it was made")
    return text


def main():
    arguments = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip())
    arguments.add_argument("built", type=pathlib.Path)
    arguments.add_argument("output", type=pathlib.Path)
    arguments.add_argument("name")
    arguments.add_argument("--cyclonedx", default="cargo-cyclonedx")
    given = arguments.parse_args()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", given.name):
        raise Failure(f"{given.name!r} is no name for files and for a template: letters, digits, . _ and - are")

    code = executable(given.built)
    architecture, target = machine(code)
    files = {
        f"{given.name}.zip": without_times(given.built),
        f"{given.name}.yaml": template(given.name, architecture).encode(),
        f"{given.name}.cdx.json": sbom(code, target, given.cyclonedx).encode(),
    }
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    given.output.mkdir(parents=True, exist_ok=True)
    for name, data in (files | {f"{given.name}.sha256": sums.encode()}).items():
        (given.output / name).write_bytes(data)
    print(sums, end="")


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError, subprocess.CalledProcessError, zipfile.BadZipFile) as error:
        sys.exit(f"package.py: {error}")
