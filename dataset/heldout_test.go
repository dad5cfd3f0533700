package dataset

import (
	"cmp"
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"elektron/internal/blob"
	"elektron/internal/blob/blobtest"
)

// ticketsOf draws documents of up to a number of tokens.
func ticketsOf(random *rand.Rand, documents, most int) []Ticket {
	all := make([]Ticket, documents)
	for i := range all {
		all[i] = Ticket{random.Uint64(), 1 + random.IntN(most)}
	}
	return all
}

// chosen is the choice as its definition says: by draw, as long as there is room.
func chosen(all []Ticket, share float64) (drawn []Ticket) {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Ticket) int { return cmp.Compare(a.Draw, b.Draw) })
	tokens := 0
	for _, t := range sorted {
		if t.Tokens > maxHeldOutDocument {
			continue
		}
		if tokens += t.Tokens; tokens > MaxValidTokens || float64(t.Draw) >= share*0x1p64 {
			break
		}
		drawn = append(drawn, t)
	}
	return drawn
}

// In whatever order and in whatever parts the documents come, the same ones are held out, and whoever is set free
// is not among them.
func TestHeldOut(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	cases := map[string]struct {
		documents, most int
		share           float64
	}{
		"all fit":            {2000, 500, 0.1},
		"too many":           {3000, 20_000, 0.2},
		"some too long":      {2000, 3 * maxHeldOutDocument, 0.1},
		"all too long but a": {300, 1 << 22, 0.05},
		"nearly all":         {50, 400, 0.999},
		"one":                {1, 10, 0.5},
	}
	for name, c := range cases {
		all := ticketsOf(random, c.documents, c.most)
		want := chosen(all, c.share)
		var wantRule *Rule
		for parts := 1; parts <= 5; parts += 2 {
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			h := NewHeldOut(c.share)
			free := map[uint64]bool{}
			for part := range slices.Chunk(all, (len(all)+parts-1)/parts) {
				other := NewHeldOut(c.share)
				for _, ticket := range part {
					for _, draw := range other.Add(ticket) {
						if free[draw] {
							t.Errorf("%s: set free twice", name)
						}
						free[draw] = true
					}
				}
				h.Merge(other)
			}
			got := slices.SortedFunc(slices.Values(h.Drawn), func(a, b Ticket) int { return cmp.Compare(a.Draw, b.Draw) })
			if !slices.Equal(got, want) {
				t.Errorf("%s in %d parts: %d documents are held out, want %d", name, parts, len(got), len(want))
			}
			for _, ticket := range append(got, h.Spare) {
				if free[ticket.Draw] {
					t.Errorf("%s: a document that is held out was set free", name)
				}
			}
			rule := h.Rule()
			if wantRule == nil {
				wantRule = &rule
			}
			if first := slices.MinFunc(all, func(a, b Ticket) int { return cmp.Compare(a.Draw, b.Draw) }); rule != *wantRule || h.Spare != first {
				t.Errorf("%s in %d parts: %+v, want %+v", name, parts, rule, *wantRule)
			}
		}
	}
}

// What is added in one go or in parts is the same report.
func TestReportAdd(t *testing.T) {
	v := reflect.ValueOf(&Report{}).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Int64:
			f.SetInt(int64(i + 1))
		default:
			f.Set(reflect.MakeSlice(f.Type(), i, i))
		}
	}
	one := v.Interface().(Report)
	one.SentenceLengths[2] = 5
	var sum Report
	sum.Add(one)
	if !reflect.DeepEqual(sum, one) {
		t.Errorf("%+v, want %+v", sum, one)
	}
	sum.Add(one)
	for i := range v.NumField() {
		if f := reflect.ValueOf(sum).Field(i); f.Kind() == reflect.Int64 && f.Int() != int64(2*i+2) {
			t.Errorf("%s is %d, want %d", v.Type().Field(i).Name, f.Int(), 2*i+2)
		}
	}
	if sum.SentenceLengths[2] != 10 || len(sum.SentenceLengths) != len(one.SentenceLengths) {
		t.Errorf("lengths %v", sum.SentenceLengths)
	}
}

// A folder that is given up leaves nothing, here and in a bucket, even when the context has ended.
func TestFolderAbandon(t *testing.T) {
	here := t.TempDir()
	for _, parent := range []string{here, blobtest.Bucket(t)} {
		for _, publish := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			f, err := BeginFolder(ctx, parent+"/made")
			if err != nil {
				t.Fatal(err)
			}
			w, err := blob.Create(ctx, f.Work+"/train/a")
			if err == nil {
				err = w.Close()
			}
			if err == nil && publish {
				err = f.Publish()
			}
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			f.Abandon(ctx)
			left, err := blob.List(t.Context(), parent)
			if err != nil || (len(left) > 0) != publish {
				t.Errorf("%s, published %v: %v left, error %v", parent, publish, left, err)
			}
		}
		if _, err := BeginFolder(t.Context(), parent+"/made"); err == nil {
			t.Errorf("%s: the finished folder is begun again", parent)
		}
	}
}
