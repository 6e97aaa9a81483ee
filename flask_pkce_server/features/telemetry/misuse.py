"""Misuse: counts the signals that something is in the hands of two parties."""

from __future__ import annotations

from typing import Any

from blinker import NamedSignal
from flask import Flask

from ...protocol.feature import Listener
from ...protocol.state import request_state
from ...signals import code_replayed, token_reuse_detected, verifier_mismatched
from . import instruments


def _counting(signal: NamedSignal) -> Listener:
    def count(app: Flask, **facts: Any) -> None:
        labels = {instruments.SIGNAL: signal.name}
        # The client that redeems is the one that the signal names.
        client = request_state().client
        if client is not None:
            labels[instruments.CLIENT] = instruments.label_of(client)
        instruments.misused.add(1, labels)

    return signal, count


LISTENERS = tuple(map(_counting, (code_replayed, token_reuse_detected, verifier_mismatched)))
