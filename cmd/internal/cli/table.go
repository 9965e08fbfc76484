package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// table prints rows in columns that are as wide as their longest cell. Cells
// may hold what strangers have written (a commit's message): nothing in them
// can command the terminal.
func table(w io.Writer, header []string, rows [][]string) {
	all := rows
	if header != nil {
		rule := make([]string, len(header))
		for i, h := range header {
			rule[i] = strings.Repeat("─", utf8.RuneCountInString(h))
		}
		all = append([][]string{header, rule}, rows...)
	}
	var width []int
	for _, row := range all {
		for i, cell := range row {
			row[i] = strings.Map(printable, cell)
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range all {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

func printable(r rune) rune {
	if r == '\n' || r == '\t' || !unicode.IsControl(r) {
		return r
	}
	return utf8.RuneError
}

// json prints v and says whether --json was asked for.
func (c *Call) json(v any) (bool, error) {
	if !c.bool("json") {
		return false, nil
	}
	e := json.NewEncoder(c.Stdout)
	e.SetIndent("", "  ")
	return true, e.Encode(v)
}

// ago is a time as people say it.
func ago(t time.Time) string {
	d := max(0, time.Since(t)) // the server's clock may be ahead
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

func stamp(t time.Time) string { return t.Local().Format("2006/01/02 15:04:05 -0700") }

// bytesText is a size as people say it.
func bytesText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f kB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
