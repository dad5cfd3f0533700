package model

// Names follow Hugging Face's ElectraForPreTraining and ElectraForMaskedLM, so that import, export,
// weight decay, layer-wise rates and checkpoints all speak of the same things. Shared embeddings are kept
// under the discriminator's name.
const (
	discriminatorPrefix = "discriminator.electra."
	generatorPrefix     = "generator.electra."

	nameWord       = "discriminator.electra.embeddings.word_embeddings.weight"
	namePosition   = "discriminator.electra.embeddings.position_embeddings.weight"
	nameTokenType  = "discriminator.electra.embeddings.token_type_embeddings.weight"
	nameEmbedNorm  = "discriminator.electra.embeddings.LayerNorm"
	nameProjection = "embeddings_project"
	nameEncoder    = "encoder"

	nameDiscriminatorDense = "discriminator.discriminator_predictions.dense"
	nameDiscriminatorOut   = "discriminator.discriminator_predictions.dense_prediction"
	nameGeneratorDense     = "generator.generator_predictions.dense"
	nameGeneratorNorm      = "generator.generator_predictions.LayerNorm"
	nameGeneratorBias      = "generator.generator_lm_head.bias"
)
