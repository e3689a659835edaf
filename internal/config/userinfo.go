package config

import (
	"regexp"
	"strings"
)

// withoutUser hides everything before the last @ of text, except a scheme. In a value that should be an address or an
// origin, that is usually the user:password of a URL. A password may contain anything, including commas, so everything
// before that @ is hidden.
func withoutUser(text string) string {
	at := max(strings.LastIndex(text, "@"), strings.LastIndex(text, "%40"))
	if at < 0 {
		return text
	}
	scheme := regexp.MustCompile(`^[\s"']*[A-Za-z][A-Za-z0-9+.-]*:[/\\\\]+`).FindString(text[:at])
	return scheme + redacted + text[at:]
}

// refusedText returns the problem with a setting's text. A text with an @ may contain a password, so the problem is
// generated again from the text without it, which no such setting accepts either.
func refusedText(s setting, text string, err error) string {
	hidden := withoutUser(text)
	if s.secret || hidden == text {
		return err.Error()
	}
	var scratch Config
	if again := s.set(&scratch, strings.Replace(hidden, redacted, "redacted", 1)); again != nil { // brackets have a meaning in a URL
		return strings.ReplaceAll(again.Error(), "redacted@", redacted+"@")
	}
	return "the value (not shown) has an @ in it: give it without user and password"
}

// hideURLUser returns line without the user and password of text, if text is a URL.
func hideURLUser(line, text string) string {
	if !strings.Contains(text, "://") {
		return line
	}
	return strings.ReplaceAll(line, text, withoutUser(text))
}
