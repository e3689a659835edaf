package web

import "strings"

// policy is the Content-Security-Policy of the files. Scripts and styles are files of this node only, requests go to this
// node only, no string becomes markup or code (Trusted Types, with no policy allowed), and no other site can frame the page.
var policy = strings.Join([]string{
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self'",
	"connect-src 'self'",
	"img-src 'self' data:",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
	"require-trusted-types-for 'script'",
	"trusted-types 'none'",
}, "; ")
