"""`make package`: what a release has, deployed from a directory with nothing else, as docs/deploy.md says.

No checkout, no Rust: neither is in reach there.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import struct
import tomllib
import zipfile

import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from samtranslator.yaml_helper import yaml_parse

from conftest import BUILD_SECONDS, DELIVERY_SECONDS, FUNCTION_BINARY, REGION, ROOT, environment, run, tool, wait_for
from test_channels import SCHEMA, endpoint
from test_deployed import EMAIL, EVERY_RECORD, NO_COMPOSITE_ALARM, TRAIL_LOG_GROUP, Inbox, Sam, messages, recipe, trail  # noqa: F401

# As the workflow `release` names them.
NAME = "root-usage-alert-v0.0.0-this"
# What the function's package may have.
PACKAGE_MAX = 5_000_000
MORE = EVERY_RECORD | NO_COMPOSITE_ALARM
BUCKET = "of-the-person-who-deploys"


@pytest.fixture(scope="module")
def package(built_template, tmp_path_factory):
    """What `make package` makes of the code that `make build` has compiled already."""
    scratch = tmp_path_factory.mktemp("package")
    run(["make", "package", f"DIST={scratch / 'dist'}", f"PACKAGE={NAME}"], environment(scratch), seconds=BUILD_SECONDS)
    return scratch / "dist"


@pytest.fixture
def elsewhere(package, tmp_path, emulator):
    """A directory with the package alone, and an environment without Rust and without the checkout's tools but SAM and AWS's."""
    folder = tmp_path / "downloaded"
    shutil.copytree(package, folder)
    env = environment(tmp_path, AWS_ENDPOINT_URL=emulator.url)
    env["PATH"] = os.pathsep.join([str(ROOT / ".venv/sam/bin"), str(ROOT / ".venv/awscli/bin"), "/usr/bin", "/bin"])
    for missing in ("cargo", "rustc", "cargo-lambda", "zig"):
        assert shutil.which(missing, path=env["PATH"]) is None
    return folder, env


def packaged(built, folder):
    """`release/package.py`, on a zip file."""
    command = [tool("python", "tools"), str(ROOT / "release/package.py"), str(built), str(folder), NAME]
    return run([*command, "--cyclonedx", tool("cargo-cyclonedx", "cargo")], environment(folder.parent), check=False)


def zipped(path, code, when=(2026, 11, 26, 12, 0, 0)):
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap", when)
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, code)
    return path


def code(package):
    with zipfile.ZipFile(package / f"{NAME}.zip") as archive:
        return archive.read("bootstrap")


def recipes():
    """The commands of docs/deploy.md for a package: with SAM, with the AWS CLI alone, and to see what runs."""
    section = (ROOT / "docs/deploy.md").read_text().split("\n### Without Rust\n")[1].split("\n##")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, flags=re.DOTALL | re.MULTILINE)


def shell(text, folder, env, answers=""):
    return run(["bash", "-euo", "pipefail", "-c", text], env, folder=folder, answers=answers)


# ── The files ─────────────────────────────────────────────────────────────────────────────────────


def test_the_sums_are_those_of_all_files(package):
    names = {f"{NAME}{suffix}" for suffix in (".zip", ".yaml", ".cdx.json")}
    assert {path.name for path in package.iterdir()} == names | {f"{NAME}.sha256"}
    checked = run(["sha256sum", "--check", "--strict", f"{NAME}.sha256"], dict(os.environ), folder=package).stdout
    assert {line.removesuffix(": OK") for line in checked.splitlines()} == names


def test_the_zip_has_the_function_alone_and_is_small_enough(package, table):
    with zipfile.ZipFile(package / f"{NAME}.zip") as archive:
        (entry,) = archive.infolist()
        assert archive.testzip() is None
    assert entry.filename == "bootstrap"
    assert (entry.external_attr >> 16) & 0o777 == 0o755
    size = (package / f"{NAME}.zip").stat().st_size
    table("The package", f"{size / 1e6:.2f} MB zipped, of {PACKAGE_MAX / 1e6:.0f} that it may have")
    assert size <= PACKAGE_MAX


def test_the_function_does_not_say_where_it_was_built(package):
    binary = code(package)
    homes = [str(ROOT), os.path.expanduser("~"), os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))]
    assert [home for home in homes if f"{home}/".encode() in binary] == []


def test_the_time_of_the_build_changes_nothing(package, tmp_path):
    built = ROOT / "target/packaged" / FUNCTION_BINARY / "bootstrap.zip"
    later = tmp_path / "later.zip"
    data = bytearray(built.read_bytes())
    with zipfile.ZipFile(built) as archive:
        directory = archive.start_dir
    for at in (10, directory + 12):
        struct.pack_into("<HH", data, at, 0x6000, 0x5D7A)
    later.write_bytes(data)
    with zipfile.ZipFile(later) as archive:
        assert archive.infolist()[0].date_time != zipfile.ZipFile(built).infolist()[0].date_time

    assert packaged(later, tmp_path / "dist").returncode == 0
    for path in package.iterdir():
        assert (tmp_path / "dist" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_template_is_the_shipped_one_but_for_its_code(package):
    shipped, made = (yaml_parse(path.read_text()) for path in (ROOT / "template.yaml", package / f"{NAME}.yaml"))
    function = shipped["Resources"]["AlertFunction"]
    machine = struct.unpack_from("<H", code(package), 18)[0]
    function["Properties"]["Architectures"] = [{62: "x86_64", 183: "arm64"}[machine]]
    function["Properties"]["CodeUri"] = f"{NAME}.zip"
    # `sam build` would look for a Cargo.toml.
    del function["Metadata"]["BuildMethod"], function["Metadata"]["BuildProperties"]
    assert made == shipped


def test_the_template_is_for_the_machine_of_the_code(tmp_path):
    # An ELF header is all that is read of it.
    built = zipped(tmp_path / "arm64.zip", struct.pack("<4sBBB9xHHI", b"\x7fELF", 2, 1, 1, 2, 183, 1).ljust(64, b"\0"))
    done = packaged(built, tmp_path / "dist")
    assert done.returncode == 0, done.stderr
    made = yaml_parse((tmp_path / "dist" / f"{NAME}.yaml").read_text())
    assert made["Resources"]["AlertFunction"]["Properties"]["Architectures"] == ["arm64"]
    bom = json.loads((tmp_path / "dist" / f"{NAME}.cdx.json").read_text())
    triple = {"name": "cdx:rustc:sbom:target:triple", "value": "aarch64-unknown-linux-gnu"}
    assert triple in bom["metadata"]["properties"]


def test_what_is_no_function_is_refused(tmp_path):
    script = packaged(zipped(tmp_path / "script.zip", "#!/bin/sh\n".ljust(64)), tmp_path / "dist")
    assert script.returncode == 1 and "not an executable for Linux on x86_64 or arm64" in script.stderr
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("bootstrap", "")
        archive.writestr("more", "")
    more = packaged(tmp_path / "more.zip", tmp_path / "dist")
    assert more.returncode == 1 and "should have bootstrap alone" in more.stderr
    assert not (tmp_path / "dist").exists()


# ── The bill of materials ─────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def bom(package):
    return json.loads((package / f"{NAME}.cdx.json").read_text())


def test_the_bill_of_materials_is_cyclonedx(package):
    version = SchemaVersion.V1_5
    assert JsonStrictValidator(version).validate_str((package / f"{NAME}.cdx.json").read_text()) is None


def test_the_bill_of_materials_has_the_crates_of_the_lock_file(bom):
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    sums = {(one["name"], one["version"]): one.get("checksum") for one in locked}
    for one in bom["components"]:
        written = {each["alg"]: each["content"] for each in one.get("hashes", [])}
        assert written.get("SHA-256") == sums[one["name"], one["version"]], one["name"]
        assert one["licenses"], one["name"]
    names = {one["name"] for one in bom["components"]}
    assert names >= {"root-usage", "filter-pattern", "lambda_runtime", "aws-sdk-sns", "rustls", "ring", "serde_json"}
    # For tests, for the command, for macros, and what its features leave out.
    assert names & {"proptest", "insta", "rcgen", "divan", "clap", "serde_derive", "syn", "askama_derive", "aws-lc-rs"} == set()
    refs = {one["bom-ref"] for one in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    assert {one["ref"] for one in bom["dependencies"]} == refs
    assert {ref for one in bom["dependencies"] for ref in one["dependsOn"]} <= refs


def test_the_bill_of_materials_is_that_of_the_code(bom, package):
    function = bom["metadata"]["component"]
    assert function["name"] == FUNCTION_BINARY
    assert function["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(code(package)).hexdigest()}]
    properties = {one["name"]: one["value"] for one in bom["metadata"]["properties"]}
    assert properties["root-usage-alert:rustc"].startswith("rustc 1.")
    assert "serialNumber" not in bom and "timestamp" not in bom["metadata"]


# ── Deployed from elsewhere ───────────────────────────────────────────────────────────────────────


def reports(stack, emulator, trail):  # noqa: F811
    """A record in the log group becomes an alert: the function is there, runs and is subscribed."""
    inbox = Inbox(emulator, stack.topic, f"inbox-{stack.name}")
    trail(messages("create-access-key"))
    subject = wait_for("the alert", inbox.take, DELIVERY_SECONDS)["Subject"]
    inbox.close()
    assert "root created an access key" in subject


def test_sam_deploys_the_package_and_a_channel_is_told(elsewhere, package, emulator, trail, table):  # noqa: F811
    folder, env = elsewhere
    with_sam, _, what_runs = recipes()
    name = "package-by-sam"
    typed = {"NotificationEmail": EMAIL, "CloudTrailLogGroupName": TRAIL_LOG_GROUP, "Recipe": recipe(name), **MORE}
    typed["Settings"] = "HTTPS_FORMAT=amazon-q"
    parameters = yaml_parse((folder / f"{NAME}.yaml").read_text())["Parameters"]
    # The stack's name and Region, the parameters, and SAM's own questions: show the changes, make the role, keep what failed, save.
    answers = [name, "", *(typed.get(one, "") for one in parameters), "n", "y", "n", "n"]

    sam = Sam(emulator, folder / f"{NAME}.yaml", folder.parent)
    done = shell(with_sam, folder, env, answers="".join(f"{answer}\n" for answer in answers))
    with sam.running(name) as stack:
        assert f"{NAME}.zip: OK" in done.stdout
        with endpoint() as (server, url):
            emulator.client("sns").subscribe(TopicArn=stack.topic, Protocol="http", Endpoint=url)
            reports(stack, emulator, trail)
            wait_for("the notification", lambda: server.arrived, DELIVERY_SECONDS)
        notification = json.loads(server.arrived[0]["Message"])
        jsonschema.validate(notification, SCHEMA)
        log = lambda line: table("From a directory that holds the package alone to a channel", line)  # noqa: E731
        log("$ ls; " + "  ".join(sorted(path.name for path in folder.iterdir() if path.suffix != ".toml")))
        for line in with_sam.splitlines():
            log("$ " + line)
        for line in done.stdout.splitlines():
            if line.endswith(": OK") or line.startswith("Successfully created"):
                log(line)
        content, metadata = notification["content"], notification["metadata"]
        log(f"an HTTP subscriber received, {len(json.dumps(notification))} characters, as the schema says:")
        for what, value in (
            ("source", notification["source"]),
            ("title", content["title"]),
            ("description", content["description"].splitlines()[0]),
            ("nextSteps", f"{len(content['nextSteps'])}: {content['nextSteps'][0][:90]}…"),
            ("threadId", metadata["threadId"]),
        ):
            log(f"  {what}: {value}")
        # Uploaded as it is: whoever has the package can say what runs.
        running, ours = shell(f"STACK={name}\n{what_runs.replace('root-usage-alert', '$STACK')}", folder, env).stdout.split()
        digest = hashlib.sha256((package / f"{NAME}.zip").read_bytes()).digest()
        assert running == ours == base64.b64encode(digest).decode()


def test_the_aws_cli_alone_deploys_the_package(elsewhere, emulator, trail):  # noqa: F811
    folder, env = elsewhere
    _, with_aws, _ = recipes()
    name = "package-by-aws"
    emulator.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    replaced = {
        "BUCKET": BUCKET,
        "--stack-name root-usage-alert": f"--stack-name {name}",
        "CloudTrailLogGroupName=LOG_GROUP": " ".join(
            [f"CloudTrailLogGroupName={TRAIL_LOG_GROUP}", f"'Recipe={recipe(name)}'", *(f"{key}={value}" for key, value in MORE.items())]
        ),
    }
    text = with_aws
    for written, ours in replaced.items():
        assert written in text
        text = text.replace(written, ours)

    sam = Sam(emulator, folder / f"{NAME}.yaml", folder.parent)
    shell(text, folder, env)
    with sam.running(name) as stack:
        reports(stack, emulator, trail)
        made = emulator.client("lambda").get_function(FunctionName=stack.function)["Configuration"]
        digest = hashlib.sha256((folder / f"{NAME}.zip").read_bytes()).digest()
        assert made["CodeSha256"] == base64.b64encode(digest).decode()
