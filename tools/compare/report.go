//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// report is one run.
type report struct {
	Time time.Time `json:"time"`
	Rows []row     `json:"rows"`
}

// row is one figure of both servers. Ratio is imp's by Kamailio's, 0 where
// Kamailio's was too small to be measured.
type row struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Kamailio float64 `json:"kamailio"`
	Imp      float64 `json:"imp"`
	Ratio    float64 `json:"ratio"`
}

func (r *report) add(name, unit string, p pair) {
	new := row{Name: name, Unit: unit, Kamailio: p.kamailio, Imp: p.imp}
	if p.kamailio > 0 {
		new.Ratio = p.imp / p.kamailio
	}
	r.Rows = append(r.Rows, new)
}

// medians are the rows of all reports in one. The ratio is the median of the ratios, each of one run.
func medians(reports []report) []row {
	rows := slices.Clone(reports[0].Rows)
	for i := range rows {
		of := func(figure func(row) float64) float64 {
			var all []float64
			for _, r := range reports {
				all = append(all, figure(r.Rows[i]))
			}
			return median(all)
		}
		rows[i].Kamailio = of(func(r row) float64 { return r.Kamailio })
		rows[i].Imp = of(func(r row) float64 { return r.Imp })
		rows[i].Ratio = of(func(r row) float64 { return r.Ratio })
	}
	return rows
}

// median is the middle of the sorted values, the mean of both where there are two.
func median(all []float64) float64 {
	slices.Sort(all)
	half := len(all) / 2
	if len(all)%2 == 1 {
		return all[half]
	}
	return (all[half-1] + all[half]) / 2
}

// writeTable writes the medians in Markdown.
func writeTable(w io.Writer, reports []report) error {
	runs := "one run"
	if n := len(reports); n > 1 {
		runs = fmt.Sprintf("medians of %d runs", n)
	}
	if _, err := fmt.Fprintf(w, "| %s | unit | Kamailio | imp | imp / Kamailio |\n|---|---|---:|---:|---:|\n", runs); err != nil {
		return err
	}
	for _, r := range medians(reports) {
		if _, err := fmt.Fprintf(w, "| %s | %s | %.2f | %.2f | %.2f |\n", r.Name, r.Unit, r.Kamailio, r.Imp, r.Ratio); err != nil {
			return err
		}
	}
	return nil
}
