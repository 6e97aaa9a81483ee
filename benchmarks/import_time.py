"""Import time: the cost of importing the package, relative to its host's other imports.

python benchmarks/import_time.py
"""

from __future__ import annotations

import os
import subprocess
import sys

HOST = "import flask, flask_sqlalchemy, flask_wtf, authlib.integrations.flask_oauth2"
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def seconds(code: str) -> float:
    """Return the best of seven times in seconds, each measured in a new interpreter."""
    command = [sys.executable, "-c", TIMED.format(code)]
    # As after an installation: with the bytecode of every module.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return min(float(subprocess.check_output(command, env=env)) for _ in range(7))  # noqa: S603


if __name__ == "__main__":
    host, both = seconds(HOST), seconds(f"{HOST}, flask_pkce_server")
    print(f"host {host:.3f} s, with the package {both:.3f} s, ratio {both / host:.2f}")
