package model

// Names follow Hugging Face's ElectraForPreTraining and ElectraForMaskedLM, so that import, export,
// weight decay, layer-wise rates and checkpoints all speak of the same things. Shared weights are kept under
// the discriminator's name. Names of embeddings and layers go behind a prefix.
const (
	discriminatorPrefix = "discriminator.electra."
	generatorPrefix     = "generator.electra."

	nameWord       = "embeddings.word_embeddings"
	namePosition   = "embeddings.position_embeddings"
	nameTokenType  = "embeddings.token_type_embeddings"
	nameEmbedNorm  = "embeddings.LayerNorm"
	tableSuffix    = ".weight"
	residualSuffix = ".residual" // gradient-disentangled sharing: what is added to the generator's table
	nameProjection = "embeddings_project"
	nameEncoder    = "encoder"

	nameDiscriminatorDense = "discriminator.discriminator_predictions.dense"
	nameDiscriminatorOut   = "discriminator.discriminator_predictions.dense_prediction"
	nameGeneratorDense     = "generator.generator_predictions.dense"
	nameGeneratorNorm      = "generator.generator_predictions.LayerNorm"
	nameGeneratorBias      = "generator.generator_lm_head.bias"
)
