package wordpiece

// EncodePair encodes a pair of texts as [CLS] a [SEP] b [SEP], with segment id 0 up to the first [SEP] and 1
// behind it, in at most maxLength ids; 0 means no limit. The longer text is cut at its end first (HF's longest_first).
func (t *Tokenizer) EncodePair(a, b string, maxLength int) (ids, segmentIDs []int32) {
	first, second := t.Encode(a), t.Encode(b)
	if maxLength > 0 {
		first, second = TruncatePair(first, second, maxLength-3)
	}
	ids = append(t.wrap(first), second...)
	ids = append(ids, t.vocabulary.sep)
	segmentIDs = make([]int32, len(ids))
	for i := len(first) + 2; i < len(ids); i++ {
		segmentIDs[i] = 1
	}
	return ids, segmentIDs
}

// EncodeSingle encodes a text as [CLS] text [SEP] in at most maxLength ids; 0 means no limit. All segment ids are 0.
func (t *Tokenizer) EncodeSingle(text string, maxLength int) (ids, segmentIDs []int32) {
	first := t.Encode(text)
	if maxLength > 0 {
		first, _ = TruncatePair(first, nil, maxLength-2)
	}
	ids = t.wrap(first)
	return ids, make([]int32, len(ids))
}

func (t *Tokenizer) wrap(ids []int32) []int32 {
	out := make([]int32, 0, 2*len(ids)+3)
	out = append(out, t.vocabulary.class)
	out = append(out, ids...)
	return append(out, t.vocabulary.sep)
}

// TruncatePair cuts a and b at their ends to room ids together: only the longer where that is enough, else
// both to half of it, of which an odd id goes to the longer, or to b where they are equally long.
func TruncatePair(a, b []int32, room int) (first, second []int32) {
	room = max(room, 0)
	if len(a)+len(b) <= room {
		return a, b
	}
	short, long := min(len(a), len(b)), max(len(a), len(b))
	if long = max(short, room-short); short+long > room {
		short, long = room/2, room-room/2
	}
	if len(a) > len(b) {
		return a[:long], b[:short]
	}
	return a[:short], b[:long]
}
