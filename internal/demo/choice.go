package demo

import (
	"fmt"
	"strings"
)

// Choice says which LiveKit and which Redis dev uses, and why. Each source is a setting's, such as "env LIVEKIT_URL"; "default" means
// that dev starts its own.
type Choice struct{ LiveKit, Redis string }

// because returns the reason for a source, and how to let dev start its own instead.
func because(source, what string) string {
	name, variable := strings.CutPrefix(source, "env ")
	switch {
	case variable:
		return fmt.Sprintf("%s is set, so dev does not start its own %s: unset it to have that", name, what)
	case source == "flag":
		return fmt.Sprintf("a flag names it, so dev does not start its own %s: leave the flag out to have that", what)
	}
	return fmt.Sprintf("%s names it, so dev does not start its own %s: remove it there to have that", strings.TrimPrefix(source, "file "), what)
}

// ForeignLiveKit introduces a LiveKit at host that dev did not start, and whose webhooks belong at the URL hook.
func (c Choice) ForeignLiveKit(host, hook string) string {
	return fmt.Sprintf("LiveKit         %s   (yours: let its webhooks go to %s)\n                %s\n", host, hook, because(c.LiveKit, "LiveKit"))
}

// Participants introduces n participants; foreign says that they join a LiveKit that dev did not start.
func Participants(n int, foreign bool) string {
	rooms := strings.Join(Rooms(), ", ")
	switch {
	case n > 0:
		return fmt.Sprintf("participants    %d, who come and go in %s", n, rooms)
	case foreign:
		return fmt.Sprintf("participants    none of dev's in your LiveKit; --participants N lets N test participants join there, in %s", rooms)
	}
	return "participants    none of dev's; --participants N lets N come and go in " + rooms
}

// Ending says what ends, and in which order, after n participants.
func Ending(n int) string {
	if n == 0 {
		return "\nending: rollcall, then the rest"
	}
	return "\nending: the participants leave, then rollcall, then the rest"
}

// Explain adds to the error of a node that did not start that it did not start a Redis of its own, if the error is about Redis.
func (c Choice) Explain(err error) error {
	if err == nil || c.Redis == "default" || c.Redis == "" || !strings.Contains(strings.ToLower(err.Error()), "redis") {
		return err
	}
	return fmt.Errorf("%w. %s", err, because(c.Redis, "Redis"))
}
