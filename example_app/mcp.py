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
from .models import Note, User, notes_of, read_text

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
#: The errors about the revision that is spoken.
_REVISION = (-32020, -32022)
_NAMES = [tool["name"] for tool in TOOLS]
_ABOUT = "io.modelcontextprotocol/"


class RpcError(Exception):
    """What is answered as a JSON-RPC error."""

    def __init__(self, code: int, message: str, **data: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


@blueprint.post("/mcp")
def serve() -> ResponseReturnValue:
    """Answer one JSON-RPC message; a GET, for a stream, is a 405."""
    try:
        message = request.get_json(silent=True)
    except RecursionError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _failed(None, RpcError(-32600, "Send one JSON-RPC request as JSON.")), 400
    if "id" in message and type(message["id"]) not in (str, int):
        return _failed(None, RpcError(-32600, "id is a string or an integer.")), 400
    modern = request.headers.get("MCP-Protocol-Version") == MODERN
    number, params = message.get("id"), message.get("params", {})
    try:
        if not isinstance(params, dict):
            raise RpcError(-32602, "params is an object.")
        _check_revision(params)
        if "id" not in message:
            # A notification; nothing here depends on one.
            return "", 202
        if modern:
            _check_headers(message["method"], params)
        result = _answer(message["method"], params, modern)
    except RpcError as error:
        # HTTP says so too; the older revisions have a 200 for what is wrong with the call.
        status = {-32603: 200, -32601: 404}.get(error.code, 400)
        return _failed(number, error), status if modern or error.code in _REVISION else 200
    if modern:
        meta = {f"{_ABOUT}serverInfo": NAMED}
        result = {"resultType": "complete", "_meta": meta, **result}
    return jsonify(jsonrpc="2.0", id=number, result=result)


def _check_revision(params: dict[str, Any]) -> None:
    """Refuse a message that says two revisions, or one that is not spoken here."""
    meta = params.get("_meta")
    header = request.headers.get("MCP-Protocol-Version")
    said = meta.get(f"{_ABOUT}protocolVersion", header) if isinstance(meta, dict) else header
    if said != header:
        raise RpcError(-32020, "MCP-Protocol-Version and _meta do not agree.")
    if header is not None and header not in VERSIONS:
        raise RpcError(
            -32022, "This revision is not spoken here.", supported=VERSIONS, requested=header
        )


def _check_headers(method: str, params: dict[str, Any]) -> None:
    """Refuse a request of today whose headers say something else than its body.

    What stands before this server, a gateway say, may have decided by the headers.
    """
    meta = params.get("_meta")
    about = {f"{_ABOUT}protocolVersion", f"{_ABOUT}clientCapabilities"}
    if not isinstance(meta, dict) or not about <= meta.keys():
        raise RpcError(-32602, "_meta has protocolVersion and clientCapabilities.")
    wanted = {"Mcp-Method": method}
    if method == "tools/call" and params.get("name") in _NAMES:
        wanted["Mcp-Name"] = params["name"]
    for header, value in wanted.items():
        if request.headers.get(header) != value:
            raise RpcError(-32020, f"{header} and the body do not agree.")


def _answer(method: str, params: dict[str, Any], modern: bool) -> dict[str, Any]:
    if method == "initialize" and not modern:
        # The handshake of the older revisions.
        wanted, older = params.get("protocolVersion"), VERSIONS[1:]
        version = wanted if wanted in older else older[0]
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": NAMED}
    if method == "ping" and not modern:
        return {}
    if method == "server/discover" and modern:
        cached = {"ttlMs": 3_600_000, "cacheScope": "public"}
        return {"supportedVersions": VERSIONS, "capabilities": {"tools": {}}, **cached}
    if method == "tools/list":
        return {"tools": TOOLS, "ttlMs": 3_600_000, "cacheScope": "public"}
    if method == "tools/call":
        arguments = params.get("arguments") or {}
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
        text = read_text(arguments.get("text"))
        if text is None:
            # For the model to read, which can do better.
            return {**_text("text has 1 to 2000 characters."), "isError": True}
        db.session.add(Note(user_id=_user().id, text=text))
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
