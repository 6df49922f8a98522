#!/usr/bin/python3
"""write.py [--layout old|new] [--no-metadata] DIR: writes the files that four
processes of an application would have, whose metrics are in the DirectFileStore
of the Ruby gem prometheus-client, with label values and numbers chosen to break
a reader. Prints, as JSON, the page that the client itself would make of them:

    {"families": [{"family": ..., "type": ..., "help": ..., "samples": [[name, {label: value}, value], ...]}, ...]}

Values are what float.hex() says. Families without samples are left out: the
client prints their TYPE and HELP. Sums are made in byte order of the file
names. The page does not depend on the layout or on the metadata, except that the
old layout, which knows no time, has no gauge whose most recent value counts.

Written from the description of the format, by means of Python alone, so that
it can disagree with our reader.
"""

import argparse
import json
import math
import os
import struct
import urllib.parse

INITIAL_SIZE = 1 << 20
PIDS = (7, 12, 100, 4194304)  # in byte order: 100, 12, 4194304, 7
TYPES_WITH_PSEUDO_LABEL = {"histogram": "le", "summary": "quantile"}
DEFAULT_BUCKETS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10")

NASTY = [
    "plain", "", " ", " both ends ", "a b", "a+b", "a%20b", "%", "%%", "%2", "%zz", "100%", "a&b", "a=b", "a;b", "&", "=", ";",
    "a&le=sum", "le=sum", "sum", "count", "+Inf", "pid=1", "?", "#", "/users/7?page=2#top", "*-._~!'()", "null", "nil",
    '"', '""', 'say "hi"', "\\", "\\\\", "\\n", 'ends in \\"', "line\nline", "\n", "a\tb", "a\r\nb", "nul\0nul", "\x1f", "\x7f", "\x85",
    "{}", '} 1', 'a="b"', 'a",b="c', "# TYPE a counter", "</script>", "[]", '["m","m",[],[]]',
    "äöüß", "漢字", "e\u0301", "😀", "👩‍👩‍👧", "\u2028", "\ufeff", "\uffff", "\U0010ffff", "\ufffd", "x" * 1000, "ü" * 2000, "%" * 500,
]

# Sums of these depend on their order; no NaN, which nobody orders alike.
NUMBERS = [0.0, 1.0, -1.0, 0.1, 0.1 + 0.2, 1 / 3, 1e15, 1e16, 1e17, 1e22, 1e300, -1e300, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, math.inf]


class Metric:
    """A metric as the application declares it, and what its processes have."""

    def __init__(self, name, kind, text, aggregation=None, buckets=None):
        self.name, self.kind, self.help = name, kind, text
        self.chosen = aggregation
        self.aggregation = aggregation or ("all" if kind == "gauge" else "sum")
        self.buckets = buckets
        self.files = {}  # by pid: {sorted labels: [value, time]}

    def entry(self, pid, labels):
        if self.aggregation == "all":
            labels = {**labels, "pid": str(pid)}
        key = tuple(sorted(labels.items()))
        return self.files.setdefault(pid, {}).setdefault(key, [0.0, 0.0])

    def set(self, pid, labels, value):
        self.entry(pid, labels)[:] = [float(value), tick()]

    def increment(self, pid, labels, by=1.0):
        entry = self.entry(pid, labels)
        entry[:] = [entry[0] + by, tick()]

    def observe(self, pid, labels, value):
        """Counts in the one bucket that the value falls into, and adds it to the sum."""
        if self.kind == "summary":
            self.increment(pid, {**labels, "quantile": "count"})
            self.increment(pid, {**labels, "quantile": "sum"}, value)
            return
        bound = next((b for b in self.buckets if value <= float(b)), "+Inf")
        self.increment(pid, {**labels, "le": bound})
        self.increment(pid, {**labels, "le": "sum"}, value)

    def declare(self, pid):
        """What a metric without labels does in the process that declares it."""
        if self.kind == "histogram":
            for bound in (*self.buckets, "+Inf", "sum"):
                self.set(pid, {"le": bound}, 0)
        elif self.kind == "summary":
            for what in ("count", "sum"):
                self.set(pid, {"quantile": what}, 0)
        else:
            self.set(pid, {}, 0)

    def path(self, pid):
        return f"metric_{self.name}___{pid}.bin"

    def merged(self):
        """The values of all files, by labels, as the client adds them up."""
        values = {}
        for pid in sorted(self.files, key=lambda pid: self.path(pid).encode()):
            for key, entry in self.files[pid].items():
                values.setdefault(key, []).append(entry)
        return {key: self.merge(entries) for key, entries in values.items()}

    def merge(self, entries):
        values = [value for value, _ in entries]
        if self.aggregation == "sum":
            total = values[0]
            for value in values[1:]:
                total += value
            return total
        if self.aggregation == "max":
            return max(values)
        if self.aggregation == "min":
            return min(values)
        if self.aggregation == "most_recent":
            return max(entries, key=lambda entry: entry[1])[0]
        return values[0]

    def samples(self):
        pseudo = TYPES_WITH_PSEUDO_LABEL.get(self.kind)
        if not pseudo:
            return [[self.name, dict(key), value.hex()] for key, value in self.merged().items()]
        children = {}
        for key, value in self.merged().items():
            labels = tuple(pair for pair in key if pair[0] != pseudo)
            children.setdefault(labels, {})[dict(key)[pseudo]] = value
        make = self.histogram if self.kind == "histogram" else self.summary
        return [sample for labels, values in children.items() for sample in make(dict(labels), values)]

    def histogram(self, labels, values):
        """Every declared bucket, whoever observed it, with those below it; the last is the count."""
        total = 0.0
        for bound in (*self.buckets, "+Inf"):
            total += values.get(bound, 0.0)
            yield [self.name + "_bucket", {**labels, "le": bound}, total.hex()]
        yield [self.name + "_sum", labels, values.get("sum", 0.0).hex()]
        yield [self.name + "_count", labels, total.hex()]

    def summary(self, labels, values):
        yield [self.name + "_sum", labels, values.get("sum", 0.0).hex()]
        yield [self.name + "_count", labels, values.get("count", 0.0).hex()]

    def metadata(self):
        fields = {"name": self.name, "type": self.kind, "help": self.help}
        if self.chosen:
            fields["aggregation"] = self.chosen
        if self.buckets is not None:
            fields["buckets"] = list(self.buckets)
        return fields


class Clock:
    now = 5000.25


def tick():
    """Seconds since the machine started: later with each call, in whatever process."""
    Clock.now += 0.125
    return Clock.now


def encoded(key):
    quoted = (f"{urllib.parse.quote_plus(name, safe='')}={urllib.parse.quote_plus(value, safe='')}" for name, value in key)
    return "&".join(quoted).encode("ascii")


def content(entries, layout):
    """A file: header, entries, and the hole that follows."""
    data = bytearray(8)
    for key, (value, time) in entries.items():
        text = encoded(key)
        text += b" " * (8 - (len(text) + 4) % 8)
        data += struct.pack("=i", len(text)) + text + struct.pack("=d", value)
        if layout == "new":
            data += struct.pack("=d", time)
    data[:4] = struct.pack("=i", len(data))
    size = INITIAL_SIZE
    while size < len(data):
        size *= 2
    return bytes(data), size


def write(path, data, size):
    with open(path, "wb") as file:
        file.write(data)
        file.truncate(size)


def counters(metrics):
    orders = metrics("orders_total", "counter", "Orders, by \"kind\"\nand \\ more")
    for turn, pid in enumerate(PIDS):
        for n, text in enumerate(NASTY):
            orders.increment(pid, {"kind": text}, NUMBERS[(n + turn) % 6])
        orders.increment(pid, {"a": "1", "kind": str(pid), "pidgin": "x", "zz": "2"}, 3)  # as after a change of its labels
    alone = metrics("started_total", "counter", "Has no labels")
    alone.declare(PIDS[0])
    for pid in PIDS[1:]:
        alone.increment(pid, {}, pid)
    metrics("highest_total", "counter", "The process that counted most", "max")
    metrics("by_process_total", "counter", "Kept apart", "all")
    for pid in PIDS:
        metrics.of["highest_total"].increment(pid, {"a": "b"}, pid * 0.5)
        metrics.of["by_process_total"].increment(pid, {"a": "b"}, pid)
    metrics("requests:rate___5m", "counter", "A name like a file's").increment(12, {"le": "sum", "quantile": "count"}, 2)
    metrics("without_total_in_its_name", "counter", "Says nothing of itself").increment(7, {"a": "1"}, 2)
    metrics.of["without_total_in_its_name"].increment(12, {"a": "1"}, 2)


def gauges(metrics, layout):
    modes = ["sum", "max", "min", "all"] + (["most_recent"] if layout == "new" else [])
    for mode in modes:
        gauge = metrics(f"gauge_{mode}", "gauge", f"A gauge, {mode}", mode)
        bare = metrics(f"bare_gauge_{mode}", "gauge", f"A gauge without labels, {mode}", mode)
        bare.declare(PIDS[0])
        for turn, pid in enumerate(PIDS):
            for n, value in enumerate(NUMBERS):
                gauge.set(pid, {"v": NASTY[n], "n": str(n)}, NUMBERS[(n + turn) % len(NUMBERS)])
                if mode in ("max", "min") or math.isfinite(value):
                    continue
                gauge.set(pid, {"v": "odd", "n": "-1"}, -0.0)
            bare.set(pid, {}, -turn - 1.5)
    metrics("gauge_default", "gauge", "A gauge that chose nothing")
    for pid, value in zip(PIDS, (1.0, math.nan, -math.inf, 5e-324)):
        metrics.of["gauge_default"].set(pid, {"who": "each"}, value)
    if layout == "new":
        # The last file by name is not the latest, and the largest value neither.
        latest = metrics("gauge_latest", "gauge", "Set by turns", "most_recent")
        for pid, value in ((7, 10), (100, 40), (4194304, 20), (12, 30), (7, 15), (100, 1)):
            latest.set(pid, {"a": "b"}, value)


def histograms(metrics):
    seconds = metrics("seconds", "histogram", "Durations", buckets=DEFAULT_BUCKETS)
    for turn, pid in enumerate(PIDS):
        for n, text in enumerate(NASTY[:20]):
            for value in (0.1, 0.7 * n, 3.0 + turn)[: 1 + n % 3]:
                seconds.observe(pid, {"path": text, "zone": "after le"}, value)
    seconds.observe(7, {"path": "few", "zone": ""}, 0.5)  # one bucket of twelve
    seconds.observe(12, {"path": "few", "zone": ""}, 50)

    bare = metrics("bare_seconds", "histogram", "Has no labels", buckets=("0.1", "1", "10"))
    bare.declare(7)
    bare.observe(12, {}, 0.5)
    metrics("unused_seconds", "histogram", "Nobody observes", buckets=("0.1", "1.0")).declare(7)

    texts = metrics("spelt", "histogram", "Bounds as Ruby prints them", buckets=("-1", "0.0", "1.0e-07", "1", "1.5", "1.0e+16"))
    texts.observe(7, {"a": "b"}, -5)
    texts.observe(12, {"a": "b"}, 2.0)
    texts.observe(100, {"a": "b"}, 5e-8)
    metrics("bucketless", "histogram", "No bounds", buckets=()).observe(7, {"a": "b"}, 1)

    apart = metrics("apart_seconds", "histogram", "Kept apart", "all", buckets=("1", "2"))
    for turn, pid in enumerate(PIDS):
        apart.observe(pid, {"a": "b"}, turn)


def summaries(metrics):
    size = metrics("size_bytes", "summary", "Sizes")
    for turn, pid in enumerate(PIDS):
        for n, text in enumerate(NASTY):
            size.observe(pid, {"kind": text}, NUMBERS[(n + turn) % 8])
    metrics("bare_bytes", "summary", "Has no labels").declare(7)
    metrics.of["bare_bytes"].observe(12, {}, 0.25)


class Metrics:
    def __init__(self):
        self.of = {}

    def __call__(self, name, kind, text, aggregation=None, buckets=None):
        return self.of.setdefault(name, Metric(name, kind, text, aggregation, buckets))


def main():
    parser = argparse.ArgumentParser(description="Write files of the DirectFileStore, and print what they say.")
    parser.add_argument("--layout", choices=("old", "new"), default="new", help="new: with a timestamp, since 2.1.0")
    parser.add_argument("--no-metadata", action="store_true", help="do not write metrics.metadata.json")
    parser.add_argument("dir")
    args = parser.parse_args()

    metrics = Metrics()
    counters(metrics)
    gauges(metrics, args.layout)
    histograms(metrics)
    summaries(metrics)
    metrics("never_used_total", "counter", "Has no file")

    os.makedirs(args.dir, exist_ok=True)
    for metric in metrics.of.values():
        for pid, entries in metric.files.items():
            write(os.path.join(args.dir, metric.path(pid)), *content(entries, args.layout))
    # Processes that were only just born: no header yet, a hole, and a header without entries.
    for pid, data, size in ((90, b"", 0), (91, b"", INITIAL_SIZE), (92, struct.pack("=ii", 8, 0), INITIAL_SIZE)):
        write(os.path.join(args.dir, metrics.of["orders_total"].path(pid)), data, size)
    if not args.no_metadata:
        with open(os.path.join(args.dir, "metrics.metadata.json"), "w", encoding="utf-8") as file:
            json.dump({"version": 1, "metrics": [metric.metadata() for metric in metrics.of.values()]}, file)

    families = [{"family": m.name, "type": m.kind, "help": m.help, "samples": m.samples()} for m in metrics.of.values() if m.files]
    print(json.dumps({"families": families}))


if __name__ == "__main__":
    main()
