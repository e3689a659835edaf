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

// mix runs two nemeses of different kinds, the second during the first.
func mix() Nemesis {
	return Nemesis{Name: "mix", Kind: "mix", Lasts: true, Doc: "two nemeses of different kinds at once, as the dice say",
		Do: func(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
			first := w.draw(dice, "")
			return w.both(ctx, first, w.draw(dice, first.Kind), dice)
		}}
}

// joinAmidst changes the membership during another nemesis.
func joinAmidst() Nemesis {
	return Nemesis{Name: "join-during", Kind: "mix", Lasts: true, Disks: true, Joins: true,
		Doc: "join-and-leave during another nemesis, as the dice say",
		Do: func(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
			all := members()
			join := all[slices.IndexFunc(all, func(n Nemesis) bool { return n.Joins })]
			return w.both(ctx, w.draw(dice, join.Kind), join, dice)
		}}
}

// draw picks a nemesis that this world allows and that is not of the given kind.
func (w *World) draw(dice *rand.Rand, but string) Nemesis {
	able := slices.DeleteFunc(single(), func(n Nemesis) bool { return n.Forgets || n.Alone || n.Kind == but || w.allows(n) != nil })
	return able[dice.IntN(len(able))]
}

// both runs one nemesis and a second one during it. If the second cannot do its work, for example let a node join where there is
// no majority, the description says so; the first must do its own.
func (w *World) both(ctx context.Context, first, second Nemesis, dice *rand.Rand) (string, heal, error) {
	what, healFirst, err := first.Do(ctx, w, dice)
	what = fmt.Sprintf("%s (%s)", first.Name, what)
	if err != nil {
		return what, healFirst, err
	}
	pass(ctx, 2*time.Second)
	more, healSecond, err := second.Do(ctx, w, dice)
	what += fmt.Sprintf(", %s (%s)", second.Name, more)
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		what += ", which could not: " + reason
	}
	return what, func(ctx context.Context) error {
		err := healFirst.run(ctx)
		pass(ctx, time.Second)
		return errors.Join(err, healSecond.run(ctx))
	}, nil
}
