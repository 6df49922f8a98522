"""make.py SEED PROCESSES: makes the directory of the library's version anew.

It runs ../write.py, cuts each file where its data ends, and leaves what
../read.py says of the directory in library.json. The cut must not change what
the library says.
"""

import glob
import os
import shutil
import struct
import subprocess
import sys
from importlib.metadata import version

HERE = os.path.dirname(os.path.abspath(__file__))


def script(name, *arguments):
    return subprocess.run([sys.executable, os.path.join(HERE, '..', name), *arguments], check=True, stdout=subprocess.PIPE).stdout


directory = os.path.join(HERE, version('prometheus_client'))
shutil.rmtree(directory, ignore_errors=True)
os.mkdir(directory)
script('write.py', directory, *sys.argv[1:])
before = script('read.py', directory)
for path in glob.glob(os.path.join(directory, '*.db')):
    with open(path, 'r+b') as file:
        file.truncate(struct.unpack('<i', file.read(4))[0])
after = script('read.py', directory)
if before != after:
    sys.exit('make.py: the library does not read the cut files alike')
with open(os.path.join(directory, 'library.json'), 'wb') as file:
    file.write(after + b'\n')
