"""Reads a page of OpenMetrics from standard input with the library's own parser, which is strict."""
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

for family in text_string_to_metric_families(sys.stdin.buffer.read().decode()):
    pass
