#!/usr/bin/env python3
"""Writes the recorded probes as seeds: fuzz/corpus/TARGET/PROBE."""
import json, pathlib

here = pathlib.Path(__file__).parent
probes = json.load(open(here / "../tests/reference/http1/probes.json"))
for target in ("http1_engine", "http1_pieces"):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for probe in probes:
        octets = b""
        for step in probe["steps"]:
            text = step.get("send") or step.get("drip", [""])[0]
            octets += text.encode("latin-1")
            if "repeat" in step:
                octets += step["repeat"][0].encode("latin-1") * min(step["repeat"][1], 100)
        for choice in (b"\0", b"\1", b"\7"):
            # The first octet is the choice, and for http1_engine the second the size of the pieces.
            first = choice + b"\x40" if target == "http1_engine" else choice
            (folder / f"{probe['id'].replace('/', '_')}-{choice[0]}").write_bytes(first + octets)
