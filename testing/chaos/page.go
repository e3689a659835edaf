package chaos

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed page.html
var pageHTML string

// The page's dimensions, in pixels.
const (
	left      = 96
	right     = 24
	perSecond = 2.4
	narrowest = 1120
)

// page writes the report as one self-contained HTML file.
func (r *Report) page(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{"add": func(a, b float64) float64 { return a + b }}).Parse(pageHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, newDrawing(r))
}

// drawing is a report laid out on the page.
type drawing struct {
	*Report
	Width, Plot float64
	Ticks       []tick
	Bars        []bar
	Leaders     []bar
	Legend      []bar
	OK, Failed  string // the points of polygons
	Wrong       string
	Unread      []bar
	Ready       string // the points of a line
	Marks       []tick
	MostMail    int
	MostWrong   int
	Slowest     float64
	MostCycles  int
}

type tick struct {
	X    float64
	Text string
}

type bar struct {
	X, Width, Rest float64
	Row            int
	Text, Color    string
}

// colors distinguish the nodes.
var colors = [...]string{"#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#9c755f"}

func newDrawing(r *Report) *drawing {
	d := &drawing{Report: r, Plot: max(narrowest, perSecond*r.Took)}
	d.Width = left + d.Plot + right
	d.ticks()
	for i, f := range r.Faults {
		end := max(f.Right, f.Healed, f.From)
		d.Bars = append(d.Bars, bar{X: d.x(f.From), Width: d.x(max(f.Healed, f.From)) - d.x(f.From), Rest: d.x(end) - d.x(max(f.Healed, f.From)),
			Row: i % 4, Text: f.Name})
		d.Slowest, d.MostCycles = max(d.Slowest, f.Converged()), max(d.MostCycles, f.Cycles)
	}
	for _, v := range r.Violations {
		d.Marks = append(d.Marks, tick{d.x(v.At), v.Text})
	}
	d.leaders()
	d.curves()
	return d
}

func (d *drawing) x(at float64) float64 { return left + d.Plot*min(1, at/max(1, d.Took)) }

func (d *drawing) ticks() {
	step := 10.0
	for d.Took/step > 16 {
		step *= 2
	}
	for at := 0.0; at <= d.Took; at += step {
		d.Ticks = append(d.Ticks, tick{d.x(at), fmt.Sprintf("%.0f s", at)})
	}
}

// leaders computes the spans in which one node led, or none.
func (d *drawing) leaders() {
	for i, s := range d.Samples {
		end := d.Took
		if i+1 < len(d.Samples) {
			end = d.Samples[i+1].At
		}
		color := "#d62728"
		if n := strings.TrimPrefix(s.Leader, "n"); n != "" {
			color = colors[(int(n[0]-'0')-1+len(colors))%len(colors)]
		}
		if last := len(d.Leaders) - 1; last >= 0 && d.Leaders[last].Text == s.Leader {
			d.Leaders[last].Width = d.x(end) - d.Leaders[last].X
			continue
		}
		d.Leaders = append(d.Leaders, bar{X: d.x(s.At), Width: d.x(end) - d.x(s.At), Text: s.Leader, Color: color})
	}
	for _, b := range d.Leaders {
		if !slices.ContainsFunc(d.Legend, func(l bar) bool { return l.Text == b.Text }) {
			d.Legend = append(d.Legend, b)
		}
	}
	slices.SortFunc(d.Legend, func(a, b bar) int { return strings.Compare(a.Text, b.Text) })
}

// tall is the height of each curve's lane, as on the page.
const tall = 100

func (d *drawing) curves() {
	for _, s := range d.Samples {
		d.MostMail = max(d.MostMail, s.OK+s.Failed)
		d.MostWrong = max(d.MostWrong, s.Wrong)
	}
	var ok, all, wrong, ready strings.Builder
	for _, s := range d.Samples {
		x := d.x(s.At)
		fmt.Fprintf(&ok, "%.1f,%.1f ", x, height(s.OK, d.MostMail))
		fmt.Fprintf(&all, "%.1f,%.1f ", x, height(s.OK+s.Failed, d.MostMail))
		fmt.Fprintf(&wrong, "%.1f,%.1f ", x, height(s.Wrong, d.MostWrong))
		fmt.Fprintf(&ready, "%.1f,%.1f ", x, 40-36*float64(s.Ready)/float64(max(5, d.Nodes)))
		if s.Unread {
			d.Unread = append(d.Unread, bar{X: x, Width: d.Plot * lookEvery.Seconds() / max(1, d.Took)})
		}
	}
	floor := func(s string) string {
		return fmt.Sprintf("%d,%d %s %.1f,%d", left, tall, s, d.x(d.Took), tall)
	}
	d.OK, d.Failed, d.Wrong, d.Ready = floor(ok.String()), floor(all.String()), floor(wrong.String()), ready.String()
}

func height(n, most int) float64 { return tall - (tall-8)*float64(n)/float64(max(1, most)) }
