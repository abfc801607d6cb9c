"""The command `retort`: the C++ program that lies in the package, found and started."""

import importlib.util
import os
import sys


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    program = os.path.join(here, "bin", "retort")
    torch = importlib.util.find_spec("torch")
    if torch is None:
        sys.exit("retort: there is no PyTorch in this Python, whose libraries the program needs: pip install torch")
    environment = dict(os.environ)
    if not os.path.exists(os.path.join(here, "..", "torch")):  # installed elsewhere than the program looks
        libraries = os.path.join(os.path.dirname(torch.origin), "lib")
        environment["LD_LIBRARY_PATH"] = ":".join(filter(None, [libraries, environment.get("LD_LIBRARY_PATH")]))
    os.execve(program, ["retort", *sys.argv[1:]], environment)
