#!/usr/bin/env python3
"""Packs the folder of an `eval drive` run for docs/results/drives: every drive's row without its path.

    docs/checks/keep_drives.py runs/shift docs/results/drives/shift.tar.xz
    tar xJf docs/results/drives/shift.tar.xz -C runs      # and back

The unpacked folder is a run's folder: `caril eval drive merge` makes its tables, and the same
`eval drive --out` command goes on in it. Paths are for the report's maps alone.
"""

import argparse
import io
import json
import tarfile
from pathlib import Path


def add(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("out", type=Path, help="SUITE.tar.xz")
    args = parser.parse_args()
    run, out = args.run, args.out
    if not (run / "episodes.jsonl").is_file():
        parser.error(f"no run in {run}")
    rows = {}
    for line in (run / "episodes.jsonl").read_text().splitlines(keepends=True):
        # One that is being written, or was cut off: the run drives it again.
        if not line.endswith("\n"):
            continue
        row = json.loads(line)
        if "path" in row:
            row["path"] = []
        e = row["episode"]
        rows[e["suite"], e["cell"], e["trial"], e["arm"]] = json.dumps(row, separators=(",", ":"))
    out.parent.mkdir(parents=True, exist_ok=True)
    name = out.name.split(".")[0]
    with tarfile.open(out, "w:xz", preset=9) as tar:
        add(tar, f"{name}/run.json", (run / "run.json").read_text())
        add(tar, f"{name}/episodes.jsonl", "".join(row + "\n" for _, row in sorted(rows.items())))
    print(f"{out}: {len(rows)} drives, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
