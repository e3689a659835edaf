package livekit

import (
	"strings"
	"unicode/utf8"
)

// scanner reads the plain JSON that LiveKit writes. It does not tell what is wrong: ok is false for invalid JSON, and also for what is
// unusual, such as \u escapes, which the libraries then read.
type scanner struct {
	in []byte
	at int
}

// maxNesting bounds the recursion of skip.
const maxNesting = 64

func (s *scanner) space() {
	for s.at < len(s.in) && isSpace(s.in[s.at]) {
		s.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// next consumes c, after white space.
func (s *scanner) next(c byte) bool {
	if s.at < len(s.in) && s.in[s.at] != c {
		s.space()
	}
	if s.at == len(s.in) || s.in[s.at] != c {
		return false
	}
	s.at++
	return true
}

// object reads an object. take reads the value of the member of that name.
func (s *scanner) object(take func(name []byte) bool) (ok bool) {
	if !s.next('{') {
		return false
	}
	if s.next('}') {
		return true
	}
	for {
		name, plain, ok := s.text()
		if !ok || !plain || !s.next(':') || !take(name) {
			return false
		}
		if !s.next(',') {
			return s.next('}')
		}
	}
}

// text reads a string and returns what is between its quotes. plain is true if that has no escape.
func (s *scanner) text() (raw []byte, plain, ok bool) {
	if !s.next('"') {
		return nil, false, false
	}
	plain = true
	for start := s.at; s.at < len(s.in); s.at++ {
		switch c := s.in[s.at]; {
		case ordinary[c]:
		case c == '"':
			s.at++
			return s.in[start : s.at-1], plain, true
		case c < ' ':
			return nil, false, false
		case c == '\\':
			if s.at++; s.at == len(s.in) || escaped(s.in[s.at]) == 0 {
				return nil, false, false
			}
			plain = false
		}
	}
	return nil, false, false
}

// ordinary has the bytes that stand for themselves in a string.
var ordinary = func() (all [256]bool) {
	for c := range all {
		all[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return all
}()

// escaped returns the character for which the letter stands after a backslash, 0 for \u and for what is no escape.
func escaped(letter byte) byte {
	switch letter {
	case '"', '\\', '/':
		return letter
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// unquoted reads a string of valid UTF-8.
func (s *scanner) unquoted() (string, bool) {
	raw, plain, ok := s.text()
	if !ok || !utf8.Valid(raw) {
		return "", false
	}
	if plain {
		return string(raw), true
	}
	text := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\\' {
			i++
			c = escaped(raw[i])
		}
		text = append(text, c)
	}
	return string(text), true
}

// whole reads a decimal of at most this many digits, without sign, fraction, exponent or leading zero, in quotes or not.
func (s *scanner) whole(digits int) (n int64, ok bool) {
	quoted := s.next('"')
	start := s.at
	for ; s.at < len(s.in) && s.in[s.at] >= '0' && s.in[s.at] <= '9'; s.at++ {
		n = 10*n + int64(s.in[s.at]-'0')
		if s.at-start == digits {
			return 0, false
		}
	}
	switch {
	case s.at == start, s.in[start] == '0' && s.at > start+1, quoted && (s.at == len(s.in) || s.in[s.at] != '"'): // no space before the quote
		return 0, false
	case quoted:
		s.at++
	}
	return n, s.ended()
}

// ended reports whether what follows a number or a literal ends it.
func (s *scanner) ended() bool {
	return s.at == len(s.in) || strings.IndexByte(" \n\t\r,}]", s.in[s.at]) >= 0
}

func (s *scanner) literal(text string) bool {
	s.space()
	if len(s.in)-s.at < len(text) || string(s.in[s.at:s.at+len(text)]) != text {
		return false
	}
	s.at += len(text)
	return s.ended()
}

// skip reads any value.
func (s *scanner) skip(nested int) bool {
	s.space()
	if s.at == len(s.in) || nested > maxNesting {
		return false
	}
	switch c := s.in[s.at]; {
	case c == '"':
		_, _, ok := s.text()
		return ok
	case c == '{':
		return s.object(func([]byte) bool { return s.skip(nested + 1) })
	case c == '[':
		s.at++
		if s.next(']') {
			return true
		}
		for s.skip(nested + 1) {
			if !s.next(',') {
				return s.next(']')
			}
		}
		return false
	case c >= '0' && c <= '9':
		_, ok := s.whole(18)
		return ok
	}
	return s.literal("true") || s.literal("false") || s.literal("null")
}

// end reports whether nothing follows.
func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.in)
}
