"""The notes for language models: a small MCP server, in plain Flask.

Model Context Protocol, Streamable HTTP without sessions: every call is one POST. The tokens
are looked at before a view is reached, since extensions.py says `pkce.mcp("/mcp", ...)`; a tool
that needs more than that says so itself.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from flask_pkce_server import current_token

from .extensions import db
from .models import Note, User, notes_of

blueprint = Blueprint("mcp", __name__)

#: Each request says by itself which revision it speaks; the older ones shook hands first.
MODERN = "2026-07-28"
VERSIONS = [MODERN, "2025-11-25", "2025-06-18", "2025-03-26"]
NAMED = {"name": "notes", "title": "Notes", "version": "1"}
TOOLS = [
    {
        "name": "list_notes",
        "title": "List the notes",
        "description": "Return the notes of the user, the newest first.",
        "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "add_note",
        "title": "Add a note",
        "description": "Keep a note for the user.",
        "inputSchema": {
            "type": "object",
            "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 2000}},
            "required": ["text"],
            "additionalProperties": False,
        },
        "annotations": {"destructiveHint": False},
    },
]


class RpcError(Exception):
    """What is answered as a JSON-RPC error."""

    def __init__(self, code: int, message: str, **data: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


@blueprint.post("/mcp")
def serve() -> ResponseReturnValue:
    """Answer one JSON-RPC message; a GET, for a stream, is a 405."""
    message = request.get_json(silent=True)
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _failed(None, RpcError(-32600, "Send one JSON-RPC request as JSON.")), 400
    number, params = message.get("id"), message.get("params", {})
    try:
        if not isinstance(params, dict):
            raise RpcError(-32602, "params is an object.")
        version = _version(params)
        if number is None:
            # A notification; nothing here depends on one.
            return "", 202
        result = _answer(message["method"], params)
    except RpcError as error:
        # Of a request that cannot be served at all, HTTP says so too.
        status = {-32601: 404, -32602: 200}.get(error.code, 400)
        return _failed(number, error), status
    if version == MODERN:
        meta = {"io.modelcontextprotocol/serverInfo": NAMED}
        result = {"resultType": "complete", "_meta": meta, **result}
    return jsonify(jsonrpc="2.0", id=number, result=result)


def _version(params: dict[str, Any]) -> str:
    """Return the revision that the request speaks."""
    meta = params.get("_meta")
    said = meta.get("io.modelcontextprotocol/protocolVersion") if isinstance(meta, dict) else None
    header = request.headers.get("MCP-Protocol-Version")
    version = said or header or VERSIONS[-1]
    if version not in VERSIONS:
        raise RpcError(
            -32022, "This revision is not spoken here.", supported=VERSIONS, requested=version
        )
    if said and header and said != header:
        raise RpcError(-32020, "MCP-Protocol-Version and _meta do not agree.")
    return str(version)


def _answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        # The handshake of the older revisions.
        wanted, older = params.get("protocolVersion"), VERSIONS[1:]
        version = wanted if wanted in older else older[0]
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": NAMED}
    if method == "server/discover":
        cached = {"ttlMs": 3_600_000, "cacheScope": "public"}
        return {"supportedVersions": VERSIONS, "capabilities": {"tools": {}}, **cached}
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": TOOLS, "ttlMs": 3_600_000, "cacheScope": "public"}
    if method == "tools/call":
        arguments = params.get("arguments", {})
        if not isinstance(arguments, dict):
            raise RpcError(-32602, "arguments is an object.")
        return _call(params.get("name"), arguments)
    raise RpcError(-32601, "There is no such method.")


def _call(tool: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    if tool == "list_notes":
        current_token.require("notes:read")
        return _text("\n".join(note.text for note in notes_of(_user())))
    if tool == "add_note":
        # A token without it is answered 403: the client asks the user, and calls again.
        current_token.require("notes:write")
        text = arguments.get("text")
        if not isinstance(text, str) or not 1 <= len(text.strip()) <= 2000:
            # For the model to read, which can do better.
            return {**_text("text has 1 to 2000 characters."), "isError": True}
        db.session.add(Note(user_id=_user().id, text=text.strip()))
        db.session.commit()
        return _text("Kept.")
    raise RpcError(-32602, "There is no such tool.")


def _user() -> User:
    """Return the user of the token; their account may be gone since it was issued."""
    user: User | None = current_token.user
    if user is None:
        raise RpcError(-32603, "There is no such user any more.")
    return user


def _text(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": False}


def _failed(number: Any, error: RpcError) -> Response:
    told = {"code": error.code, "message": error.message}
    return jsonify(
        jsonrpc="2.0", id=number, error={**told, "data": error.data} if error.data else told
    )
