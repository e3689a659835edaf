package chaos

import (
	"context"
	"os"
	"os/exec"
	"time"
)

// close ends and removes everything that the world made, whatever its state.
func (w *World) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	w.gate.open()
	if w.watch != nil {
		w.watch.close()
	}
	if w.fake != nil {
		w.fake.Close()
	}
	if w.api != nil {
		_ = w.api.Close()
	}
	for _, witness := range w.witness {
		witness.Close()
	}
	if w.redis != nil {
		_ = w.redis.Close()
	}
	if w.project != nil {
		if err := w.project.Down(ctx); err != nil {
			w.t.Errorf("remove the project: %v", err)
		}
		for _, tag := range []string{w.image(), w.nextImage()} {
			if err := w.engine.RemoveImage(ctx, tag); err != nil {
				w.t.Errorf("remove an image: %v", err)
			}
		}
	}
	for _, dir := range w.mounted {
		if out, err := exec.CommandContext(ctx, "umount", dir).CombinedOutput(); err != nil {
			w.t.Errorf("unmount %s: %v: %s", dir, err, out)
		}
	}
	if w.data != "" {
		if err := os.RemoveAll(w.data); err != nil {
			w.t.Errorf("remove the data: %v", err)
		}
	}
}
