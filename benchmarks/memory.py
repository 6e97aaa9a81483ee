"""Memory: how much a worker has after 10,000 requests, and after 100,000.

    python benchmarks/memory.py [--requests N]

The WSGI app of a small host answers in this process: guarded calls, refreshes and discovery in
turn, on SQLite in a temporary folder. Prints the resident memory in MiB and the growth.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from flask_pkce_server.testing import Flow, register  # noqa: E402
from tests.host import make_app, sign_in  # noqa: E402


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Send the requests, and print."""
    parser = argparse.ArgumentParser(description="How much memory requests leave behind.")
    parser.add_argument("--requests", type=int, default=100_000)
    total = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/app.db", PKCE_SQLITE_PRAGMAS=True
        )
        flow = Flow(sign_in(app), register(app), scope="openid profile offline_access")
        tokens = flow.tokens()
        program = app.test_client(use_cookies=False)
        measured = {}
        for number in range(1, total + 1):
            if number % 50 == 0:
                tokens = flow.refresh(tokens["refresh_token"]).get_json()
            elif number % 50 == 25:
                program.get("/.well-known/openid-configuration")
            else:
                headers = {"Authorization": f"Bearer {tokens['access_token']}"}
                if program.get("/api/me", headers=headers).status_code != 200:
                    sys.exit("a call was refused")
            if number in (total // 10, total):
                measured[number] = resident()
                print(f"after {number:,} requests: {measured[number]:.1f} MiB", flush=True)
        early, late = measured.values()
        print(f"growth: {100 * (late / early - 1):.1f} %")


if __name__ == "__main__":
    os.environ.pop("PKCE_TEST_DIALECTS", None)
    main()
