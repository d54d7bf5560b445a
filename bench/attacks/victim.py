"""A process to be attacked: it holds a secret in its environment, its memory and an open file.

Runs alone, `python -I -S -B victim.py FILE`: it tells where its secrets are, then waits for the
end of its standard input.
"""

import ctypes
import json
import os
import sys

PR_SET_PTRACER, ANYBODY = 0x59616D61, -1

secret = os.environ["VICTIM_SECRET"].encode()
buffer = ctypes.create_string_buffer(secret)
ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)  # else Yama would do the sandbox's work
place = {
    "victim_address": ctypes.addressof(buffer),
    "victim_fd": os.open(sys.argv[1], os.O_RDONLY),
}
sys.stdout.write(json.dumps(place) + "\n")
sys.stdout.flush()
sys.stdin.read()
