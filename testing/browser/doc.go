// Package browser checks the page and the custom element in a real Chromium: every view and button, live changes, no error on the
// console, no breach of the Content-Security-Policy, and the same for people without a mouse, without eyes or with a phone.
//
// The node behind the page is mostly a fake (fake_test.go) with scripted answers: what no real node shows on demand, such as a
// cluster without a leader or five thousand rooms, takes one line here. TestRealNode goes through the whole page of a real node,
// and TestMakeDev through a user's first minute. SCREENSHOTS names a directory for the pictures.
package browser
