// Layers of JinaBERT v2 (Günther et al. 2023, arXiv 2310.19923): BERT with ALiBi (Press et al. 2021, arXiv 2108.12409)
// in both directions instead of position embeddings, and gated feed-forward; and its "qk-post-norm" variant
// (jina-embeddings-v2-base-code). Both are published as model_type "bert" with position_embedding_type "alibi".
// Reference: jinaai/jina-bert-implementation and jinaai/jina-bert-v2-qk-post-norm, modeling_bert.py.
#ifndef TRUEVEC_MODELS_JINA_BERT_H_
#define TRUEVEC_MODELS_JINA_BERT_H_

#include "models/post_norm_encoder.h"

namespace truevec {

enum class JinaFeedForward { kOriginal, kReglu, kGeglu };

// feed_forward_type and the keys that change no vector.
Result<JinaFeedForward> ReadJinaFeedForward(ConfigReader& config);
// Layer `w` ("encoder.layer.3"); the variant shows in the tensors. `bert` names the tensors that are BERT's.
Result<PostNormLayer> LoadJinaLayer(const PostNormConfig& c, JinaFeedForward kind, const PostNormNames& bert,
                                    const WeightScope& w, ComputeType type);
// 2^(-8 k / n) for k = 1..n, and the paper's interpolation for head counts that are no power of two.
std::vector<float> AlibiSlopes(int64_t heads);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_JINA_BERT_H_
