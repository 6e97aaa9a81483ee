"""What OpenTelemetry's SDK records in this process: spans and metrics, in memory."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

Attributes = Mapping[str, Any]


class Recording:
    """The spans and metrics since it was last emptied."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        trace.set_tracer_provider(tracers)
        since_last = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)
        self._reader = InMemoryMetricReader(preferred_temporality=since_last)
        metrics.set_meter_provider(MeterProvider([self._reader], shutdown_on_exit=False))

    def empty(self) -> None:
        self._exporter.clear()
        self._reader.get_metrics_data()

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def told(self) -> list[tuple[str, Attributes]]:
        """Return the name and the attributes of each span."""
        return [(span.name, dict(span.attributes or {})) for span in self.spans]

    def points(self) -> dict[str, list[tuple[Attributes, Any]]]:
        """Return attributes and values by the name of the metric; for a histogram, counts."""
        found: dict[str, list[tuple[Attributes, Any]]] = {}
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] = [
                        (dict(point.attributes), getattr(point, "count", None) or point.value)
                        for point in metric.data.data_points
                    ]
        return found


@functools.cache
def recording() -> Recording:
    """Return the recording of this process: the providers can be set only once."""
    return Recording()
