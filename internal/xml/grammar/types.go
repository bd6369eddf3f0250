package grammar

// types are the document types, by name.
var types = []Type{
	{"common-policy", spaceCommonPolicy, "ruleset", "RFC 4745"},
	{"conference-info", "urn:ietf:params:xml:ns:conference-info", "conference-info", "RFC 4575"},
	{"imdn", "urn:ietf:params:xml:ns:imdn", "imdn", "RFC 5438"},
	{"iscomposing", "urn:ietf:params:xml:ns:im-iscomposing", "isComposing", "RFC 3994"},
	{"patch-ops-error", "urn:ietf:params:xml:ns:patch-ops-error", "patch-ops-error", "RFC 5261"},
	{"pidf", spacePIDF, "presence", "RFC 3863"},
	{"pidf-diff", spacePIDFDiff, "pidf-diff", "RFC 5262"},
	{"pidf-full", spacePIDFDiff, "pidf-full", "RFC 5262"},
	{"pres-rules", spaceCommonPolicy, "ruleset", "RFC 5025"},
	{"resource-lists", spaceLists, "resource-lists", "RFC 4826"},
	{"rlmi", "urn:ietf:params:xml:ns:rlmi", "list", "RFC 4662"},
	{"rls-services", "urn:ietf:params:xml:ns:rls-services", "rls-services", "RFC 4826"},
	{"simple-filter", "urn:ietf:params:xml:ns:simple-filter", "filter-set", "RFC 4661"},
	{"watcherinfo", "urn:ietf:params:xml:ns:watcherinfo", "watcherinfo", "RFC 3858"},
	{"xcap-caps", "urn:ietf:params:xml:ns:xcap-caps", "xcap-caps", "RFC 4825"},
	{"xcap-diff", "urn:ietf:params:xml:ns:xcap-diff", "xcap-diff", "RFC 5874"},
	{"xcap-error", "urn:ietf:params:xml:ns:xcap-error", "xcap-error", "RFC 4825"},
	{"xml-patch", "urn:ietf:rfc:7351", "patch", "RFC 7351"},
}

const (
	spacePIDF         = "urn:ietf:params:xml:ns:pidf"
	spacePIDFDiff     = "urn:ietf:params:xml:ns:pidf-diff"
	spaceDataModel    = "urn:ietf:params:xml:ns:pidf:data-model"
	spaceRPID         = "urn:ietf:params:xml:ns:pidf:rpid"
	spaceTimed        = "urn:ietf:params:xml:ns:pidf:timed-status"
	spaceCIPID        = "urn:ietf:params:xml:ns:pidf:cipid"
	spaceCaps         = "urn:ietf:params:xml:ns:pidf:caps"
	spaceLists        = "urn:ietf:params:xml:ns:resource-lists"
	spaceCommonPolicy = "urn:ietf:params:xml:ns:common-policy"
	spaceXSI          = "http://www.w3.org/2001/XMLSchema-instance"
)

// namespaces are the grammar files of the namespaces that something is known about.
var namespaces = map[string]*known{
	xmlSpace:                                 {file: "xml.rnc"},
	spacePIDF:                                {file: "pidf.rnc"},
	spacePIDFDiff:                            {file: "pidf-diff.rnc"},
	spaceDataModel:                           {file: "data-model.rnc"},
	spaceRPID:                                {file: "rpid.rnc"},
	spaceTimed:                               {file: "timed-status.rnc"},
	spaceCIPID:                               {file: "cipid.rnc"},
	spaceCaps:                                {file: "caps.rnc"},
	spaceLists:                               {file: "resource-lists.rnc"},
	spaceCommonPolicy:                        {file: "common-policy.rnc"},
	"urn:ietf:params:xml:ns:copycontrol":     {file: "copycontrol.rnc"},
	"urn:ietf:params:xml:ns:rls-services":    {file: "rls-services.rnc"},
	"urn:ietf:params:xml:ns:pres-rules":      {file: "pres-rules.rnc"},
	"urn:oma:xml:xdm:common-policy":          {file: "oma-common-policy.rnc"},
	"urn:oma:xml:prs:pres-rules":             {file: "oma-pres-rules.rnc"},
	"urn:ietf:params:xml:ns:watcherinfo":     {file: "watcherinfo.rnc"},
	"urn:ietf:params:xml:ns:rlmi":            {file: "rlmi.rnc"},
	"urn:ietf:params:xml:ns:xcap-diff":       {file: "xcap-diff.rnc"},
	"urn:ietf:params:xml:ns:xcap-error":      {file: "xcap-error.rnc"},
	"urn:ietf:params:xml:ns:xcap-caps":       {file: "xcap-caps.rnc"},
	"urn:ietf:params:xml:ns:simple-filter":   {file: "simple-filter.rnc"},
	"urn:ietf:params:xml:ns:conference-info": {file: "conference-info.rnc"},
	"urn:ietf:params:xml:ns:imdn":            {file: "imdn.rnc"},
	"urn:ietf:params:xml:ns:im-iscomposing":  {file: "iscomposing.rnc"},
	"urn:ietf:params:xml:ns:patch-ops-error": {file: "patch-ops-error.rnc"},
	"urn:ietf:rfc:7351":                      {file: "xml-patch.rnc"},
}
