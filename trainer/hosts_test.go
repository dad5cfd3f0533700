package trainer

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/internal/settings"
)

// playHosts lets runs believe that their devices are shared by several processes, of which they are one. All devices
// are theirs nevertheless, so that what goes through the devices works as it would.
func playHosts(t *testing.T, process, processes int) {
	openDevice = func(ctx context.Context, o device.Options) (*device.Device, error) {
		d, err := device.Open(ctx, o)
		if err == nil {
			d.Process, d.Processes = process, processes
		}
		return d, err
	}
	t.Cleanup(func() { openDevice = device.Open })
}

// TestHosts: a run of which the state is shared, split and put together, and the end voted on, is the run of one host,
// also when it is stopped by a signal and goes on; a process that does not lead leaves nothing.
func TestHosts(t *testing.T) {
	devicetest.Open(t, platform.CPU)
	folder := t.TempDir()
	writeText(t, folder)
	config := func(name string, set ...string) Config {
		c := pulseConfig(folder)
		must.M(settings.New(&c).Set(append([]string{"model.hidden_size=64", "model.embedding_size=64", "model.intermediate_size=64", "run.platform=cpu",
			"run.devices=4", "run.shard_optimizer=true", "run.steps=9", "run.eval_every=0", "run.log_every=1", "run.checkpoint_every=100", "run.programs=" + filepath.Join(folder, "programs"),
			"run.out=" + filepath.Join(folder, name)}, set...)...))
		return c
	}
	whole := config("whole")
	must.M(pretrain(t.Context(), whole))

	playHosts(t, 0, 2)
	leader := config("leader")
	ctx, cancel := context.WithCancel(t.Context())
	stopped := leader
	err := Pretrain(ctx, &stopped, settings.New(&stopped), &trigger{"step 4/", cancel}, io.Discard)
	if cancel(); fault.KindOf(err) != fault.Preempted || !strings.Contains(err.Error(), "after step") || strings.Contains(err.Error(), "step 9 ") {
		t.Fatalf("a signal: %v", err)
	}
	must.M(pretrain(t.Context(), leader))
	sameRun(t, "on two hosts, stopped and resumed", whole.Run.Out, leader.Run.Out)

	playHosts(t, 1, 2)
	follower := config("follower", "run.steps=2")
	must.M(pretrain(t.Context(), follower))
	if exists(follower.Run.Out) {
		t.Errorf("a process that does not lead left %s", follower.Run.Out)
	}
}

// TestAgreeing: a process that was told something else than process 0 is refused, with the number of its device.
func TestAgreeing(t *testing.T) {
	if err := agreeing([][]int32{{1, 2}, {1, 2}, {1, 2}}); err != nil {
		t.Error(err)
	}
	if err := agreeing([][]int32{{1, 2}, {1, 2}, {1, 3}}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "device 2 of 3") {
		t.Errorf("another configuration: %v", err)
	}
}

// TestDigest: what must be the same on all hosts is told apart, what may differ is not.
func TestDigest(t *testing.T) {
	folder := t.TempDir()
	writeText(t, folder)
	digest := func(set ...string) [4]int32 {
		c := pulseConfig(folder)
		must.M(settings.New(&c).Set(set...))
		r := &run{config: c}
		must.M(r.prepare(t.Context(), func(string) {}))
		defer r.close()
		return [4]int32(must.M1(r.digest()))
	}
	want := digest()
	for _, key := range []string{"run.out=elsewhere", "data.cache=" + t.TempDir(), "data.workers=1", "data.paths=" + filepath.Join(folder, "text", "corpus.txt")} {
		if digest(key) != want {
			t.Errorf("%s counts as another run", key)
		}
	}
	for _, key := range []string{"run.seed=2", "optim.lr=0.5", "run.steps=25", "run.checkpoint_every=7", "data.valid_share=0.2", "model.layers=2"} {
		if digest(key) == want {
			t.Errorf("%s counts as the same run", key)
		}
	}
}
