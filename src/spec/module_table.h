// The table of modules.json types: class names, the dotted prefixes under which the libraries have saved them, and
// the config files that they read. Reference: sentence_transformers 6.2 util/deprecated_import.py and each module.
#ifndef TRUEVEC_SPEC_MODULE_TABLE_H_
#define TRUEVEC_SPEC_MODULE_TABLE_H_

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace truevec {

struct ModuleType {
  std::string_view name;   // class name as Pipeline knows it
  std::string_view alias;  // an older class name for the same thing, or ""
  // Candidate config files in the reference's order, separated by spaces; the first that exists and is not {} counts.
  std::string_view config_files;
  std::string_view refusal;  // not empty: known and never supported, and why
};

std::span<const ModuleType> ModuleTypes();

// Resolves "sentence_transformers.models.Pooling" and its relatives, old and new, plain and doubled
// ("…models.Pooling.Pooling", "pylate.models.Dense.Dense"). Known remote-code names are mapped; nothing is executed.
// The error says why a type is refused.
Result<const ModuleType*> FindModuleType(std::string_view dotted);

}  // namespace truevec

#endif  // TRUEVEC_SPEC_MODULE_TABLE_H_
