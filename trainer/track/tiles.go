package track

import "fmt"

// tile is one headline number of the report.
type tile struct{ Name, Value, Note string }

// tiles are the numbers to look at first: from the latest validation, or from training before there is one.
func (r *Report) tiles() []tile {
	m, source, first := r.latest, "training", Metrics{}
	if len(r.train) > 0 {
		first = r.train[0]
	}
	if n := len(r.valid); n > 0 {
		m, source, first = r.valid[n-1], "validation", r.valid[0]
	}
	if m.Step == 0 && r.latest.Step == 0 {
		return nil
	}
	all := []tile{{"Step", withSeparators(max(m.Step, r.latest.Step)), duration(max(m.ElapsedS, r.latest.ElapsedS))}}
	headline := map[string]bool{"mlm_loss": true, "rtd_loss": true, "rtd_auc": true}
	for _, f := range fields {
		now, then := *f.value(&m), *f.value(&first)
		if !headline[f.key] || !finite(now) {
			continue
		}
		note := source
		if first.Step < m.Step && finite(then) {
			note = fmt.Sprintf("%s, %s at step %s", source, short(then), withSeparators(first.Step))
		}
		all = append(all, tile{f.title, short(now), note})
	}
	if r.latest.Step > 0 && finite(r.latest.TokensPerS) {
		all = append(all, tile{"Tokens per second", short(r.latest.TokensPerS), "training"})
	}
	return all
}
