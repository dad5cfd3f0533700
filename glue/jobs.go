package glue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/model"
)

// job is a task to fine-tune on.
type job struct {
	task     *Task
	source   *Source
	also     []*Source // tasks that its model predicts too
	recipe   FinetuneConfig
	squad    SquadConfig
	isSource bool     // other jobs start from its model
	notes    []string // what a user should know
}

// plan finds the files of the tasks that are asked for, checks all of them, and puts the tasks in an order in which those
// that others start from come first. Tasks that others need are added.
func plan(ctx context.Context, c *Config, encoder *model.Config) ([]*job, error) {
	tasks, err := ParseTasks(c.Run.Tasks)
	if err != nil {
		return nil, err
	}
	p := planning{config: c, encoder: encoder, own: slices.DeleteFunc(slices.Clone(tasks), func(t *Task) bool { return t.folder == "" })}
	if c.Run.DataDir == "" && len(p.own) < len(tasks) {
		return nil, fault.New(fault.Usage, "glue: run.data_dir (--data-dir) is empty; name the folder that holds the tasks' folders; %s", howToGet(""))
	}
	if p.recipes, err = c.recipes(p.own...); err != nil {
		return nil, err
	}
	var problems settings.Problems
	for _, t := range tasks {
		problems.Add(p.add(ctx, t))
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if start := c.Finetune.InitFromTask; start != "" && !slices.ContainsFunc(p.jobs, func(j *job) bool { return j.recipe.InitFromTask != "" }) {
		return nil, fault.New(fault.Usage, "glue: finetune.init_from_task (--init-from-task) is %s, but it is for %s, and none of them is run; for other tasks set it in a --task-config", start, strings.Join(transferTasks, ", "))
	}
	slices.SortStableFunc(p.jobs, func(a, b *job) int { return rank(b) - rank(a) })
	for _, j := range p.jobs {
		problems.Add(j.check(ctx))
	}
	return p.jobs, problems.Err()
}

// rank is higher for jobs that come first.
func rank(j *job) int {
	if j.isSource {
		return 1
	}
	return 0
}

// planning is the state of one plan.
type planning struct {
	config  *Config
	encoder *model.Config
	own     []*Task
	recipes map[string]FinetuneConfig
	jobs    []*job
}

// add adds a task's job, and the one whose model it needs.
func (p *planning) add(ctx context.Context, t *Task) error {
	if t.Model != "" {
		return p.addPredicted(ctx, t)
	}
	if p.find(t.Name) != nil {
		return nil
	}
	source, err := Locate(ctx, p.config.Run.DataDir, t)
	if err == nil {
		err = source.Need(Train, Dev)
	}
	if err != nil {
		return err
	}
	j := &job{task: t, source: source, recipe: p.recipes[t.Name].resolved(t, p.encoder), squad: p.config.Squad, notes: source.Warnings()}
	if longest := j.recipe.MaxSeqLen; longest > p.encoder.MaxPositions {
		return fault.New(fault.Usage, "glue: %s: finetune.max_seq_len (--max-seq-len) is %d, but the model has %d positions", t.Name, longest, p.encoder.MaxPositions)
	}
	if err := j.checkCutting(); err != nil {
		return err
	}
	p.jobs = append(p.jobs, j)
	for _, other := range Tasks() { // those that its model predicts, where they are there
		if other.Model == t.Name {
			if source, err := Locate(ctx, p.config.Run.DataDir, other); err == nil {
				j.also = append(j.also, source)
			}
		}
	}
	if j.recipe.InitFromTask == "" {
		return nil
	}
	return p.addStart(ctx, j)
}

// addPredicted adds the job whose model predicts a task without training data.
func (p *planning) addPredicted(ctx context.Context, t *Task) error {
	if _, err := Locate(ctx, p.config.Run.DataDir, t); err != nil {
		return err
	}
	trained, err := FindTask(t.Model)
	if err != nil {
		return err
	}
	return p.add(ctx, trained)
}

// addStart adds the job from whose model another one starts.
func (p *planning) addStart(ctx context.Context, j *job) error {
	start, err := FindTask(j.recipe.InitFromTask)
	if i := slices.IndexFunc(p.own, func(o *Task) bool { return o.Name == j.recipe.InitFromTask }); i >= 0 {
		start, err = p.own[i], nil
	}
	if err != nil {
		return err
	}
	if start == j.task || start.Model != "" || p.recipes[start.Name].InitFromTask != "" {
		return fault.New(fault.Usage, "glue: %s cannot start from the model of %s: that must be another task, trained from the pre-trained model", j.task.Name, start.Name)
	}
	if err := p.add(ctx, start); err != nil {
		return err
	}
	p.find(start.Name).isSource = true
	j.notes = append(j.notes, fmt.Sprintf("%s started from the best model of %s by its dev score: not to be compared with runs that started from pre-training alone", j.task.Title, start.Title))
	return nil
}

func (p *planning) find(name string) *job {
	for _, j := range p.jobs {
		if j.task.Name == name {
			return j
		}
	}
	return nil
}

// check reads every split once, so that what is wrong shows before anything is trained.
func (j *job) check(ctx context.Context) error {
	for _, source := range append([]*Source{j.source}, j.also...) {
		for _, role := range []Role{Train, Dev, Test} {
			for _, split := range source.Splits(role) {
				warnings, err := source.warningsOf(ctx, split)
				if err != nil {
					return err
				}
				j.notes = append(j.notes, warnings...)
			}
		}
	}
	return nil
}
