package dataset

// Report counts what a build read, kept and left out.
type Report struct {
	Files         int   `json:"files"`
	Bytes         int64 `json:"bytes"` // of text, after decompression
	Documents     int64 `json:"documents"`
	Sentences     int64 `json:"sentences"`
	Tokens        int64 `json:"tokens"`
	UnknownTokens int64 `json:"unknown_tokens"`
}
