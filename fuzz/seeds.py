#!/usr/bin/env python3
"""Make what the fuzz target `pipeline` starts from, out of events/: fuzz/corpus/pipeline and fuzz/corpus/pipeline.dict.

The first byte of a seed says what the rest is, as in fuzz_targets/pipeline.rs.
"""

import base64
import gzip
import hashlib
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
EVENTS = HERE.parent / "events"
CORPUS = HERE / "corpus" / "pipeline"
DICTIONARY = HERE / "corpus" / "pipeline.dict"
# libFuzzer's own limit for an entry is 64 bytes.
WORD_MAX = 40


def seeds(event: bytes):
    """An event, and what is inside it, layer by layer."""
    compressed = base64.b64decode(json.loads(event)["awslogs"]["data"])
    document = gzip.decompress(compressed)
    yield b"e" + event
    yield b"g" + compressed
    yield b"d" + document
    for log_event in json.loads(document)["logEvents"]:
        yield b"m" + log_event["message"].encode(errors="surrogatepass")


def words(value):
    """Every key and every short text in a JSON value."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield key
            yield from words(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from words(inside)
    elif isinstance(value, str):
        yield value


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    found = set()
    # Without the day's deliveries: 725 records of a few forms that others have, too.
    for file in sorted(path for path in EVENTS.glob("*.json") if not path.stem.startswith("day-")):
        for seed in seeds(file.read_bytes()):
            (CORPUS / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        found.update(words(json.loads((EVENTS / "source" / file.name).read_text())))
    entries = (json.dumps(word) for word in sorted(found) if 2 < len(word) <= WORD_MAX and word.isascii() and word.isprintable())
    DICTIONARY.write_text("".join(f"{entry}\n" for entry in entries))


if __name__ == "__main__":
    main()
