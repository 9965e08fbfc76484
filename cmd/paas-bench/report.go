package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report is a table of figures in the order in which they were begun.
type report struct {
	rows   []*series
	failed []string
}

// series is the values of one figure: all times, or all sizes.
type series struct {
	name, target string
	times        []time.Duration
	sizes        []int64
}

func (r *report) add(name, target string) *series {
	s := &series{name: name, target: target}
	r.rows = append(r.rows, s)
	return s
}

func (s *series) took(d time.Duration) { s.times = append(s.times, d) }
func (s *series) holds(bytes int64)    { s.sizes = append(s.sizes, bytes) }

func (r *report) print(w io.Writer) error {
	var b strings.Builder
	b.WriteString("\n| figure | n | median | min | max | target |\n|---|---:|---:|---:|---:|---|\n")
	for _, s := range r.rows {
		if len(s.times)+len(s.sizes) > 0 {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(s.cells(), " | "))
		}
	}
	for _, f := range r.failed {
		first, _, _ := strings.Cut(f, "\n")
		fmt.Fprintf(&b, "\nNot measured: %s\n", first)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *series) cells() []string {
	cells := []string{s.name}
	if len(s.times) > 0 {
		low, middle, high := spread(s.times)
		cells = append(cells, fmt.Sprint(len(s.times)), seconds(middle), seconds(low), seconds(high))
	} else {
		low, middle, high := spread(s.sizes)
		cells = append(cells, fmt.Sprint(len(s.sizes)), megabytes(middle), megabytes(low), megabytes(high))
	}
	return append(cells, s.target)
}

// spread is the least, the median and the greatest; of an even number of
// values the median is the mean of the two in the middle.
func spread[T ~int64](values []T) (least, median, most T) {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	median = sorted[n/2]
	if n%2 == 0 {
		median = sorted[n/2-1] + (sorted[n/2]-sorted[n/2-1])/2
	}
	return sorted[0], median, sorted[n-1]
}

func seconds(d time.Duration) string {
	if d < time.Second && d > -time.Second {
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
