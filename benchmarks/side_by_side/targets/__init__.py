"""The targets, in the order of the table's columns."""

from __future__ import annotations

from .authlib import Authlib
from .floor import Floor
from .node import Node
from .ours import Ours
from .target import Target
from .toolkit import Toolkit

TARGETS: tuple[type[Target], ...] = (Floor, Ours, Authlib, Toolkit, Node)
