package glue

import (
	"context"
	"fmt"
	"slices"

	"elektron/internal/fault"
	"elektron/internal/settings"
)

// job is a task to fine-tune on.
type job struct {
	task     *Task
	source   *Source
	also     []*Source // tasks that its model predicts too
	recipe   FinetuneConfig
	isSource bool // other jobs start from its model
}

// plan finds the files of the tasks that are asked for, checks all of them, and puts the tasks in an order in which those
// that others start from come first. Tasks that others need are added. notes are what a user should know.
func plan(ctx context.Context, c *Config, hidden int) (jobs []*job, notes []string, err error) {
	tasks, err := ParseTasks(c.Run.Tasks)
	if err != nil {
		return nil, nil, err
	}
	p := planning{config: c, own: slices.DeleteFunc(slices.Clone(tasks), func(t *Task) bool { return t.folder == "" })}
	if p.recipes, err = c.recipes(p.own...); err != nil {
		return nil, nil, err
	}
	var problems settings.Problems
	for _, t := range tasks {
		problems.Add(p.add(ctx, t, hidden))
	}
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(p.jobs, func(a, b *job) int { // sources first
		if a.isSource == b.isSource {
			return 0
		}
		if a.isSource {
			return -1
		}
		return 1
	})
	for _, j := range p.jobs {
		found, err := j.check(ctx)
		problems.Add(err)
		p.notes = append(p.notes, found...)
	}
	return p.jobs, p.notes, problems.Err()
}

// planning is the state of one plan.
type planning struct {
	config  *Config
	own     []*Task
	recipes map[string]FinetuneConfig
	jobs    []*job
	notes   []string
}

// add adds a task's job, and the one whose model it needs.
func (p *planning) add(ctx context.Context, t *Task, hidden int) error {
	if t.Model != "" {
		return p.addPredicted(ctx, t, hidden)
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
	j := &job{task: t, source: source, recipe: p.recipes[t.Name].resolved(t, hidden)}
	p.jobs, p.notes = append(p.jobs, j), append(p.notes, source.Warnings()...)
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
	return p.addStart(ctx, j, hidden)
}

// addPredicted adds the job whose model predicts a task without training data.
func (p *planning) addPredicted(ctx context.Context, t *Task, hidden int) error {
	if _, err := Locate(ctx, p.config.Run.DataDir, t); err != nil {
		return err
	}
	if p.find(t.Model) == nil {
		p.notes = append(p.notes, fmt.Sprintf("%s is predicted by the model of %s, which is therefore trained", t.Title, t.Model))
	}
	trained, err := FindTask(t.Model)
	if err != nil {
		return err
	}
	return p.add(ctx, trained, hidden)
}

// addStart adds the job from whose model another one starts.
func (p *planning) addStart(ctx context.Context, j *job, hidden int) error {
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
	if err := p.add(ctx, start, hidden); err != nil {
		return err
	}
	p.find(start.Name).isSource = true
	p.notes = append(p.notes, fmt.Sprintf("%s started from the best model of %s by its dev score: do not compare with models that started from pre-training alone", j.task.Title, start.Title))
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
func (j *job) check(ctx context.Context) (notes []string, err error) {
	for _, source := range append([]*Source{j.source}, j.also...) {
		for _, role := range []Role{Train, Dev, Test} {
			for _, split := range source.Splits(role) {
				e, err := source.Read(ctx, split)
				if err != nil {
					return notes, err
				}
				notes = append(notes, e.Warnings()...)
			}
		}
	}
	return notes, nil
}
