package pidf

// activityNames are the values of activities that the schema has (RFC 4480 section 3.2); other and lunch are apart.
var activityNames = []string{
	"appointment", "away", "breakfast", "busy", "dinner", "holiday", "in-transit", "looking-for-work", "meal", "meeting", "on-the-phone",
	"performance", "permanent-absence", "playing", "presentation", "shopping", "sleeping", "spectator", "steering", "travel", "tv", "unknown",
	"vacation", "working", "worship",
}

// moodNames are the values of mood (RFC 4480 section 3.5) without other.
var moodNames = []string{
	"afraid", "amazed", "angry", "annoyed", "anxious", "ashamed", "bored", "brave", "calm", "cold", "confused", "contented", "cranky", "curious",
	"depressed", "disappointed", "disgusted", "distracted", "embarrassed", "excited", "flirtatious", "frustrated", "grumpy", "guilty", "happy",
	"hot", "humbled", "humiliated", "hungry", "hurt", "impressed", "in_awe", "in_love", "indignant", "interested", "invincible", "jealous",
	"lonely", "mean", "moody", "nervous", "neutral", "offended", "playful", "proud", "relieved", "remorseful", "restless", "sad", "sarcastic",
	"serious", "shocked", "shy", "sick", "sleepy", "stressed", "surprised", "thirsty", "unknown", "worried",
}

// placeTypeNames are the place types of RFC 4589 section 3 without other.
var placeTypeNames = []string{
	"aircraft", "airport", "arena", "automobile", "bank", "bar", "bicycle", "bus", "bus-station", "cafe", "classroom", "club", "construction",
	"convention-center", "government", "hospital", "hotel", "industrial", "library", "motorcycle", "office", "outdoors", "parking",
	"place-of-worship", "prison", "public", "public-transport", "residence", "restaurant", "school", "shopping-area", "stadium", "store",
	"street", "theater", "train", "train-station", "truck", "underway", "unknown", "warehouse", "water", "watercraft",
}

// The values of the other enumerations of RFC 4480, other left out where it carries text.
var (
	audioPlaces       = []string{"noisy", "ok", "quiet", "unknown"}
	videoPlaces       = []string{"toobright", "ok", "dark", "unknown"}
	textPlaces        = []string{"uncomfortable", "inappropriate", "ok", "unknown"}
	privacyNames      = []string{"audio", "text", "video", "unknown"}
	relationshipNames = []string{"assistant", "associate", "family", "friend", "self", "supervisor", "unknown"}
	serviceClassNames = []string{"courier", "electronic", "freight", "in-person", "postal", "unknown"}
	sphereNames       = []string{"home", "work", "unknown"}
)

// The names in the containers of RFC 5196, in the order of its schema, which has hist-info and rel100 for the option tags histinfo and 100rel.
var (
	actorNames        = []string{"attendant", "information", "msg-taker", "principal"}
	classNames        = []string{"business", "personal"}
	duplexNames       = []string{"full", "half", "receive-only", "send-only"}
	eventPackageNames = []string{
		"conference", "dialog", "kpml", "message-summary", "poc-settings", "presence", "reg", "refer", "Siemens-RTP-Stats", "spirits-INDPs",
		"spirits-user-prof", "winfo",
	}
	extensionNames = []string{
		"rel100", "early-session", "eventlist", "from-change", "gruu", "hist-info", "join", "norefersub", "path", "precondition", "pref",
		"privacy", "recipient-list-invite", "recipient-list-subscribe", "replaces", "resource-priority", "sdp-anat", "sec-agree", "tdialog",
		"timer",
	}
	methodNames = []string{
		"ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE",
	}
	mobilityNames = []string{"fixed", "mobile"}
)
