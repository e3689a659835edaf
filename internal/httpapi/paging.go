package httpapi

import (
	"encoding/base64"
	"net/http"
	"strconv"
)

const (
	maxLimit  = 1000 // rooms per page
	maxSearch = 1024 // bytes
)

// window is the part of the list that a request asks for. cursor is the reader's own.
type window struct {
	limit          int
	cursor, search string
}

// window reads limit, cursor and search.
func (c *call) window(defaultLimit int) (window, error) {
	w := window{search: c.query.Get("search")}
	var err error
	if w.limit, err = c.limit(defaultLimit); err != nil {
		return w, err
	}
	if len(w.search) > maxSearch {
		return w, refuse(http.StatusBadRequest, "search is too long")
	}
	cursor, err := base64.RawURLEncoding.Strict().DecodeString(c.query.Get("cursor"))
	if err != nil {
		return w, badCursor()
	}
	w.cursor = string(cursor)
	return w, nil
}

// limit reads the limit parameter alone.
func (c *call) limit(otherwise int) (int, error) {
	given := c.query.Get("limit")
	if given == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > maxLimit {
		return 0, refuse(http.StatusBadRequest, "limit must be a number from 1 to 1000")
	}
	return n, nil
}

// opaque encodes a reader's cursor for clients: it may contain a name, and so any byte.
func opaque(cursor string) string { return base64.RawURLEncoding.EncodeToString([]byte(cursor)) }

func badCursor() *problem {
	return refuse(http.StatusBadRequest, "cursor is not one that this endpoint gave")
}
