package web

import "net/http"

// securityHeaders make a browser run nothing on our pages, load nothing for
// them, and show them in no other site's frame. Style sheets are part of the
// page.
var securityHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options": "nosniff",
	"X-Frame-Options":        "deny",
	"Referrer-Policy":        "no-referrer",
}

// secure adds them to an answer. What is set already, by the web configuration
// file, stays.
func secure(header http.Header) {
	for name, value := range securityHeaders {
		if header.Get(name) == "" {
			header.Set(name, value)
		}
	}
}
