"""Instruments: the tracer and the metrics, once for all apps of a process.

They belong to the providers that the host sets, even if it does so later: in each worker, after
the fork.
"""

from __future__ import annotations

from opentelemetry import metrics, trace

from ...models.client import Client

_NAME = "flask_pkce_server"
#: Seconds: from an answer out of memory to a fetch that takes as long as it may.
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: The names of the attributes, on spans and metrics alike.
ENDPOINT, GRANT_TYPE, CLIENT = "pkce.endpoint", "pkce.grant_type", "pkce.client"
SIGNAL, FEATURE = "pkce.signal", "pkce.feature"
#: OpenTelemetry's own names.
ERROR, STATUS = "error.type", "http.response.status_code"

tracer = trace.get_tracer(_NAME)
meter = metrics.get_meter(_NAME)

issued = meter.create_counter(
    "pkce.tokens.issued", "{response}", "Token responses that had tokens in them."
)
refused = meter.create_counter(
    "pkce.requests.refused", "{request}", "Requests that were answered with an error."
)
misused = meter.create_counter(
    "pkce.misuse.detected", "{event}", "Codes and refresh tokens that more than one party has."
)
pruned = meter.create_counter("pkce.rows.pruned", "{row}", "Rows that prune has deleted.")
endpoint_duration = meter.create_histogram(
    "pkce.endpoint.duration",
    "s",
    "How long endpoints take to answer.",
    explicit_bucket_boundaries_advisory=_BUCKETS,
)
fetch_duration = meter.create_histogram(
    "pkce.fetch.duration",
    "s",
    "How long it takes to fetch documents and keys of clients.",
    explicit_bucket_boundaries_advisory=_BUCKETS,
)


def label_of(client: Client) -> str:
    """Return the client_id of a client that an operator registered, else only its kind.

    Anybody can register or describe clients: labels must not grow with their number.
    """
    if not client.self_registered:
        return client.client_id
    return "self-registered" if client.document is None else "described"
