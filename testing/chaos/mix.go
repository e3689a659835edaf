package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// mix lets two nemeses of different kinds loose, the second while the first is at it.
func mix(all []Nemesis) Nemesis {
	return Nemesis{Name: "mix", Kind: "mix", Lasts: true, Doc: "two nemeses of different kinds at once, as the dice say",
		Do: func(ctx context.Context, w *World, dice *rand.Rand) (string, mend, error) {
			able := slices.DeleteFunc(slices.Clone(all), func(n Nemesis) bool {
				return n.Forgets || w.allows(n) != nil || n.Kind == "members" && w.opts.Nodes == 5
			})
			first := able[dice.IntN(len(able))]
			able = slices.DeleteFunc(able, func(n Nemesis) bool { return n.Kind == first.Kind })
			what, healFirst := w.let(ctx, first, dice)
			pass(ctx, 2*time.Second)
			more, healSecond := w.let(ctx, able[dice.IntN(len(able))], dice)
			return what + ", " + more, func(ctx context.Context) error {
				err := healFirst(ctx)
				pass(ctx, time.Second)
				return errors.Join(err, healSecond(ctx))
			}, nil
		}}
}

// let looses a nemesis amidst another's work. What it then cannot do, such as let a node join where there is no majority, it says.
func (w *World) let(ctx context.Context, n Nemesis, dice *rand.Rand) (what string, heal mend) {
	what, heal, err := n.Do(ctx, w, dice)
	what = fmt.Sprintf("%s (%s)", n.Name, what)
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		what += ", which could not: " + reason
	}
	if heal == nil {
		heal = func(context.Context) error { return nil }
	}
	return what, heal
}
