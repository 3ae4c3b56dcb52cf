// The loaders that registry.cc lists, one file each.
#ifndef TRUEVEC_MODELS_ARCHITECTURES_H_
#define TRUEVEC_MODELS_ARCHITECTURES_H_

#include "models/model.h"

namespace truevec {

Result<LoadedModel> LoadAlbert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadDebertaV2(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadDistilBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadElectra(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadEuroBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadGemma(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadGemma2(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadGemma3(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadGte(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadJinaV3(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadLlama(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadLlamaBidirectional(ConfigReader& config, const WeightScope& weights,
                                           const ModelOptions& options);
Result<LoadedModel> LoadMistral(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadModernBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadMpnet(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadNomicBert(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadPhi3(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadQwen2(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadQwen3(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadRoberta(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
Result<LoadedModel> LoadT5(ConfigReader& config, const WeightScope& weights, const ModelOptions& options);
// XLM-RoBERTa with the tensor names of Jina AI's flash implementation, which LoadJinaV3 reads.
bool IsFlashRoberta(const WeightScope& weights);

}  // namespace truevec

#endif  // TRUEVEC_MODELS_ARCHITECTURES_H_
