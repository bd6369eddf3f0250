package wire

// Methods of requests: RFC 4975, RFC 4976 and RFC 7701.
const (
	SEND     = "SEND"
	REPORT   = "REPORT"
	AUTH     = "AUTH"
	NICKNAME = "NICKNAME"
)

// Codes of responses and of Status: RFC 4975 section 10, RFC 4976 section 10.3 and RFC 7701 section 7.
const (
	OK                   = 200
	BadRequest           = 400
	Unauthorized         = 401
	Forbidden            = 403
	NotFound             = 404
	Timeout              = 408
	StopSending          = 413
	UnsupportedMediaType = 415
	OutOfBounds          = 423
	NicknameReserved     = 424
	NicknameMalformed    = 425
	PrivateNotSupported  = 428
	NoSuchSession        = 481
	UnknownMethod        = 501
	WrongConnection      = 506
)

// Comment is the usual comment of a code, "" for an unknown one.
func Comment(code int) string {
	switch code {
	case OK:
		return "OK"
	case BadRequest:
		return "Bad Request"
	case Unauthorized:
		return "Unauthorized"
	case Forbidden:
		return "Forbidden"
	case NotFound:
		return "Not Found"
	case Timeout:
		return "Downstream Timeout"
	case StopSending:
		return "Stop Sending Message"
	case UnsupportedMediaType:
		return "Unsupported Media Type"
	case OutOfBounds:
		return "Parameter Out of Bounds"
	case NicknameReserved:
		return "Nickname Usage Failed"
	case NicknameMalformed:
		return "Nickname Malformed"
	case PrivateNotSupported:
		return "Private Messages Not Supported"
	case NoSuchSession:
		return "No Such Session"
	case UnknownMethod:
		return "Unknown Method"
	case WrongConnection:
		return "Session Bound To Another Connection"
	}
	return ""
}
