package pidf

// Neutral returns the document of a presentity of which nothing is to be seen: one service, closed. It depends on the entity alone, so that a watcher
// who is politely blocked (RFC 5025 section 3.2.1), one who waits for a decision, and one of a presentity that is offline get the same bytes,
// provided that the server uses it for all three.
func Neutral(entity string) []byte {
	d := Document{Entity: entity, Tuples: []Tuple{{ID: "offline", Basic: Closed, Contact: Contact{URI: entity}}}}
	return d.Bytes()
}
