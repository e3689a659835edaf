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
func mix() Nemesis {
	return Nemesis{Name: "mix", Kind: "mix", Lasts: true, Doc: "two nemeses of different kinds at once, as the dice say",
		Do: func(ctx context.Context, w *World, dice *rand.Rand) (string, mend, error) {
			first := w.draw(dice, "")
			return w.both(ctx, first, w.draw(dice, first.Kind), dice)
		}}
}

// joinAmidst changes the membership while another nemesis is at it.
func joinAmidst() Nemesis {
	return Nemesis{Name: "join-amidst", Kind: "mix", Lasts: true, Disks: true, Joins: true,
		Doc: "join-and-leave while another nemesis is at it, as the dice say",
		Do: func(ctx context.Context, w *World, dice *rand.Rand) (string, mend, error) {
			all := members()
			join := all[slices.IndexFunc(all, func(n Nemesis) bool { return n.Joins })]
			return w.both(ctx, w.draw(dice, join.Kind), join, dice)
		}}
}

// draw picks one that this world allows, and that is not of that kind.
func (w *World) draw(dice *rand.Rand, but string) Nemesis {
	able := slices.DeleteFunc(single(), func(n Nemesis) bool { return n.Forgets || n.Kind == but || w.allows(n) != nil })
	return able[dice.IntN(len(able))]
}

// both looses one nemesis and another amidst its work. What the second then cannot do, such as let a node join where there is no
// majority, it says; the first must do its own.
func (w *World) both(ctx context.Context, first, second Nemesis, dice *rand.Rand) (string, mend, error) {
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
