#!/usr/bin/env python3
"""What the Python package `mcap` makes of a recording: every topic read, counts and schemas as caril
says, and again after cutting the file at random places and `caril inspect --repair`.

    python3 docs/checks/recording.py [--caril target/release/caril] [--cuts 200] F.mcap …
"""
import argparse, collections, json, os, random, subprocess, sys, tempfile
from mcap.reader import make_reader  # pip install mcap

p = argparse.ArgumentParser()
p.add_argument("--caril", default="target/release/caril")
p.add_argument("--cuts", type=int, default=0)
p.add_argument("--seed", type=int, default=1)
p.add_argument("files", nargs="+")
a = p.parse_args()


def caril(*args):
    """Exit code and JSON of a command."""
    r = subprocess.run([a.caril, *args, "--json"], capture_output=True, text=True)
    if r.returncode not in (0, 3) and "panicked" in r.stderr:
        sys.exit(f"panic: {args}\n{r.stderr}")
    return r.returncode, json.loads(r.stdout) if r.stdout else None


def read(path):
    """Messages by topic, by the index; every JSON message by its schema."""
    counts, sequences = collections.Counter(), collections.defaultdict(list)
    with open(path, "rb") as f:
        reader = make_reader(f, validate_crcs=True)
        for schema, channel, message in reader.iter_messages():
            counts[channel.topic] += 1
            sequences[channel.topic].append(message.sequence)
            if channel.message_encoding == "json":
                known = json.loads(schema.data)["properties"]
                value = json.loads(message.data)
                assert set(value) <= set(known), (channel.topic, set(value) - set(known))
            else:
                assert channel.message_encoding == schema.encoding == "protobuf", channel.topic
                assert schema.name.startswith("foxglove."), schema.name
        statistics = reader.get_summary().statistics
        topics = {c.topic: statistics.channel_message_counts.get(i, 0)
                  for i, c in reader.get_summary().channels.items()}
    assert {t: n for t, n in topics.items() if n} == dict(counts), (topics, counts)
    assert sequences["/step"] == sorted(sequences["/step"])
    return dict(counts)


for path in a.files:
    code, said = caril("inspect", path)
    counts = read(path)
    assert code == 0 and said["topics"] == counts, (code, said["topics"], counts)
    print(f"{path}: {counts}, as caril says")
    if not a.cuts:
        continue
    r, data = random.Random(a.seed), open(path, "rb").read()
    headless, least = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        cut, whole = os.path.join(folder, "cut.mcap"), os.path.join(folder, "whole.mcap")
        for n in sorted(r.randrange(len(data)) for _ in range(a.cuts)):
            with open(cut, "wb") as f:
                f.write(data[:n])
            code, said = caril("inspect", cut)
            if said is None:
                assert code == 1 and least == 0, (n, code)
                headless += 1
                continue
            assert code == 3 and not said["complete"], (n, code)
            assert said["frames"] >= least, (n, said["frames"], least)
            least = said["frames"]
            if os.path.exists(whole):
                os.remove(whole)  # it overwrites nothing
            code, repaired = caril("inspect", cut, "--repair", whole)
            assert code == 0 and repaired["steps"] == said["frames"], (n, code, repaired)
            assert read(whole) == said["topics"], n
    print(f"  {a.cuts} cuts: {headless} before the header was complete, else all steps up to the cut; "
          f"repaired files read")
