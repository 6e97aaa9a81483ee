"""Serves the built React sample on another origin than the demo: `make demo-react`."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response
from werkzeug.exceptions import NotFound

app = Flask(__name__, static_folder=Path(__file__).parent / "dist", static_url_path="")


@app.errorhandler(404)
def page(_: NotFound) -> Response:
    """Return the app's only page, which handles the path itself."""
    return app.send_static_file("index.html")
