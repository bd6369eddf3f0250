package wire

import "strconv"

// AppendRequest adds the start line of a request.
func AppendRequest[T text](b []byte, id T, method string) []byte {
	b = append(append(b, "MSRP "...), id...)
	return append(append(append(b, ' '), method...), "\r\n"...)
}

// AppendResponse adds the start line of a response; without a comment if that is empty.
func AppendResponse[T text](b []byte, id T, code int, comment string) []byte {
	b = append(append(b, "MSRP "...), id...)
	b = strconv.AppendInt(append(b, ' '), int64(code), 10)
	if comment != "" {
		b = append(append(b, ' '), comment...)
	}
	return append(b, "\r\n"...)
}

// AppendField adds a header field. To-Path and From-Path come first, and Content-Type last, before a body only (RFC
// 4975 section 7.1).
func AppendField[T text](b []byte, name string, value T) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

// AppendRange adds Byte-Range.
func AppendRange(b []byte, r Range) []byte {
	return append(r.Append(append(b, "Byte-Range: "...)), "\r\n"...)
}

// AppendEnd adds the end-line. After a body it begins with the line end that is not part of it.
func AppendEnd[T text](b []byte, id T, flag Flag, body bool) []byte {
	if body {
		b = append(b, "\r\n"...)
	}
	return append(append(append(append(b, dashes...), id...), byte(flag)), "\r\n"...)
}

// AppendAnswer adds a whole response to a request (RFC 4975 section 7.2): its To-Path is the first URI of From-Path for
// SEND and all of it for other methods, its From-Path the first URI of To-Path. Fields are further header fields, as
// names and values in turn.
func AppendAnswer(b []byte, h *Head, code int, fields ...string) []byte {
	b = AppendResponse(b, h.ID, code, Comment(code))
	to, _ := CutPath(h.From)
	if h.Method != SEND {
		to = h.From
	}
	from, _ := CutPath(h.To)
	b = AppendField(b, "To-Path", to)
	b = AppendField(b, "From-Path", from)
	for i := 0; i+1 < len(fields); i += 2 {
		b = AppendField(b, fields[i], fields[i+1])
	}
	return AppendEnd(b, h.ID, Last, false)
}
