// Package house holds the rule of who may import whom, as a test; it has no
// code of its own. The floors stand in CONTRIBUTING.md.
package house
