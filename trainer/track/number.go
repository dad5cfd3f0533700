package track

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// short writes a number for an axis or a tile: three or four significant digits, k, M and G for large ones.
func short(value float64) string {
	size := math.Abs(value)
	switch {
	case !finite(value):
		return "–"
	case size == 0:
		return "0"
	case size >= 1e9:
		return strconv.FormatFloat(value/1e9, 'g', 4, 64) + "G"
	case size >= 1e6:
		return strconv.FormatFloat(value/1e6, 'g', 4, 64) + "M"
	case size >= 1e4:
		return strconv.FormatFloat(value/1e3, 'g', 4, 64) + "k"
	case size < 1e-3:
		return trimExponent(strconv.FormatFloat(value, 'e', 2, 64))
	}
	return strconv.FormatFloat(value, 'g', 4, 64)
}

// trimExponent turns 2.00e-04 into 2e-4.
func trimExponent(text string) string {
	mantissa, exponent, _ := strings.Cut(text, "e-")
	return strings.TrimRight(strings.TrimRight(mantissa, "0"), ".") + "e-" + strings.TrimLeft(exponent, "0")
}

// fixed writes a value for a table column, with four decimals.
func fixed(value float64) string {
	if !finite(value) {
		return "–"
	}
	return strconv.FormatFloat(value, 'f', 4, 64)
}

// withSeparators writes 1234567 as 1,234,567.
func withSeparators(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// duration writes seconds as 3h 12m, 4m 5s or 12.3s.
func duration(seconds float64) string {
	if !finite(seconds) || math.Abs(seconds) > 1e9 {
		return "–"
	}
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%dh %02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm %02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
