package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// spec is a row of the overview: a document, or a few that belong together,
// with the state of the tables that cover it.
type spec struct {
	ID        string      `json:"id"`
	Documents []string    `json:"documents"`
	Title     string      `json:"title,omitempty"`
	For       string      `json:"for"`
	Section   string      `json:"section,omitempty"`
	Class     string      `json:"class,omitempty"`
	Tables    []specTable `json:"tables,omitempty"`
}

// specTable is the state of one table.
type specTable struct {
	Name   string `json:"name"`
	Rows   int    `json:"rows"`
	Tested int    `json:"tested"`
	Open   int    `json:"open"`
	NA     int    `json:"na"`
}

// makeSpecs turns the overview into the list that imp specs shows: one JSON
// array, one document a line.
func makeSpecs(file string, tables *tables) ([]byte, error) {
	lines, err := readRows(file)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteByte('[')
	for i, l := range lines {
		s := spec{
			ID:        l.cells[0],
			Documents: documents(l.cell("Document"), l.cell("Class, state")),
			Title:     l.cell("Title"),
			For:       l.cell("What it is for"),
			Section:   l.cell("RFC 6914 §"),
			Class:     l.cell("Class, state"),
		}
		if s.Tables, err = tables.covering(l.cell("Covered in")); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, l.line, err)
		}
		line, err := marshal(s)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, l.line, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.Write(line)
	}
	b.WriteString("\n]\n")
	return b.Bytes(), nil
}

// marshal leaves < > & as they are: the list is read by people too.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

var (
	remark    = regexp.MustCompile(`\s*\([^)]*\)`)
	published = regexp.MustCompile(`published as (RFC [0-9]+)`)
	number    = regexp.MustCompile(`^[0-9]+$`)
)

// documents takes "RFC 4575, 4579 (was 1)" apart. A draft that became an RFC,
// which the class then says, goes by that.
func documents(cell, class string) []string {
	if m := published.FindStringSubmatch(class); m != nil {
		return []string{m[1]}
	}
	var docs []string
	for d := range strings.SplitSeq(remark.ReplaceAllString(cell, ""), ",") {
		d = strings.TrimSpace(d)
		if number.MatchString(d) {
			d = "RFC " + d
		}
		docs = append(docs, d)
	}
	return docs
}

var tableFile = regexp.MustCompile(`([a-z0-9-]+)\.md`)

// covering returns the state of the tables that a cell names.
func (ts *tables) covering(cell string) ([]specTable, error) {
	var list []specTable
	for _, m := range tableFile.FindAllStringSubmatch(cell, -1) {
		found, err := ts.named(m[1])
		if err != nil {
			return nil, err
		}
		t := found[0]
		list = append(list, specTable{t.name, len(t.rows), t.tested, t.open, t.na})
	}
	return list, nil
}
