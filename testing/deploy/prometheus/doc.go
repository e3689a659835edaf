// Package prometheus checks what operators get for Prometheus and Grafana: the metrics of real nodes, their reference in docs/metrics.md, the
// alerts in deploy/prometheus and the dashboard in deploy/grafana. Alerts are evaluated by promtool.
package prometheus
