"""A small MCP server for the notes, in plain Flask.

It speaks the Model Context Protocol over Streamable HTTP without sessions: every call is one
POST. Tokens are checked before a view is reached, because extensions.py calls
`pkce.mcp("/mcp", ...)`. A tool that needs more scopes asks for them itself.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from flask_pkce_server import current_server, current_token

from .extensions import db
from .models import Note, User, notes_of, read_text

blueprint = Blueprint("mcp", __name__)

#: In this revision, each request names its version; the older ones start with a handshake.
MODERN = "2026-07-28"
VERSIONS = [MODERN, "2025-11-25", "2025-06-18", "2025-03-26"]
NAMED = {"name": "notes", "title": "Notes", "version": "1"}
TOOLS = [
    {
        "name": "list_notes",
        "title": "List the notes",
        "description": "Return the user's notes, newest first.",
        "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "add_note",
        "title": "Add a note",
        "description": "Save a note for the user.",
        "inputSchema": {
            "type": "object",
            "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 2000}},
            "required": ["text"],
            "additionalProperties": False,
        },
        "annotations": {"destructiveHint": False},
    },
]
#: The errors about the protocol revision.
_REVISION = (-32020, -32022)
_NAMES = [tool["name"] for tool in TOOLS]
_ABOUT = "io.modelcontextprotocol/"


class RpcError(Exception):
    """An error that becomes a JSON-RPC error response."""

    def __init__(self, code: int, message: str, **data: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


@blueprint.post("/mcp")
def serve() -> ResponseReturnValue:
    """Answer one JSON-RPC message; a GET (which asks for a stream) gets a 405."""
    if not _is_from_here(request.headers.get("Origin")):
        return _failed(None, RpcError(-32600, "Pages of this origin are not of the client.")), 403
    try:
        message = request.get_json(silent=True)
    except RecursionError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _failed(None, RpcError(-32600, "Send one JSON-RPC request as JSON.")), 400
    if "id" in message and type(message["id"]) not in (str, int):
        return _failed(None, RpcError(-32600, "id must be a string or an integer.")), 400
    modern = request.headers.get("MCP-Protocol-Version") == MODERN
    request_id, params = message.get("id"), message.get("params", {})
    try:
        if not isinstance(params, dict):
            raise RpcError(-32602, "params must be an object.")
        _check_revision(params)
        if "id" not in message:
            # A notification; nothing here depends on one.
            return "", 202
        if modern:
            _check_headers(message["method"], params)
        result = _answer(message["method"], params, modern)
    except RpcError as error:
        # The HTTP status reports errors too. In the older revisions, only errors about the
        # revision have an error status.
        status = {-32603: 200, -32601: 404}.get(error.code, 400)
        return _failed(request_id, error), status if modern or error.code in _REVISION else 200
    if modern:
        meta = {f"{_ABOUT}serverInfo": NAMED}
        result = {"resultType": "complete", "_meta": meta, **result}
    return jsonify(jsonrpc="2.0", id=request_id, result=result)


def _is_from_here(origin: str | None) -> bool:
    """Say whether a page of `origin` may call; programs other than browsers send none.

    MCP, Streamable HTTP: "Servers MUST validate the Origin header on all incoming connections".
    """
    if origin is None or origin == current_server.issuer.origin:
        return True
    client = current_server.find_client(current_token.client_id)
    return client is not None and client.speaks_from(origin)


def _check_revision(params: dict[str, Any]) -> None:
    """Refuse a message that names two revisions, or one that is not supported."""
    meta = params.get("_meta")
    header = request.headers.get("MCP-Protocol-Version")
    version = meta.get(f"{_ABOUT}protocolVersion", header) if isinstance(meta, dict) else header
    if version != header:
        raise RpcError(-32020, "MCP-Protocol-Version and _meta do not agree.")
    if header is not None and header not in VERSIONS:
        raise RpcError(
            -32022, "This revision is not supported.", supported=VERSIONS, requested=header
        )


def _check_headers(method: str, params: dict[str, Any]) -> None:
    """Refuse a request of the newest revision if its headers contradict its body.

    A gateway in front of this server, for example, may have relied on the headers.
    """
    meta = params.get("_meta")
    required = {f"{_ABOUT}protocolVersion", f"{_ABOUT}clientCapabilities"}
    if not isinstance(meta, dict) or not required <= meta.keys():
        raise RpcError(-32602, "_meta needs protocolVersion and clientCapabilities.")
    expected = {"Mcp-Method": method}
    if method == "tools/call" and params.get("name") in _NAMES:
        expected["Mcp-Name"] = params["name"]
    for header, value in expected.items():
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
            raise RpcError(-32602, "arguments must be an object.")
        return _call(params.get("name"), arguments)
    raise RpcError(-32601, "There is no such method.")


def _call(tool: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    if tool == "list_notes":
        current_token.require("notes:read")
        return _text("\n".join(note.text for note in notes_of(_user())))
    if tool == "add_note":
        # Without the scope, the answer is a 403: the client asks the user and calls again.
        current_token.require("notes:write")
        text = read_text(arguments.get("text"))
        if text is None:
            # The model reads this and can correct itself.
            return {**_text("text must have 1 to 2000 characters."), "isError": True}
        db.session.add(Note(user_id=_user().id, text=text))
        db.session.commit()
        return _text("Saved.")
    raise RpcError(-32602, "There is no such tool.")


def _user() -> User:
    """Return the token's user; fail if the account was deleted in the meantime."""
    user: User | None = current_token.user
    if user is None:
        raise RpcError(-32603, "This user no longer exists.")
    return user


def _text(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": False}


def _failed(request_id: Any, error: RpcError) -> Response:
    body = {"code": error.code, "message": error.message}
    return jsonify(
        jsonrpc="2.0", id=request_id, error={**body, "data": error.data} if error.data else body
    )
