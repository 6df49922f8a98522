// Command gitlab-metrics-exporter serves the metrics of a multi-process
// application to Prometheus.
package main

import (
	"os"

	"gitlab-metrics-exporter/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
