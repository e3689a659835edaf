package actors

import "sync"

// crew works on rooms, on at most crewSize of them concurrently. Its goroutines stay until its end: their stacks grow only once.
type crew struct {
	tasks   chan func()
	workers sync.WaitGroup
}

// crewSize is how many rooms are worked on concurrently. The LiveKit client limits its calls further.
const crewSize = 64

// newCrew returns a crew for that many rooms. The caller must end it.
func newCrew(rooms int) *crew {
	c := &crew{tasks: make(chan func())}
	for range min(crewSize, rooms) {
		c.workers.Go(func() {
			for task := range c.tasks {
				task()
			}
		})
	}
	return c
}

// each calls work for every room and waits for all of them.
func (c *crew) each(rooms []string, work func(room string)) {
	var left sync.WaitGroup
	left.Add(len(rooms))
	for _, room := range rooms {
		c.tasks <- func() {
			defer left.Done()
			work(room)
		}
	}
	left.Wait()
}

func (c *crew) end() {
	close(c.tasks)
	c.workers.Wait()
}

// each has a crew of its own call work for every room.
func each(rooms []string, work func(room string)) {
	c := newCrew(len(rooms))
	defer c.end()
	c.each(rooms, work)
}
