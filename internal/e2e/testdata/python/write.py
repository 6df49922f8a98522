"""write.py DIR SEED PROCESSES: a random application of the real prometheus_client.

It forks PROCESSES processes, which use every type of metric and every mode of
gauge that the library's version has, and leaves their files in DIR: what our
page of them says is compared with what read.py says. The same SEED makes the
same application, but for the process ids in the names of the files.

What we do differently from the library on purpose is not in it: NaN and minus
zero in min and max, gauges that are minus zero in sums, a gauge's own label
pid, several helps of one family. Neither is half a surrogate pair, which the
library cannot print.
"""

import os
import random
import sys
import traceback

DIRECTORY, SEED, PROCESSES = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
# The library asks once, when it is imported.
os.environ['PROMETHEUS_MULTIPROC_DIR'] = DIRECTORY

import prometheus_client as prometheus  # noqa: E402
from prometheus_client import values  # noqa: E402

INFINITY = float('inf')
NAN = float('nan')

# Modes came one by one; older versions refuse those that they do not know.
MODES = sorted(prometheus.Gauge._MULTIPROC_MODES)
TEXTS = [
    '', ' ', 'x', 'y z', '"', '""', 'ends in "', '\\', '\\\\', 'ends in \\', '\\"', '\\n', '\\u0041',
    '\n', 'line\nline', '\t', '\r\n', '\0', 'nul\0nul', '\x1b[0m', '\x7f', '\x85', '\xa0', '\ufeff', '\u2028', '\uffff',
    *(f'control {chr(code)}' for code in range(32)),
    'äöü', 'e\u0301', 'ж', '漢字', '😀', '👩\u200d👧', '\U0010ffff',
    '{}', '{"a": "b"}', '["a", "b"]', '[]', '", "', '"}, "help"]', '}', ']', ',', ': ', 'a="b"', '} 1', '# TYPE a counter',
    'null', 'None', 'true', '0', '-1', '1e3', 'NaN', '+Inf', '</b>&', "it's", 'x' * 1000, 'ü' * 500, '\\"' * 300,
    None, True, 42, 2**70, 0.1, 1e20, -0.0, INFINITY,  # labels() makes text of whatever it gets
]
RUNES = [*map(chr, range(32, 127)), '\n', '\t', '\r', '\0', '\x1b', 'é', 'ж', '語', '😀', '\u2029']
NUMBERS = [
    0.0, -0.0, 0.1, 0.1 + 0.2, 1 / 3, 1e15, 1e16, 1e17, 1e21, 1e300, 1e-5, 1e-300, 5e-324, sys.float_info.max, sys.float_info.min,
    sys.float_info.epsilon, 2**53, 2**53 + 1, 2**64, 2**100, 4.35, INFINITY, NAN,
]
BUCKETS = [
    prometheus.Histogram.DEFAULT_BUCKETS, [1], [1, 2.5], [0.5, 1, 2, 10, 100], [-1, 0, 1], [1e-5, 0.1, 1e5, 1e6, 1e7, 123456789, 1e16],
    [0.1 + 0.2, 1 / 3, INFINITY], [-INFINITY, -1e7, 5e-324, 1e300],
]
HELPS = [
    'What it counts.', '', ' ', 'two\nlines', 'a \\ and a "quote"', 'tab\tand nul\0', 'ünïcödé 😀', '{"json": ["a", "b"]}', '"]', 'x' * 2000,
]
LABELS = ['a', 'b', 'c', 'Z', '_x', 'le_', 'method', 'zz', 'pid2']
# What stands for a process in its files' names, if it is not the process id.
IDENTIFIERS = ['0', '1', '2', '10', 'web-1', 'web-2', 'a.b', 'ä', 'master', '-', '07']


def number(rng):
    """A number of any size, often one that is hard to read or to add."""
    choice = rng.randrange(10)
    if choice < 4:
        return float(rng.randrange(1000))
    if choice < 6:
        return rng.random() - 0.3
    if choice < 8:
        return (rng.random() - 0.5) * 10.0 ** rng.randrange(-320, 308)
    return rng.choice(NUMBERS) * rng.choice([1, -1])


def positive(rng):
    value = number(rng)
    return -value if value < 0 else value


def ordered(rng):
    """A number that is the smallest or the largest wherever it stands."""
    value = number(rng)
    return 1.0 if value != value or value == 0 else value


def texts(rng):
    """The values of a label, no two of which read the same."""
    some = [str(rng.choice(TEXTS)) for _ in range(rng.randrange(1, 6))]
    some += [''.join(rng.choices(RUNES, k=rng.randrange(20))) for _ in range(rng.randrange(3))]
    return list(dict.fromkeys(some))


class Family:
    """A metric, which every process that uses it makes for itself."""

    def __init__(self, rng, index, kind):
        self.kind = kind
        self.name = f'{rng.choice(["a", "m", "m_", "M:"])}{index}_{kind}'
        self.help = rng.choice(HELPS)
        names = LABELS + {'counter': ['pid', 'le', 'quantile'], 'summary': ['pid'], 'histogram': ['pid']}.get(kind, [])
        self.labels = {name: texts(rng) for name in rng.sample(names, rng.randrange(4))}
        self.buckets = [rng.choice(BUCKETS) for _ in range(rng.choice([1, 1, 3]))]
        self.metric = None

    def make(self, rng):
        """Without labels this writes zeros already."""
        arguments = [self.name, self.help, list(self.labels)]
        if self.kind == 'counter':
            if rng.random() < 0.3:
                arguments[0] += '_total'  # the library takes it off again
            self.metric = prometheus.Counter(*arguments)
        elif self.kind == 'summary':
            self.metric = prometheus.Summary(*arguments)
        elif self.kind == 'histogram':
            self.metric = prometheus.Histogram(*arguments, buckets=rng.choice(self.buckets))
        else:
            self.metric = prometheus.Gauge(*arguments, multiprocess_mode=self.kind)

    def use(self, rng):
        if self.metric is None:
            self.make(rng)
        metric = self.metric
        if self.labels:
            metric = metric.labels(**{name: rng.choice(some) for name, some in self.labels.items()})
            if rng.random() < 0.05:
                return  # made but never set
        if self.kind == 'counter':
            metric.inc(positive(rng))
        elif self.kind in ('summary', 'histogram'):
            metric.observe(number(rng))
        elif self.kind.endswith(('min', 'max')):
            metric.set(ordered(rng))
        elif not self.kind.endswith('mostrecent') and rng.random() < 0.2:
            rng.choice([metric.inc, metric.dec])(number(rng))
        elif self.kind.endswith('sum'):
            metric.set(number(rng) + 0.0)  # never minus zero
        else:
            metric.set(number(rng))


def work(families, seed):
    rng = random.Random(seed)
    some = rng.sample(families, rng.randrange(1, len(families) + 1))
    for _ in range(rng.randrange(400)):
        rng.choice(some).use(rng)


def run(job):
    """Runs a job in a process of its own, and waits for it."""
    pid = os.fork()
    if pid == 0:
        try:
            job()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit('write.py: a process failed')


def main():
    rng = random.Random(SEED)
    kinds = ['counter', 'summary', 'histogram', *MODES]
    # Every kind once, then more of any.
    families = [Family(rng, index, kind) for index, kind in enumerate(kinds + rng.choices(kinds, k=rng.randrange(15)))]
    identifier = [None]
    if rng.random() < 0.3:
        # As in applications whose workers have numbers: one that comes again
        # goes on in the files that the last one left.
        identifier[0] = rng.choice(IDENTIFIERS)
        values.ValueClass = values.MultiProcessValue(lambda: identifier[0])
    if rng.random() < 0.5:
        # As in a server that loads the application before it forks.
        for family in rng.sample(families, rng.randrange(1, len(families))):
            family.make(rng)
    for index in range(PROCESSES):
        if identifier[0] is not None:
            identifier[0] = rng.choice(IDENTIFIERS)
        run(lambda: work(families, SEED * 1000 + index))


main()
