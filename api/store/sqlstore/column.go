package sqlstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// How Go values are kept in columns.

// millis is a time as integer milliseconds, NULL for the zero time.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// timeColumn reads what millis wrote.
type timeColumn struct{ to *time.Time }

func (c timeColumn) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*c.to = time.Time{}
	case int64:
		*c.to = time.UnixMilli(v).UTC()
	default:
		return fmt.Errorf("time column holds %T", v)
	}
	return nil
}

// text repairs a string that is for people to read.
func text(s string) string {
	if wellFormed(s) {
		return s
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

// jsonList is a list of strings as JSON. It returns what is not text as it is,
// for exec to refuse: encoding/json would change it silently.
func jsonList[S ~string](list []S) string {
	for _, s := range list {
		if !wellFormed(string(s)) {
			return string(s)
		}
	}
	return jsonText(list)
}

// jsonText is v as JSON; v is made of strings, lists and maps of them only,
// which cannot fail.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// jsonColumn reads JSON. An empty list reads as nil.
type jsonColumn[T any] struct{ to *[]T }

func (c jsonColumn[T]) Scan(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("list column holds %T", v)
	}
	var list []T
	if err := json.Unmarshal([]byte(s), &list); err != nil {
		return fmt.Errorf("list column: %v", err)
	}
	if len(list) == 0 {
		list = nil
	}
	*c.to = list
	return nil
}

// fold is s without case, over all of Unicode: both of two strings that differ
// in case only give the same.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }
