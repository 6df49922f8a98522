"""read.py DIR: what the real prometheus_client makes of the files in DIR, as JSON.

It prints a list of families, each an object of name, type, help and samples;
a sample is [name, labels, value], the value as Python's float.hex() spells it:
nan, inf and -inf, or exact digits such as 0x1.8000000000000p+1. Our page of the
same directory has to say the same.

The files are added up in the order of their names, as we do: the library alone
takes them as the system lists them. A counter's family has the library's name,
without _total; the library's page has it.
"""

import glob
import json
import os
import sys

from prometheus_client.multiprocess import MultiProcessCollector


def describe(family):
    return {
        'name': family.name,
        'type': family.type,
        'help': family.documentation,
        'samples': [[sample.name, sample.labels, sample.value.hex()] for sample in family.samples],
    }


files = sorted(glob.glob(os.path.join(glob.escape(sys.argv[1]), '*.db')))
families = MultiProcessCollector.merge(files, accumulate=True)
json.dump([describe(family) for family in families], sys.stdout)
