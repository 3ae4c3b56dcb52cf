// The steps of ResolveModelSpec that live in files of their own.
#ifndef TRUEVEC_SPEC_RESOLVE_H_
#define TRUEVEC_SPEC_RESOLVE_H_

#include "spec/model_directory.h"
#include "spec/model_spec.h"

namespace truevec {

// modules.json, or the entries of a Router's config, into `spec.modules`; what is wrong becomes refusals.
void ReadModules(const ModelDirectory& directory, const JsonRef& modules_json, ModelSpec* spec);
// The modules that the class of `spec->as` builds on a plain transformers directory (sections 1.6 of the reference's
// loaders: _load_default_modules).
void DefaultModules(const ModelDirectory& directory, const JsonRef& config, ModelSpec* spec);
// config_sentence_transformers.json: prompts, similarity, truncate_dim, activation_fn.
void ReadSentenceTransformersConfig(const JsonRef& config, ModelSpec* spec);
// What PyLate (3 and older) and Stanford ColBERT keep outside the modules' own configs.
struct LegacyMultiVector {
  json::object transformer;             // query_length, document_length, query_expansion: defaults of Transformer
  std::vector<std::string> prefixes;    // "[Q] ", "[D] "
  std::optional<json::array> skiplist;  // unset: the caller's default
};
// Reads config_sentence_transformers.json's keys; prefixes go in front of the prompts.
LegacyMultiVector ReadLegacyMultiVector(const JsonRef& config, ModelSpec* spec);
// Fills the Transformers' configs and the marker tokens; `append_mask` adds MultiVectorMask and Normalize (PyLate 3).
void ApplyLegacyMultiVector(const LegacyMultiVector& legacy, bool append_mask, ModelSpec* spec);
// The modules of a dense model as MultiVectorEncoder loads them: no pooling, projections on tokens.
void ConvertToMultiVector(const LegacyMultiVector& legacy, ModelSpec* spec);
// A Stanford ColBERT checkpoint (HF_ColBERT): projection among the backbone's weights, artifact.metadata.
void StanfordColbert(const ModelDirectory& directory, ModelSpec* spec);
// `--override` of pooling, include_prompt, normalize, dense, prompts, default_prompt_name, truncate_dim, similarity:
// rewrites the modules, so that everything after follows one description.
void ApplyOverrides(const SpecOptions& options, ModelSpec* spec);
// Records pooling, normalize, dense, prompts, ... in spec->settings with their sources.
void RecordModuleSettings(ModelSpec* spec);

// A module that no file describes: its config is `config`, its source the reference's default.
ModuleSpec SyntheticModule(std::string type, json::object config);

}  // namespace truevec

#endif  // TRUEVEC_SPEC_RESOLVE_H_
