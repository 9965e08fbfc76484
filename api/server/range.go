package server

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"paas/api"
)

// Lists are paged with Range headers (Platform API reference, "Ranges"):
//
//	[prop] [ "[" | "]" ] [start] ".." [end] [ "[" | "]" ] [ ";" opt [, opt]* ] [;]
//
// "]start" leaves the start out. opts are max=N and order=asc|desc. The last
// page is answered with 200, all others with 206 and Next-Range.

const (
	defaultMax = 200
	limitMax   = 1000
)

var rangeForm = regexp.MustCompile(`^\s*(?:([a-z_]+)\s+)?([\[\]]?)([^\s;\[\]]*?)\.\.([^\s;\[\]]*)([\[\]]?)\s*(?:;(.*))?$`)

type page struct {
	prop       string
	start, end string
	exclusive  bool // the start itself is left out
	max        int
	desc       bool
}

func parseRange(header, defaultProp string, props ...string) (page, error) {
	p := page{prop: defaultProp, max: defaultMax}
	if strings.TrimSpace(header) == "" {
		return p, nil
	}
	bad := api.Errorf(api.RangeNotSatisfiable, "The Range header %q is not understood. It looks like: %s ..; max=10, order=desc", header, defaultProp)
	m := rangeForm.FindStringSubmatch(header)
	if m == nil {
		return p, bad
	}
	if m[1] != "" {
		p.prop = m[1]
	}
	if !slices.Contains(props, p.prop) {
		return p, bad
	}
	p.exclusive, p.start, p.end = m[2] == "]", m[3], m[4]
	for _, opt := range strings.FieldsFunc(m[6], func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		name, value, _ := strings.Cut(opt, "=")
		switch {
		case name == "order" && (value == "asc" || value == "desc"):
			p.desc = value == "desc"
		case name == "max":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > limitMax {
				return p, bad
			}
			p.max = n
		default:
			return p, bad
		}
	}
	return p, nil
}

// moment is a time as a Range header can hold and compare it. It is finer than
// what is shown, so that a page can begin between two things of one second.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// list answers with one page of items. keys maps each property that can be
// sorted by to how it is read; the first one named is the default.
func list[T any](c *call, items []T, props []string, key func(T, string) string) error {
	p, err := parseRange(c.Request().Header.Get("Range"), props[0], props...)
	if err != nil {
		return err
	}
	order := func(a, b string) int {
		na, errA := strconv.Atoi(a)
		nb, errB := strconv.Atoi(b)
		if errA == nil && errB == nil {
			return cmp.Compare(na, nb)
		}
		return cmp.Compare(a, b)
	}
	slices.SortStableFunc(items, func(a, b T) int { return order(key(a, p.prop), key(b, p.prop)) })
	if p.desc {
		slices.Reverse(items)
	}
	sign := 1
	if p.desc {
		sign = -1
	}
	items = slices.DeleteFunc(items, func(item T) bool {
		k := key(item, p.prop)
		if p.start != "" {
			if d := sign * order(k, p.start); d < 0 || d == 0 && p.exclusive {
				return true
			}
		}
		return p.end != "" && sign*order(k, p.end) > 0
	})
	head := c.Response().Header()
	head.Set("Accept-Ranges", strings.Join(props, ", "))
	code := http.StatusOK
	if len(items) > p.max {
		items, code = items[:p.max], http.StatusPartialContent
		next := fmt.Sprintf("%s ]%s..; max=%d", p.prop, key(items[len(items)-1], p.prop), p.max)
		if p.desc {
			next += ", order=desc"
		}
		head.Set("Next-Range", next)
	}
	if len(items) > 0 {
		head.Set("Content-Range", fmt.Sprintf("%s %s..%s; max=%d", p.prop, key(items[0], p.prop), key(items[len(items)-1], p.prop), p.max))
	} else {
		items = []T{}
	}
	return c.reply(code, items)
}
