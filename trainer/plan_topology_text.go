package trainer

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// writeTopology shows what the compiler says.
func (p *Plan) writeTopology(w io.Writer) error {
	t := p.Topology
	clock := ""
	if t.Clock > 0 {
		clock = fmt.Sprintf("%.3g GHz and ", t.Clock/1e9)
	}
	devices := "1 device"
	if t.Devices > 1 {
		devices = fmt.Sprintf("%d devices", t.Devices)
	}
	fmt.Fprintf(w, "\n%s: %s (%s), hosts: %d; %s%.4g TFLOP/s in bfloat16 each\n", t.Name, devices, t.Kind, t.Hosts, clock, t.PeakFLOPs/1e12)
	if !*p.Fits {
		need := ""
		if p.HBM.Peak != nil {
			need = fmt.Sprintf(" (phase 1 needs %.3f GB)", gigabytes(p.HBM.Peak))
		}
		_, err := fmt.Fprintf(w, "does not fit into a device's %.3f GB%s; %s\n", gigabytes(p.HBM.Limit), need, p.advice())
		return err
	}
	fmt.Fprintf(w, "fits: of a device's %.3f GB the step takes %.3f GB (arguments %.3f, of which aliased %.3f; temporaries %.3f)\n",
		gigabytes(p.HBM.Limit), gigabytes(p.HBM.Peak), gigabytes(p.HBM.Arguments), gigabytes(p.HBM.Aliased), gigabytes(p.HBM.Temporaries))
	if p.EstimatedCycles == nil {
		writeCollectives(w, t)
		_, err := fmt.Fprintf(w, "compiled in %.0f s; this compiler estimates no times\n", t.Compile)
		return err
	}
	fmt.Fprintf(w, "a device and step: %.4g M cycles, %.3g FLOPs, %.3g bytes accessed (compiled in %.0f s)\n", float64(*p.EstimatedCycles)/1e6, t.FLOPs, t.Bytes, t.Compile)
	if t.UncountedLoops > 0 {
		fmt.Fprintf(w, "%d loops count once: it is not known how often they go round\n", t.UncountedLoops)
	}
	writeCollectives(w, t)
	fmt.Fprintln(w, "\nshare of the cycles")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range t.Shares {
		fmt.Fprintf(table, "  %5.1f %%\t%.3f M\t%s\n", 100*s.Share, float64(s.Cycles)/1e6, s.Name)
	}
	table.Flush()
	fmt.Fprintln(w, "\ncostliest operations")
	for _, o := range t.Costliest {
		fmt.Fprintf(table, "  %5.1f %%\t%s\t%s\t%s\n", 100*o.Share, o.Name, shortened(o.Shape), o.Place)
	}
	table.Flush()
	_, err := fmt.Fprintf(w, "\nestimated: a step of phase 1 %.4g s, %.4g tokens/s, MFU %.3g by useful FLOPs; %.4g hours in all\n",
		*p.EstimatedStep, t.TokensPerS, *p.MFU, *p.Hours)
	return err
}

func writeCollectives(w io.Writer, t *PlanTopology) {
	for _, c := range t.Collectives {
		fmt.Fprintf(w, "between devices: %d %s of %.4g M numbers in all\n", c.Runs, c.Opcode, float64(c.Numbers)/1e6)
	}
}

func gigabytes(n *int64) float64 { return float64(*n) / 1e9 }

// shortened cuts the shapes of fusions with many results.
func shortened(shape string) string {
	const longest = 60
	if len(shape) <= longest {
		return shape
	}
	return shape[:longest-3] + "..."
}
