// Package browser holds the page and the custom element to what they promise, in a real Chromium: every view and button,
// live changes, no error on the console, no breach of the Content-Security-Policy, and that people without a mouse, without
// eyes or with a phone get the same.
//
// The node behind the page is mostly a fake (fake_test.go) with scripted answers: what no real node gives on demand, such as a
// cluster without a leader or five thousand rooms, is one line here. TestRealNode goes through the whole page of a real one, and
// TestMakeDev through somebody's first minute. SCREENSHOTS names a folder for the pictures.
package browser
