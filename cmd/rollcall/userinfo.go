package main

import (
	"regexp"
	"strings"
)

// withoutUser hides what stands before the last @ of text, and keeps a scheme. In a value that should be an address or an origin it is
// mostly the user:password of a URL. A password may hold anything, commas too, so all before that @ goes.
func withoutUser(text string) string {
	at := max(strings.LastIndex(text, "@"), strings.LastIndex(text, "%40"))
	if at < 0 {
		return text
	}
	scheme := regexp.MustCompile(`^[\s"']*[A-Za-z][A-Za-z0-9+.-]*:[/\\\\]+`).FindString(text[:at])
	return scheme + redacted + text[at:]
}

// refusedText is the problem with a setting's text. A text with an @ may have a password in it, so the problem is put again for the text
// without, which no such setting takes either.
func refusedText(s setting, text string, err error) string {
	hidden := withoutUser(text)
	if s.secret || hidden == text {
		return err.Error()
	}
	var scratch Config
	if again := s.set(&scratch, strings.Replace(hidden, redacted, "redacted", 1)); again != nil { // brackets mean something in a URL
		return strings.ReplaceAll(again.Error(), "redacted@", redacted+"@")
	}
	return "the value (not shown) has an @ in it: give it without user and password"
}

// hideURLUser is line without the user and password of text, where that is a URL.
func hideURLUser(line, text string) string {
	if !strings.Contains(text, "://") {
		return line
	}
	return strings.ReplaceAll(line, text, withoutUser(text))
}
