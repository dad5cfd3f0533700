package trainer

import (
	"math"
	"testing"
)

func TestSchedule(t *testing.T) {
	product := Schedule{Peak: 2, Warmup: 10, Total: 100}
	quadratic := Schedule{Peak: 2, Warmup: 10, Total: 100, Power: 2}
	then := Schedule{Peak: 2, Warmup: 20, Total: 100, Power: 0.5, AfterWarmup: true}
	for _, c := range []struct {
		schedule Schedule
		t        int64
		want     float64
	}{
		{product, 0, 0}, {product, 5, 2 * 0.5 * 0.95}, {product, 10, 2 * 0.9}, {product, 50, 1}, {product, 100, 0}, {product, 200, 0},
		{quadratic, 5, 2 * 0.5 * 0.95 * 0.95}, {quadratic, 50, 0.5},
		{then, 0, 0}, {then, 10, 1}, {then, 20, 2}, {then, 80, 1}, {then, 95, 0.5}, {then, 100, 0},
		{Schedule{Peak: 2, Total: 4}, 0, 2},
		{Schedule{Peak: 2, Warmup: 8, Total: 4, AfterWarmup: true}, 3, 0.75}, // a run that ends during its warm-up
	} {
		if got := c.schedule.At(c.t); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v: rate after %d steps: %g, want %g", c.schedule, c.t, got, c.want)
		}
	}
}
