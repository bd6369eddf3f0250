package skipped

const name = "DEMO-003 in a folder that go ignores"
