package grammar

// number reads the two digits at s[i:] that must be between low and high.
func number(s string, i, low, high int) (int, bool) {
	if len(s) < i+2 || !digits(s[i:i+2]) {
		return 0, false
	}
	n := int(s[i]-'0')*10 + int(s[i+1]-'0')
	return n, n >= low && n <= high
}

// zoneOf splits off the time zone: Z or an offset of up to 14 hours. It is empty when there is none.
func zoneOf(s string) (rest string, zone string, ok bool) {
	if s != "" && s[len(s)-1] == 'Z' {
		return s[:len(s)-1], "Z", true
	}
	at := len(s) - len("+00:00")
	if at < 0 || s[at] != '+' && s[at] != '-' || s[at+3] != ':' {
		return s, "", true
	}
	hour, fine := number(s, at+1, 0, 14)
	minute, also := number(s, at+4, 0, 59)
	return s[:at], s[at:], fine && also && (hour < 14 || minute == 0)
}

// validTime is xsd:dateTime, in which years may have more digits and a zone may be missing.
func validTime(s string) bool {
	s, _, ok := zoneOf(s)
	if !ok {
		return false
	}
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	at := 0
	for at < len(s) && s[at] != '-' {
		at++
	}
	year := s[:at]
	if len(year) < 4 || len(year) > 9 || !digits(year) || len(year) > 4 && year[0] == '0' || isZero(year) {
		return false
	}
	s = s[at:]
	if len(s) < len("-01-01T00:00:00") || s[0] != '-' || s[3] != '-' || s[6] != 'T' || s[9] != ':' || s[12] != ':' {
		return false
	}
	month, ok1 := number(s, 1, 1, 12)
	day, ok2 := number(s, 4, 1, 31)
	hour, ok3 := number(s, 7, 0, 24)
	minute, ok4 := number(s, 10, 0, 59)
	second, ok5 := number(s, 13, 0, 59)
	if !(ok1 && ok2 && ok3 && ok4 && ok5) || day > daysIn(year, month) {
		return false
	}
	fraction := s[15:]
	if fraction != "" && (fraction[0] != '.' || !digits(fraction[1:])) {
		return false
	}
	return hour < 24 || minute == 0 && second == 0 && (fraction == "" || isZero(fraction[1:]))
}

func daysIn(year string, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		n := 0
		for i := range len(year) {
			n = n*10 + int(year[i]-'0')
		}
		if n%4 == 0 && (n%100 != 0 || n%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
