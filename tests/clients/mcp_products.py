"""Products that sign in to an MCP server: what each of them sends, as data.

Taken from their sources where those are open (VS Code, opencode, the SDKs, mcp-remote,
Gemini CLI, and rmcp, which Codex CLI is built on), from the documents that they publish at
their client_id, and from what others saw arrive (Claude, ChatGPT, Cursor). In all texts
`{mcp}` is the URL of the MCP server, `{challenged}` the scope of its 401, `{supported}` the
scopes of the resource, and `{all}` those of the authorization server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Where metadata is asked for; the path of the server comes after it, or nothing.
RESOURCE = "/.well-known/oauth-protected-resource"
SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
#: What nearly all register.
CODE = {
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
}
PUBLIC = {**CODE, "token_endpoint_auth_method": "none"}
LASTING = "{challenged} offline_access"


@dataclass(frozen=True)
class Product:
    """One product, or one way of it: what it registers or publishes, and what it asks."""

    name: str
    #: The body that it registers with, or the document at its client_id.
    registers: Mapping[str, Any] | None = None
    document: Mapping[str, Any] | None = None
    #: Where it listens, which is not always what it registered.
    redirect_uri: str = ""
    #: Its first call, the headers of its questions, and where it asks them, in this order;
    #: `{challenge}` is the URL in the header of the 401.
    opens_with: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    resource_documents: tuple[str, ...] = ("{challenge}",)
    server_documents: tuple[str, ...] = (SERVER, OPENID)
    #: What its authorization request has besides the usual, at first and when it comes back.
    asks: Mapping[str, str] = field(default_factory=dict)
    comes_back: Mapping[str, str] = field(default_factory=dict)
    #: How it shows who it is: none, post, basic, raw basic, basic and id, assertion.
    shows: str = "none"
    #: What a code, and a refresh token, are exchanged with besides the usual.
    redeems: Mapping[str, str] = field(default_factory=lambda: {"resource": "{mcp}"})
    refreshes: Mapping[str, str] = field(default_factory=lambda: {"resource": "{mcp}"})
    #: The revision that it speaks; those before 2026 shake hands first.
    revision: str = "2025-11-25"
    #: How often it registers for one sign-in.
    registrations: int = 1
    #: The origin of the page that it is, if it is one.
    origin: str | None = None


def version(revision: str) -> dict[str, str]:
    """Return the header of those that say which revision they speak."""
    return {"MCP-Protocol-Version": revision}


CHATGPT = "https://chatgpt.com/connector/oauth/kDmjx77UnKOM"
CHATGPT_ID = "https://chatgpt.com/oauth/kDmjx77UnKOM/client.json"
CLAUDE_ID = "https://claude.ai/oauth/mcp-oauth-client-metadata"
CLAUDE_CODE_ID = "https://claude.ai/oauth/claude-code-client-metadata"
VS_CODE_ID = "https://vscode.dev/oauth/client-metadata.json"
OPENCODE_ID = "https://opencode.ai/oauth/opencode/client.json"
ZED_ID = "https://zed.dev/oauth/client-metadata.json"
KIRO_ID = "https://kiro.dev/oauth/client-metadata.json"
INSPECTOR = {
    **PUBLIC,
    "client_name": "MCP Inspector",
    "client_uri": "https://github.com/modelcontextprotocol/inspector",
    "scope": "",
}

PRODUCTS = [
    Product(
        "chatgpt",
        registers={**PUBLIC, "client_name": "ChatGPT", "redirect_uris": [CHATGPT]},
        redirect_uri=CHATGPT,
        resource_documents=(f"{RESOURCE}/mcp",),
        # It asks for all that the resource has, and for nothing when it comes back.
        asks={"scope": "{supported}", "resource": "{mcp}"},
        comes_back={"resource": "{mcp}"},
    ),
    Product(
        "codex_cli",
        registers={
            **PUBLIC,
            "client_name": "Codex",
            "redirect_uris": ["http://127.0.0.1:37819/callback/Qm9wTbx1Zk3A"],
            "scope": LASTING,
            "application_type": "native",
        },
        redirect_uri="http://127.0.0.1:37819/callback/Qm9wTbx1Zk3A",
        opens_with="GET",
        asks={"scope": LASTING, "resource": "{mcp}"},
        comes_back={"scope": LASTING, "resource": "{mcp}"},
        refreshes={"resource": "{mcp}", "scope": LASTING},
    ),
    Product(
        "claude_ai",
        # Each sign-in begins with two registrations, a second apart.
        registrations=2,
        registers={
            **CODE,
            "client_name": "Claude",
            "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
            "token_endpoint_auth_method": "client_secret_post",
        },
        redirect_uri="https://claude.ai/api/mcp/auth_callback",
        headers=version("2025-11-25"),
        asks={"scope": LASTING, "resource": "{mcp}"},
        comes_back={"resource": "{mcp}"},
        shows="post",
    ),
    Product(
        "claude_desktop",
        registers={
            **CODE,
            "client_name": "Claude",
            "redirect_uris": ["https://claude.com/api/mcp/auth_callback"],
            "token_endpoint_auth_method": "client_secret_post",
            "scope": "{challenged}",
        },
        redirect_uri="https://claude.com/api/mcp/auth_callback",
        headers=version("2025-11-25"),
        asks={"scope": "{challenged}", "resource": "{mcp}/"},
        comes_back={"scope": "", "resource": "{mcp}"},
        shows="post",
    ),
    Product(
        "claude_code",
        registers={
            **PUBLIC,
            "client_name": "Claude Code (notes)",
            "redirect_uris": ["http://localhost:3118/callback"],
            "application_type": "native",
        },
        redirect_uri="http://localhost:3118/callback",
        headers=version("2025-11-25"),
        asks={"scope": LASTING, "resource": "{mcp}"},
        comes_back={"scope": "{challenged}", "resource": "{mcp}"},
    ),
    Product(
        "vs_code",
        registers={
            **PUBLIC,
            "client_name": "Visual Studio Code",
            "client_uri": "https://code.visualstudio.com",
            # Of its own those that the server says it has.
            "grant_types": [
                *CODE["grant_types"],
                "urn:ietf:params:oauth:grant-type:device_code",
            ],
            "redirect_uris": [
                "https://insiders.vscode.dev/redirect",
                "https://vscode.dev/redirect",
                "http://127.0.0.1/",
                "http://127.0.0.1:33418/",
            ],
            "scope": "{challenged}",
            "application_type": "native",
        },
        # Its usual port was taken.
        redirect_uri="http://127.0.0.1:59656/",
        headers={**version("2025-11-25"), "Accept": "application/json"},
        server_documents=(SERVER, OPENID, OPENID),
        asks={"scope": "{challenged}", "resource": "{mcp}"},
        comes_back={"scope": "{challenged}", "resource": "{mcp}"},
    ),
    Product(
        "vs_code_in_a_browser",
        registers={
            **PUBLIC,
            "client_name": "Visual Studio Code",
            "redirect_uris": [
                "https://vscode.dev/redirect",
                "http://127.0.0.1/",
                "http://127.0.0.1:33418/",
            ],
            "application_type": "native",
        },
        redirect_uri="https://vscode.dev/redirect",
        asks={"scope": "{supported}", "resource": "{mcp}"},
        comes_back={"scope": "{supported}", "resource": "{mcp}"},
    ),
    Product(
        "cursor",
        registers={
            **PUBLIC,
            "client_name": "Cursor",
            "redirect_uris": [
                "cursor://anysphere.cursor-mcp/oauth/callback",
                "https://www.cursor.com/agents/mcp/oauth/callback",
                "http://localhost:8787/callback",
            ],
            "application_type": "web",
        },
        redirect_uri="http://localhost:8787/callback",
        asks={"scope": "{supported}", "resource": "{mcp}"},
        comes_back={"scope": "{supported}", "resource": "{mcp}"},
    ),
    Product(
        "cursor_by_its_scheme",
        registers={
            **PUBLIC,
            "client_name": "Cursor",
            "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"],
        },
        redirect_uri="cursor://anysphere.cursor-mcp/oauth/callback",
        asks={"scope": "{supported}", "resource": "{mcp}"},
        comes_back={"scope": "{supported}", "resource": "{mcp}"},
    ),
    Product(
        "opencode",
        # Nothing says what kind of app it is.
        registers={
            **PUBLIC,
            "client_name": "OpenCode",
            "client_uri": "https://opencode.ai",
            "redirect_uris": ["http://127.0.0.1:19876/mcp/oauth/callback"],
        },
        redirect_uri="http://127.0.0.1:19876/mcp/oauth/callback",
        headers=version("2025-11-25"),
        asks={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        comes_back={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
    ),
    Product(
        "inspector_web",
        registers={**INSPECTOR, "redirect_uris": ["http://localhost:6274/oauth/callback"]},
        redirect_uri="http://localhost:6274/oauth/callback",
        origin="http://localhost:6274",
        headers=version("2026-07-28"),
        asks={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        comes_back={"resource": "{mcp}"},
        revision="2026-07-28",
    ),
    Product(
        "inspector_cli",
        registers={**INSPECTOR, "redirect_uris": ["http://127.0.0.1:6276/oauth/callback"]},
        redirect_uri="http://127.0.0.1:6276/oauth/callback",
        headers=version("2026-07-28"),
        asks={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        comes_back={"resource": "{mcp}"},
        revision="2026-07-28",
    ),
    Product(
        "python_sdk",
        # No auth method, and offline_access in what is registered.
        registers={
            **CODE,
            "client_name": "notebook",
            "redirect_uris": ["http://127.0.0.1:8765/cb"],
            "scope": LASTING,
            "application_type": "native",
        },
        redirect_uri="http://127.0.0.1:8765/cb",
        headers=version("2026-07-28"),
        asks={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        comes_back={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        revision="2026-07-28",
    ),
    Product(
        "python_sdk_on_a_server",
        registers={
            **CODE,
            "client_name": "notebook",
            "redirect_uris": ["https://notebook.example/cb"],
            "token_endpoint_auth_method": "client_secret_basic",
            "scope": LASTING,
        },
        redirect_uri="https://notebook.example/cb",
        headers=version("2026-07-28"),
        asks={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        comes_back={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        shows="basic and id",
        revision="2026-07-28",
    ),
    Product(
        "npm_sdk_v1",
        registers={
            **CODE,
            "client_name": "notebook",
            "redirect_uris": ["https://notebook.example/callback"],
            "scope": "{challenged}",
        },
        redirect_uri="https://notebook.example/callback",
        headers=version("2025-11-25"),
        asks={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        comes_back={"resource": "{mcp}"},
        shows="raw basic",
    ),
    Product(
        "npm_sdk_v2",
        registers={
            **PUBLIC,
            "client_name": "notebook",
            "redirect_uris": ["http://localhost:8090/callback"],
            "scope": LASTING,
            "application_type": "native",
        },
        redirect_uri="http://localhost:8090/callback",
        headers={**version("2026-07-28"), "Accept": "application/json"},
        asks={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        comes_back={"resource": "{mcp}"},
        revision="2026-07-28",
    ),
    Product(
        "mcp_remote",
        registers={
            **PUBLIC,
            "client_name": "MCP CLI Proxy",
            "client_uri": "https://github.com/modelcontextprotocol/mcp-cli",
            "software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d",
            "software_version": "0.1.18",
            "redirect_uris": ["http://localhost:35535/oauth/callback"],
            "scope": "{challenged}",
        },
        redirect_uri="http://localhost:35535/oauth/callback",
        headers=version("2025-06-18"),
        asks={"scope": "{challenged}", "resource": "{mcp}"},
        comes_back={"scope": "{supported}", "resource": "{mcp}"},
        revision="2025-06-18",
    ),
    Product(
        "gemini_cli",
        # It asks for all that the server has, and reads nothing of the resource but its server.
        registers={
            **PUBLIC,
            "client_name": "Gemini CLI MCP Client",
            "redirect_uris": ["http://localhost:7777/oauth/callback"],
            "scope": "{all}",
        },
        redirect_uri="http://localhost:7777/oauth/callback",
        opens_with="HEAD",
        asks={"scope": "{all}", "resource": "{mcp}"},
        comes_back={"scope": "{all}", "resource": "{mcp}"},
        revision="2025-06-18",
    ),
    # The same, and others, that are described by a document.
    Product(
        "chatgpt_by_its_document",
        document={
            **CODE,
            "client_id": CHATGPT_ID,
            "client_name": "ChatGPT",
            "client_uri": "https://chatgpt.com/",
            "logo_uri": "https://persistent.oaistatic.com/sonic/misc/openai-logo.png",
            "redirect_uris": [CHATGPT],
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "token_endpoint_auth_signing_alg": "RS256",
            "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
        },
        redirect_uri=CHATGPT,
        resource_documents=(f"{RESOURCE}/mcp",),
        asks={"scope": "{supported}", "resource": "{mcp}"},
        comes_back={"scope": "", "resource": "{mcp}"},
        # Its assertions are for the token endpoint.
        shows="assertion",
    ),
    Product(
        "claude_by_its_document",
        document={
            **PUBLIC,
            "client_id": CLAUDE_ID,
            "client_name": "Claude",
            "client_uri": "https://claude.ai",
            "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        },
        redirect_uri="https://claude.ai/api/mcp/auth_callback",
        headers=version("2025-11-25"),
        asks={"scope": LASTING, "resource": "{mcp}"},
        comes_back={"resource": "{mcp}"},
    ),
    Product(
        "claude_code_by_its_document",
        # Without a port; it listens wherever there is one.
        document={
            **PUBLIC,
            "client_id": CLAUDE_CODE_ID,
            "client_name": "Claude Code",
            "client_uri": "https://claude.ai",
            "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
        },
        redirect_uri="http://localhost:51004/callback",
        headers=version("2025-11-25"),
        asks={"scope": LASTING, "resource": "{mcp}"},
        comes_back={"scope": "{challenged}", "resource": "{mcp}"},
    ),
    Product(
        "vs_code_by_its_document",
        document={
            **PUBLIC,
            "client_id": VS_CODE_ID,
            "client_name": "Visual Studio Code",
            "client_uri": "https://code.visualstudio.com",
            "redirect_uris": [
                "https://vscode.dev/redirect",
                "http://127.0.0.1/",
                "http://127.0.0.1:33418/",
            ],
            "application_type": "native",
        },
        redirect_uri="http://127.0.0.1:59656/",
        headers={**version("2025-11-25"), "Accept": "application/json"},
        asks={"scope": "{challenged}", "resource": "{mcp}"},
        comes_back={"scope": "{challenged}", "resource": "{mcp}"},
    ),
    Product(
        "opencode_by_its_document",
        document={
            **PUBLIC,
            "client_id": OPENCODE_ID,
            "client_name": "opencode",
            "client_uri": "https://opencode.ai",
            "logo_uri": "https://opencode.ai/web-app-manifest-512x512.png",
            "application_type": "native",
            "redirect_uris": [
                "http://127.0.0.1/callback",
                "http://localhost/callback",
                "http://127.0.0.1/mcp/oauth/callback",
            ],
            "token_endpoint_auth_methods_supported": ["none"],
        },
        redirect_uri="http://127.0.0.1:19876/mcp/oauth/callback",
        headers=version("2025-11-25"),
        asks={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
        comes_back={"scope": LASTING, "resource": "{mcp}", "prompt": "consent"},
    ),
    Product(
        "zed_by_its_document",
        document={
            **PUBLIC,
            "client_id": ZED_ID,
            "client_name": "Zed",
            "client_uri": "https://zed.dev",
            "logo_uri": "https://cdn.zed.dev/images/logo-dark.png",
            "redirect_uris": ["http://127.0.0.1/callback"],
        },
        redirect_uri="http://127.0.0.1:52110/callback",
        asks={"scope": "{challenged}", "resource": "{mcp}"},
        comes_back={"scope": "{challenged}", "resource": "{mcp}"},
    ),
    Product(
        "kiro_by_its_document",
        # It names a grant that is nothing here.
        document={
            **PUBLIC,
            "client_id": KIRO_ID,
            "client_name": "Kiro",
            "client_uri": "https://kiro.dev",
            "redirect_uris": ["http://localhost/oauth/callback", "http://127.0.0.1/oauth/callback"],
            "grant_types": [
                *CODE["grant_types"],
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
            ],
        },
        redirect_uri="http://127.0.0.1:49153/oauth/callback",
        asks={"scope": "{challenged}", "resource": "{mcp}"},
        comes_back={"scope": "{challenged}", "resource": "{mcp}"},
    ),
]
