package glue

// comparedTasks are the columns of published tables, all but WNLI, with the metric that the official README reports.
// MNLI is the matched dev set.
var comparedTasks = []struct {
	task, title string
	metric      Metric
}{
	{"cola", "CoLA", Matthews}, {"sst2", "SST-2", Accuracy}, {"mrpc", "MRPC", Accuracy}, {"stsb", "STS-B", Spearman},
	{"qqp", "QQP", Accuracy}, {"mnli", "MNLI-m", Accuracy}, {"qnli", "QNLI", Accuracy}, {"rte", "RTE", Accuracy},
}

// published is a row of results that others measured on the dev sets, in percent.
type published struct {
	model    string
	scores   []float64 // in the order of comparedTasks; none if only the average is known
	average  float64   // of all eight tasks, as published or, of the scores, computed
	protocol string    // which of several runs it is
	source   string
}

const (
	officialReadme = "github.com/google-research/electra, README"
	paper          = "Clark et al. 2020, arXiv 2003.10555"
	lmtuners       = "github.com/shoarora/lmtuners, experiments/disc_lm_small"
	junnyu         = "model cards of junnyu on the Hugging Face hub"
)

// publishedRows are results to compare with. MRPC, QQP and STS-B are measured as above in the official rows; the
// sources of the other rows do not all say which metric they mean.
var publishedRows = []published{
	{"ELECTRA-small, official code on OpenWebText, 1M steps", []float64{56.8, 88.3, 87.4, 86.8, 88.3, 78.9, 87.9, 68.5}, 80.36, "median of many fine-tuning seeds", officialReadme},
	{"ELECTRA-small++, released (XLNet's data, 4M steps)", []float64{57.0, 91.2, 88.0, 87.5, 89.0, 81.3, 88.4, 66.7}, 81.14, "median of many fine-tuning seeds", officialReadme},
	{"ELECTRA-base++, released", []float64{67.7, 95.1, 89.5, 91.2, 91.5, 88.8, 93.2, 82.7}, 87.46, "median of many fine-tuning seeds", officialReadme},
	{"ELECTRA-large, released", []float64{69.1, 96.9, 90.8, 92.6, 92.4, 90.9, 95.0, 88.0}, 89.46, "median of many fine-tuning seeds", officialReadme},
	{"electra_pytorch, small on OpenWebText", []float64{58.72, 88.03, 86.04, 86.16, 88.63, 80.40, 87.45, 67.46}, 80.36, "mean of 10", "github.com/richarddwang/electra_pytorch, README"},
	{"junnyu, small on OpenWebText", []float64{55.82, 89.67, 87.0, 86.96, 89.28, 80.08, 87.50, 66.07}, 80.30, "not stated", junnyu},
	{"junnyu, small with rotary positions", []float64{55.76, 90.45, 87.3, 86.64, 89.61, 81.17, 88.85, 62.71}, 80.31, "not stated", junnyu},
	{"rc2020_electra, small on OpenWebText", []float64{53.5, 88.7, 87.6, 85.2, 86.1, 80.2, 87.5, 61.5}, 78.79, "not stated", "github.com/cccwam/rc2020_electra"},
	{"lmtuners ELECTRA-small", []float64{56.3, 88.4, 75.0, 86.1, 89.1, 77.9, 83.0, 67.1}, 77.86, "median of 5; RTE and STS-B from the MNLI model", lmtuners},
	{"lmtuners ALECTRA-small (4M parameters)", []float64{50.6, 89.1, 86.3, 87.2, 89.1, 78.2, 85.9, 69.6}, 79.50, "median of 5; RTE and STS-B from the MNLI model", lmtuners},
	{"ELECTRA-small, paper (Wikipedia and books)", nil, 79.9, "median of 10", paper},
	{"ELECTRA-base, paper (Wikipedia and books)", nil, 85.1, "median of 10", paper},
	{"BERT-small, paper", nil, 75.1, "median of 10", paper},
	{"BERT-base, paper", nil, 82.2, "median of 10", paper},
}
