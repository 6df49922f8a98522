// Package clientmmap knows the files of the Ruby gem prometheus-client-mmap.
//
// They are framed as package frame says; an entry's length is that of the key
// alone, and there are no timestamps.
//
// The key is a JSON array that names one series. The label names are sorted,
// and label values that are not strings stand bare:
//
//	["http_seconds","http_seconds_bucket",["code","le"],[200,"0.5"]]
//	   family          sample name          label names   label values
//
// Buckets are cumulative, and there is a count beside them: every sample of the
// page is an entry.
//
// What is deliberately not like the gem's own reader (version 1.x): one bad key
// does not cost the rest of the file.
package clientmmap

import "gitlab-metrics-exporter/internal/format/frame"

// Layout is how files are framed.
var Layout = frame.Layout{Bare: true}
