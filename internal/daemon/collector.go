package daemon

import "github.com/prometheus/client_golang/prometheus"

// collector makes all metrics of one scrape from one value.
type collector[T any] struct {
	read   func() T
	series []series[T]
}

// series is one metric. Its values are put with the values of their labels.
type series[T any] struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	values func(now T, put func(value float64, labels ...string))
}

func (c *collector[T]) add(kind prometheus.ValueType, name, help string, values func(T, func(float64, ...string)), labels ...string) {
	c.series = append(c.series, series[T]{prometheus.NewDesc("rollcall_"+name, help, labels, nil), kind, values})
}

// gauge adds a gauge without labels.
func (c *collector[T]) gauge(name, help string, value func(T) float64) {
	c.add(prometheus.GaugeValue, name, help, func(now T, put func(float64, ...string)) { put(value(now)) })
}

// Describe implements prometheus.Collector.
func (c *collector[T]) Describe(to chan<- *prometheus.Desc) {
	for _, s := range c.series {
		to <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector[T]) Collect(to chan<- prometheus.Metric) {
	now := c.read()
	for _, s := range c.series {
		s.values(now, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(s.desc, s.kind, value, labels...)
		})
	}
}
