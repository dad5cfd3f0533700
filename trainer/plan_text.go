package trainer

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteText shows the plan as tables.
func (p *Plan) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "preset %s, recipe %s, encoder %s, vocabulary %d\n\nparameters\n", p.Preset, p.Recipe, p.Encoder, p.VocabSize)
	for _, part := range []struct {
		name  string
		count int
		note  string
	}{
		{"discriminator", p.Params.Discriminator, ""},
		{"of which embeddings", p.Params.Embeddings, "shared with the generator and its decoder"},
		{"generator", p.Params.Generator, "without the shared embeddings"},
		{"heads", p.Params.Heads, "of both"},
		{"all", p.Params.Total, ""},
	} {
		fmt.Fprintf(t, "%s\t%s\t\t%s\n", part.name, millions(part.count), part.note)
	}
	t.Flush()
	p.writeWork(w)
	p.writeMemory(w)
	if p.Topology != nil {
		return p.writeTopology(w)
	}
	return p.writeTime(w)
}

func (p *Plan) writeWork(w io.Writer) {
	fmt.Fprintln(w, "\nwork")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "phase\tsteps\tbatch\ttokens\tmasked\ttokens a step\tFLOPs an example\tFLOPs a step\t\n")
	for i, f := range p.Phases {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%.3g\t%.3g\t\n", i+1, f.Steps, f.BatchSize, f.SeqLen, f.MaskedSlots, f.TokensPerStep, f.FLOPsPerExample, f.FLOPsPerStep)
	}
	t.Flush()
	fmt.Fprintf(w, "in all %d steps, %.4g tokens, %.3g FLOPs\n", p.Steps, p.Tokens, p.FLOPs)
}

func (p *Plan) writeMemory(w io.Writer) {
	fmt.Fprintln(w, "\nmemory in GB of one device that does all of it; activations are an estimate")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "phase\tweights\tmoments\tgradients\tbatch\tactivations\twith --remat\tall\twith --remat\t\n")
	for i, f := range p.Phases {
		m := f.Memory
		fmt.Fprintf(t, "%d\t", i+1)
		for _, bytes := range []int64{m.Weights, m.Moments, m.Gradients, m.Batch, m.Activations, m.ActivationsRemat, m.Total, m.TotalRemat} {
			fmt.Fprintf(t, "%.3f\t", float64(bytes)/1e9)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

func (p *Plan) writeTime(w io.Writer) error {
	if p.Hours == nil {
		_, err := fmt.Fprintln(w, "\ntime: give --topology, --tokens-per-s, or --mfu and --peak-tflops")
		return err
	}
	mfu := ""
	if p.MFU != nil {
		mfu = fmt.Sprintf(", MFU %.3g", *p.MFU)
	}
	_, err := fmt.Fprintf(w, "\ntime: %.4g hours; a step of phase 1 %.4g s%s\n", *p.Hours, *p.EstimatedStep, mfu)
	return err
}
