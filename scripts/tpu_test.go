package scripts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// cloud is one test's Google Cloud: see tpu_cloud_test.go.
type cloud struct {
	t      *testing.T
	folder string
	env    []string

	shebang string
}

// newCloud has one TPU of as many workers, or none yet where workers is 0.
func newCloud(t *testing.T, workers string) *cloud {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the workers' part runs on Linux only")
	}
	for _, program := range []string{"awk", "sed", "setsid", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed, which the scripts need", program)
		}
	}
	c := &cloud{t: t, folder: t.TempDir()}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	c.shebang = "#!" + bash + "\n" // not by way of env, which searches all of PATH each time
	for name, text := range fakes {
		c.write(name, text)
	}
	c.write("queued", "ACTIVE\n")
	c.write("node", "READY\n")
	for _, folder := range []string{"units", "bucket/bkt/run"} {
		c.mkdir(folder)
	}
	for worker := range strings.FieldsSeq(workers) {
		c.mkdir("vm-" + worker)
	}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ELEKTRON_TPU_") {
			c.env = append(c.env, variable)
		}
	}
	c.env = append(c.env, "CLOUD="+c.folder, "WORKERS="+workers, "PATH="+filepath.Join(c.folder, "bin")+":"+os.Getenv("PATH"),
		"XDG_CACHE_HOME="+filepath.Join(c.folder, "cache"), "ELEKTRON_TPU_ZONE=z", "ELEKTRON_TPU_BINARY="+filepath.Join(c.folder, "elektron"),
		"ELEKTRON_TPU_BUCKET=gs://bkt/run", "ELEKTRON_TPU_COPY_EVERY=5")
	t.Cleanup(func() { // ends the jobs that a test leaves
		command := exec.Command(filepath.Join(c.folder, "bin/gcloud"), "compute", "tpus", "tpu-vm", "delete")
		command.Env = c.env
		command.Run()
	})
	return c
}

func (c *cloud) mkdir(name string) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Join(c.folder, name), 0o755); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) write(name, text string) {
	c.t.Helper()
	c.mkdir(filepath.Dir(name))
	text = strings.Replace(text, "#!/usr/bin/env bash\n", c.shebang, 1)
	if err := os.WriteFile(filepath.Join(c.folder, name), []byte(text), 0o755); err != nil {
		c.t.Fatal(err)
	}
}

// lines of a file of the cloud that hold a text.
func (c *cloud) lines(name, with string) []string {
	text, _ := os.ReadFile(filepath.Join(c.folder, name))
	var found []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, with) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// run runs a script and returns all it says, and its exit code.
func (c *cloud) run(script string, args ...string) (said string, code int) {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), "bash", append([]string{script}, args...)...)
	command.Env = c.env
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

// starts are the checkpoints that elektron's runs began with.
func (c *cloud) starts() string {
	var from []string
	for _, line := range c.lines("runs", "") {
		from = append(from, strings.TrimLeft(strings.TrimPrefix(strings.Fields(line)[0], "step-"), "0"))
	}
	return strings.Join(from, " ")
}

func TestTPUBabysit(t *testing.T) {
	cases := []struct {
		name, plan string
		set        func(*cloud)
		args       []string
		code       int
		starts     string // checkpoints that the runs began with
		creates    int
		deletes    int
		says       string
		left       string // newest checkpoint in the bucket
		pauses     string // of the attempts
	}{
		{name: "done", plan: "step=100 exit=0", starts: "fresh", creates: 1, says: "done: the run is in gs://bkt/run", left: "step-00000100"},
		{name: "stopped and saved", plan: "step=100 exit=75\nstep=200 exit=0", starts: "fresh 100", creates: 1, left: "step-00000200", pauses: "30"},
		{name: "device lost", plan: "step=100 exit=71\nstep=200 exit=0", starts: "fresh 100", creates: 1, left: "step-00000200", pauses: "30"},
		{name: "preempted", plan: "step=100 copied preempt\nstep=200 exit=0", starts: "fresh 100", creates: 2, deletes: 1, says: "the TPU is PREEMPTED", left: "step-00000200"},
		{name: "virtual machine restarted", plan: "step=100 copied reboot\nstep=200 exit=0", starts: "fresh 100", creates: 1, says: "lost at step 100", left: "step-00000200"},
		{name: "usage", plan: "exit=2\nexit=0", code: 2, starts: "fresh", creates: 1, says: "a wrong flag"},
		{name: "data", plan: "exit=65\nexit=0", code: 65, starts: "fresh", creates: 1, says: "vocabulary or checkpoint"},
		{name: "own fault", plan: "exit=70\nexit=0", code: 70, starts: "fresh", creates: 1, says: "report it"},
		{name: "memory", plan: "exit=72\nexit=0", code: 72, starts: "fresh", creates: 1, says: "--batch-size"},
		{name: "diverged", plan: "step=100 exit=76\nexit=0", code: 76, starts: "fresh", creates: 1, says: "optim.lr", left: "step-00000100"},
		{name: "killed", plan: "exit=137\nexit=0", code: 137, starts: "fresh", creates: 1, says: "want of memory"},
		{name: "no progress", plan: strings.Repeat("exit=75\n", 9), args: []string{"--attempts", "3", "--back-off", "700"}, code: 75, starts: "fresh fresh fresh fresh", creates: 1,
			says: "3 attempts since step 0 brought no new checkpoint", pauses: "700 1400 1800"},
		{name: "progress begins the count anew", plan: "step=1 exit=75\nstep=2 exit=71\nstep=3 exit=0", args: []string{"--attempts", "1", "--back-off", "7"},
			starts: "fresh 1 2", creates: 1, pauses: "7 7", left: "step-00000003"},
		{name: "deleted by hand", plan: "step=100 vanish", code: 71, starts: "fresh", creates: 1, says: "deleted by somebody else"},
		{name: "deletes at the end", plan: "step=100 exit=0", args: []string{"--delete"}, starts: "fresh", creates: 1, deletes: 1, says: "elektron is deleted", left: "step-00000100"},
		{name: "keeps what is not saved", plan: "break step=100 exit=76", args: []string{"--delete"}, code: 76, starts: "fresh", creates: 1, says: "on the VM only"},
		{name: "done but not saved", plan: "break step=100 exit=0", args: []string{"--delete"}, code: 69, starts: "fresh", creates: 1, says: "service account"},
		{name: "request fails once", plan: "exit=0", set: func(c *cloud) { c.write("created-1", "ACCEPTED\nFAILED\n") }, starts: "fresh", creates: 2, deletes: 1, says: "no quota for this type"},
		{name: "no quota", set: func(c *cloud) { c.write("refuse", "") }, args: []string{"--attempts", "2"}, code: 71, creates: 3, says: "no TPU could be had"},
		{name: "closed bucket", set: func(c *cloud) { c.write("bucket-unreadable", "") }, code: 69, says: "cannot be read from here"},
		{name: "no ssh", set: func(c *cloud) { c.write("no-ssh", "") }, args: []string{"--attempts", "1"}, code: 71, creates: 1, says: "check the firewall"},
		{name: "binary too new", set: func(c *cloud) { c.write("no-glibc", "") }, args: []string{"--attempts", "1"}, code: 71, creates: 1, says: "build it on an older Linux"},
		{name: "goes on from the bucket", plan: "step=300 exit=0", set: func(c *cloud) {
			c.write("bucket/bkt/run/checkpoints/step-00000200/manifest.json", "{}")
			c.write("bucket/bkt/run/logs/log-1", "old")
		}, starts: "200", creates: 1, left: "step-00000300"},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, "0")
			c.write("queued", "ABSENT\n")
			c.write("node", "ABSENT\n")
			c.write("plan", test.plan+"\n")
			if test.set != nil {
				test.set(c)
			}
			said, code := c.run("tpu_babysit.sh", append(test.args, "--", "--preset", "small", "--set", "run.name=a b")...)
			creates, deletes := len(c.lines("calls", "queued-resources create")), len(c.lines("calls", "queued-resources delete"))
			if code != test.code || creates != test.creates || deletes != test.deletes || c.starts() != test.starts || !strings.Contains(said, test.says) {
				t.Errorf("exit code %d, %d created, %d deleted, began with %q; want %+v; said\n%s", code, creates, deletes, c.starts(), test, said)
			}
			if left, _ := filepath.Glob(filepath.Join(c.folder, "bucket/bkt/run/checkpoints/*")); test.left != "" && (len(left) == 0 || filepath.Base(left[len(left)-1]) != test.left) {
				t.Errorf("in the bucket: %v, want %s", left, test.left)
			}
			if got := strings.Join(pauses(said), " "); test.pauses != "" && got != test.pauses {
				t.Errorf("pauses %s, want %s", got, test.pauses)
			}
			for _, run := range c.lines("runs", "") {
				if !strings.HasSuffix(run, "--preset small --set run.name=a b --platform=tpu --out=~/elektron/jobs/train/run") {
					t.Errorf("elektron was run with %s", run)
				}
			}
		})
	}
}

// pauses are the seconds that babysit said it would wait.
func pauses(said string) []string {
	var found []string
	for line := range strings.Lines(said) {
		if _, rest, ok := strings.Cut(line, "going on in "); ok {
			found = append(found, strings.Fields(rest)[0])
		}
	}
	return found
}

func TestTPUBabysitTakesUpAJob(t *testing.T) {
	c := newCloud(t, "0")
	c.write("plan", "step=5 copied exit=0\n")
	if said, code := c.run("tpu_run.sh", "--detach", "--", "--steps", "5"); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	said, code := c.run("tpu_babysit.sh", "--", "--steps", "5")
	taken := strings.Contains(said, "taking up the job that runs already")
	if code != 0 || !taken && len(c.lines("runs", "")) != 2 || taken && len(c.lines("runs", "")) != 1 {
		t.Errorf("exit code %d, %d runs: %s", code, len(c.lines("runs", "")), said)
	}
}

func TestTPUCreate(t *testing.T) {
	cases := []struct {
		name, queued, node, created string
		args                        []string
		code, creates               int
		says                        string
	}{
		{name: "waits", queued: "ABSENT", node: "READY", created: "ACCEPTED\nWAITING_FOR_RESOURCES\nPROVISIONING\nACTIVE", creates: 1, says: "WAITING_FOR_RESOURCES for 0 min: there is no free TPU"},
		{name: "goes on waiting", queued: "WAITING_FOR_RESOURCES\nACTIVE", node: "CREATING\nREADY", says: "was asked for already"},
		{name: "is there", queued: "ACTIVE", node: "READY", says: "is there already"},
		{name: "not yet listed", queued: "ABSENT", node: "READY", created: "ABSENT\nABSENT\nACTIVE", creates: 1, says: "is ready"},
		{name: "vanishes", queued: "ABSENT", node: "READY", created: "ABSENT", creates: 1, code: 71, says: "somebody deleted it"},
		{name: "failed before", queued: "FAILED", node: "ABSENT", code: 71, says: "the request is FAILED"},
		{name: "fails", queued: "ABSENT", node: "ABSENT", created: "ACCEPTED\nFAILED", code: 71, creates: 1, says: "no quota for this type"},
		{name: "suspended", queued: "SUSPENDED", node: "ABSENT", code: 71, says: "the TPU is SUSPENDED: it was preempted, stopped or deleted, and does not come back. Run tpu_delete.sh"},
		{name: "preempted", queued: "ACTIVE", node: "PREEMPTED", code: 71, says: "the TPU is PREEMPTED"},
		{name: "gcloud fails", queued: "BROKEN", node: "BROKEN", code: 69, says: "ERROR: no connection"},
		{name: "gcloud fails for a while", queued: "WAITING_FOR_RESOURCES\nBROKEN\nBROKEN\nACTIVE", node: "READY", says: "unknown, gcloud failed"},
		{name: "gcloud fails for long", queued: "ACCEPTED\nBROKEN", node: "READY", code: 69, says: "ten times in a row"},
		{name: "unknown type", queued: "ABSENT", node: "ABSENT", args: []string{"--type", "v9-8"}, code: 2, says: "name one with --runtime"},
		{name: "bad name", queued: "ABSENT", node: "ABSENT", args: []string{"--name=My TPU"}, code: 2, says: "--name My TPU: use small letters"},
	}
	for _, test := range cases {
		c := newCloud(t, "0")
		c.write("queued", test.queued+"\n")
		c.write("node", test.node+"\n")
		c.write("created-1", test.created+"\n")
		said, code := c.run("tpu_create.sh", test.args...)
		if creates := len(c.lines("calls", "queued-resources create")); code != test.code || creates != test.creates || !strings.Contains(said, test.says) {
			t.Errorf("%s: exit code %d, %d created, want %+v; said\n%s", test.name, code, creates, test, said)
		}
	}
}

// TestTPURequest: what is asked of gcloud, from flags and from the environment.
func TestTPURequest(t *testing.T) {
	const create = "compute tpus queued-resources create "
	cases := []struct {
		env  []string
		args []string
		want string
	}{
		{nil, nil, "elektron --zone=z --quiet --node-id=elektron --accelerator-type=v5litepod-4 --runtime-version=v2-alpha-tpuv5-lite --async"},
		{nil, []string{"--name", "amber", "--project=p", "--type=v6e-8", "--spot", "--zone=y", "--create-flag", "--valid-until-duration=6h", "--create-flag=--network=n"},
			"amber --zone=y --quiet --project=p --node-id=amber --accelerator-type=v6e-8 --runtime-version=v2-alpha-tpuv6e --spot --async --valid-until-duration=6h --network=n"},
		{[]string{"ELEKTRON_TPU_NAME=sea", "ELEKTRON_TPU_TYPE=v3-8", "ELEKTRON_TPU_SPOT=yes", "ELEKTRON_TPU_CREATE_FLAG=--network=n --tags=a"}, []string{"--type", "v4-8"},
			"sea --zone=z --quiet --node-id=sea --accelerator-type=v4-8 --runtime-version=tpu-ubuntu2204-base --spot --async --network=n --tags=a"},
		{nil, []string{"--type", "v5p-8", "--runtime", "mine"}, "elektron --zone=z --quiet --node-id=elektron --accelerator-type=v5p-8 --runtime-version=mine --async"},
	}
	for _, test := range cases {
		c := newCloud(t, "0")
		c.write("queued", "ABSENT\n")
		c.env = append(c.env, test.env...)
		said, code := c.run("tpu_create.sh", test.args...)
		if calls := c.lines("calls", create); code != 0 || len(calls) != 1 || calls[0] != create+test.want {
			t.Errorf("%v %v: exit code %d, called %q; said %s", test.env, test.args, code, calls, said)
		}
	}
}

func TestTPUDelete(t *testing.T) {
	cases := []struct {
		name, queued, node string
		refuse             bool
		code               int
		deletes            string // the calls' groups
		says               string
	}{
		{name: "there", queued: "ACTIVE", node: "READY", deletes: "queued-resources", says: "is deleted"},
		{name: "in the queue", queued: "WAITING_FOR_RESOURCES", node: "ABSENT", deletes: "queued-resources", says: "is deleted"},
		{name: "suspended", queued: "SUSPENDED", node: "ABSENT", deletes: "queued-resources", says: "is deleted"},
		{name: "without a queued resource", queued: "ABSENT", node: "READY", deletes: "tpu-vm", says: "is deleted"},
		{name: "gone", queued: "ABSENT", node: "ABSENT", says: "there is no elektron in z"},
		{name: "refused once", queued: "SUSPENDING", node: "DELETING", refuse: true, deletes: "queued-resources queued-resources", says: "is deleted"},
		{name: "being deleted", queued: "DELETING\nDELETING\nABSENT", node: "DELETING\nABSENT", says: "is deleted"},
		{name: "gcloud fails", queued: "BROKEN", node: "BROKEN", code: 69, deletes: strings.TrimSpace(strings.Repeat("queued-resources ", 20)), says: "It may still cost money"},
	}
	for _, test := range cases {
		c := newCloud(t, "0")
		c.write("queued", test.queued+"\n")
		c.write("node", test.node+"\n")
		if test.refuse {
			c.write("refuse", "")
		}
		if test.code != 0 { // a fake that does not delete
			c.write("bin/gcloud", strings.Replace(fakeGcloud, "    remove\n", "    exit 1\n", 1))
		}
		said, code := c.run("tpu_delete.sh")
		var deletes []string
		for _, call := range c.lines("calls", " delete ") {
			deletes = append(deletes, strings.Fields(call)[2])
		}
		if code != test.code || strings.Join(deletes, " ") != test.deletes || !strings.Contains(said, test.says) {
			t.Errorf("%s: exit code %d, deleted %v, want %+v; said\n%s", test.name, code, deletes, test, said)
		}
		c.write("bin/gcloud", fakeGcloud)
	}
}

func TestTPURun(t *testing.T) {
	cases := []struct {
		name, workers, plan string
		args                []string
		code                int
		runs                int
		says                string
	}{
		{name: "done", workers: "0", plan: "step=3 exit=0", runs: 1, says: "training\n"},
		{name: "elektron's exit code", workers: "0", plan: "exit=65", code: 65, runs: 1, says: "exited=65 copy=done step=0"},
		{name: "without a bucket", workers: "0", plan: "exit=76", args: []string{"--bucket="}, code: 76, runs: 1, says: "the results are lost with the VM"},
		{name: "two workers", workers: "0 1", plan: "step=3 exit=0", runs: 2, says: "worker=1 exited=0 copy=none step=3"},
		{name: "one of two fails", workers: "0 1", plan: "wait\nexit=72", code: 72, runs: 2, says: "the others cannot go on without it"},
		{name: "plugin by the VM", workers: "0", plan: "exit=0", args: []string{"--plugin=install"}, runs: 1, says: "training\n"},
		{name: "preempted", workers: "0", plan: "preempt", code: 71, runs: 1, says: "the TPU is PREEMPTED"},
		{name: "restarted", workers: "0", plan: "reboot", code: 71, runs: 1, says: "the VM was restarted"},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, test.workers)
			if test.name == "one of two fails" { // the first worker waits for a signal, the second one fails
				c.write("elektron", strings.Replace(fakeElektron, "read -ra plan < <(head -n 1", "read -ra plan < <(tail -n +$((WORKER + 1))", 1))
			}
			c.write("plan", test.plan+"\n")
			if test.name == "preempted" { // the connection breaks with the TPU
				c.write("elektron", strings.Replace(fakeElektron, "echo PREEMPTED", `touch "$CLOUD/no-ssh" && echo PREEMPTED`, 1))
			}
			said, code := c.run("tpu_run.sh", append(test.args, "--", "--steps", "3")...)
			if runs := len(c.lines("runs", "")); code != test.code || runs != test.runs || !strings.Contains(said, test.says) {
				t.Errorf("exit code %d, %d runs, want %+v; said\n%s", code, runs, test, said)
			}
		})
	}
}

// TestTPUJob follows one job through the flags of tpu_run.sh: what is copied is copied once, and what elektron deletes
// here is deleted in the bucket, hidden files stay here.
func TestTPUJob(t *testing.T) {
	c := newCloud(t, "0")
	c.write("bucket/bkt/run/checkpoints/step-00000001/manifest.json", "{}")
	c.write("plan", "step=2 copied step=3 forget=1 copied wait\nexit=0\n")
	start := func(want int, says string) {
		t.Helper()
		said, code := c.run("tpu_run.sh", "--detach", "--", "--steps", "3")
		if code != want || !strings.Contains(said, says) {
			t.Fatalf("exit code %d, want %d: %s", code, want, said)
		}
	}
	start(0, "elektron-job train worker=0 started")
	if copies := len(c.lines("calls", "tpu-vm scp")); copies != 3 {
		t.Errorf("%d files copied, want 3", copies)
	}
	start(73, "runs already")
	if said, code := c.run("tpu_run.sh", "--status"); code != 0 || !strings.Contains(said, "elektron-job train worker=0 running step=") {
		t.Errorf("status, exit code %d: %s", code, said)
	}
	for len(c.lines("bucket/bkt/run/checkpoints/step-00000003/manifest.json", "")) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	if said, code := c.run("tpu_run.sh", "--stop"); code != 0 || !strings.Contains(said, "exited=75 copy=done step=999") {
		t.Errorf("stop, exit code %d: %s", code, said)
	}
	var left []string
	for _, pattern := range []string{"checkpoints/*", "checkpoints/.*", "metrics.jsonl"} {
		found, _ := filepath.Glob(filepath.Join(c.folder, "bucket/bkt/run", pattern))
		for _, name := range found {
			left = append(left, filepath.Base(name))
		}
	}
	if got, want := strings.Join(left, " "), "step-00000002 step-00000003 step-00000999 metrics.jsonl"; got != want {
		t.Errorf("in the bucket: %s, want %s", got, want)
	}
	c.write("bucket/bkt/run/checkpoints/step-00002000/manifest.json", "{}") // another TPU has gone on with the run
	start(0, "elektron/elektron is there")
	if copies := len(c.lines("calls", "tpu-vm scp")); copies != 3 {
		t.Errorf("%d files copied in all, want 3", copies)
	}
	if said, code := c.run("tpu_run.sh", "--attach"); code != 0 || !strings.Contains(said, "training") || c.starts() != "1 2000" {
		t.Errorf("attach, exit code %d, began with %s: %s", code, c.starts(), said)
	}
	if said, code := c.run("tpu_run.sh", "--attach", "--job", "other"); code != 2 || !strings.Contains(said, "there is no job other") {
		t.Errorf("another job, exit code %d: %s", code, said)
	}
}

// TestTPUVerdict: what the states of several workers come to.
func TestTPUVerdict(t *testing.T) {
	c := newCloud(t, "0")
	for states, want := range map[string]string{
		"running running": "running", "running exited=0": "running", "running exited=71": "split", "running lost": "split", "exited=0 exited=0": "exited=0",
		"exited=75 exited=71": "exited=71", "exited=71 exited=65": "exited=65", "exited=137 exited=75": "exited=75", "exited=0 exited=139": "exited=139",
		"exited=0 exited=75": "exited=75", "lost exited=0": "lost", "lost exited=71": "exited=71", "lost lost": "lost", "absent absent": "absent", "absent running": "running",
	} {
		var lines strings.Builder
		for state := range strings.FieldsSeq(states) {
			lines.WriteString("elektron-job train worker=0 " + state + " copy=none step=0\n")
		}
		said, code := c.run("-c", `. ./tpu_lib.sh && verdict <<<"$1"`, "test", strings.TrimSpace(lines.String()))
		if code != 0 || strings.TrimSpace(said) != want {
			t.Errorf("%s: %s, want %s", states, said, want)
		}
	}
}

func TestTPURefusals(t *testing.T) {
	cases := []struct {
		script string
		args   string
		code   int
		says   string
	}{
		{"tpu_run.sh", "", 2, "say after -- what elektron is to do"},
		{"tpu_run.sh", "--preset small", 2, "unknown flag --preset"},
		{"tpu_run.sh", "small", 2, "unexpected argument small"},
		{"tpu_run.sh", "-- --out gs://bkt/run", 2, "leave out --out"},
		{"tpu_run.sh", "-- --out=run", 2, "leave out --out=run"},
		{"tpu_run.sh", "--bucket runs -- x", 2, "give a folder in a bucket"},
		{"tpu_run.sh", "--bucket gs://bkt -- x", 2, "give a folder in a bucket"},
		{"tpu_run.sh", "--copy-every 1m -- x", 2, "give a whole number"},
		{"tpu_run.sh", "--job a/b -- x", 2, "--job a/b"},
		{"tpu_run.sh", "--binary absent -- x", 2, "no such program"},
		{"tpu_run.sh", "--plugin absent.so -- x", 2, "absent.so: there is no such file"},
		{"tpu_run.sh", "--detach=yes -- x", 2, "takes no value"},
		{"tpu_run.sh", "--job", 2, "--job needs a value"},
		{"tpu_run.sh", "--zone= -- x", 2, "--zone is missing"},
		{"tpu_babysit.sh", "--bucket= -- x", 2, "--bucket is missing"},
		{"tpu_babysit.sh", "", 2, "say after --"},
		{"tpu_babysit.sh", "-- --resume never", 2, "leave out --resume never"},
		{"tpu_babysit.sh", "--attempts many -- x", 2, "give a whole number"},
		{"tpu_create.sh", "-- --network=n", 2, "--create-flag"},
		{"tpu_delete.sh", "--force", 2, "unknown flag --force"},
	}
	for _, test := range cases {
		c := newCloud(t, "0")
		said, code := c.run(test.script, strings.Fields(test.args)...)
		if calls := c.lines("calls", " create "); code != test.code || !strings.Contains(said, test.says) || len(calls) > 0 {
			t.Errorf("%s %s: exit code %d, called %v, said %s", test.script, test.args, code, calls, said)
		}
	}
}

// TestTPUDryRun: nothing is called, and what would be is printed as a shell reads it.
func TestTPUDryRun(t *testing.T) {
	cases := []struct {
		script string
		want   []string
	}{
		{"tpu_create.sh", []string{"queued-resources create elektron --zone=z", "tpu-vm describe elektron"}},
		{"tpu_run.sh", []string{"go build -C", "platform install tpu", "tpu-vm scp", "start train --copy-every 5 --bucket gs://bkt/run -- --preset small", "follow train", "status train'"}},
		{"tpu_babysit.sh", []string{"queued-resources create elektron", "tpu-vm ssh elektron", "storage ls", "queued-resources delete elektron --zone=z --quiet --force"}},
		{"tpu_delete.sh", []string{"queued-resources delete elektron --zone=z --quiet --force", "tpu-vm delete elektron"}},
	}
	for _, test := range cases {
		c := newCloud(t, "0")
		c.env = append(c.env, "ELEKTRON_TPU_BINARY=")
		args := []string{"--dry-run"}
		if test.script == "tpu_run.sh" || test.script == "tpu_babysit.sh" {
			args = append(args, "--", "--preset", "small")
		}
		said, code := c.run(test.script, args...)
		for _, want := range test.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s does not print %q: %s", test.script, want, said)
			}
		}
		if code != 0 || len(c.lines("calls", "")) > 0 || len(c.lines("sleeps", "")) > 0 {
			t.Errorf("%s: exit code %d, called %v", test.script, code, c.lines("calls", ""))
		}
	}
}

// TestTPUHelp: every script of the TPU's names its flags.
func TestTPUHelp(t *testing.T) {
	for script, flag := range map[string]string{"tpu_create.sh": "--spot", "tpu_run.sh": "--attach", "tpu_babysit.sh": "--back-off", "tpu_delete.sh": "--poll"} {
		c := newCloud(t, "0")
		if said, code := c.run(script, "--help"); code != 0 || !strings.Contains(said, flag) || !strings.Contains(said, "--dry-run") || !strings.Contains(said, "Exit codes") {
			t.Errorf("%s --help: exit code %d: %s", script, code, said)
		}
	}
}

// TestShellcheck holds all scripts to shellcheck.
func TestShellcheck(t *testing.T) {
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not installed")
	}
	found, err := filepath.Glob("*.sh")
	if err != nil || len(found) < 8 {
		t.Fatalf("%v: only %v found", err, found)
	}
	if out, err := exec.CommandContext(t.Context(), shellcheck, append(found, "../.ci/run")...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
