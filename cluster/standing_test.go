package cluster

import (
	"testing"
	"time"
)

func TestOutOfContactOwnsNothing(t *testing.T) {
	t.Parallel()
	for since, fine := range map[time.Duration]bool{0: true, outOfContact: true, outOfContact + 1: false, -1: false} {
		if err := inContact(since); (err == nil) != fine {
			t.Errorf("%v after the last contact: %v", since, err)
		}
	}
}
