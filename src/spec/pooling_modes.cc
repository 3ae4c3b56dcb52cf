// The pooling modes of a Pooling config. Reference: sentence_transformer/modules/pooling.py
// (_convert_legacy_pooling_kwargs and Pooling.__init__).
#include <algorithm>
#include <array>

#include "spec/model_spec.h"

namespace truevec {
namespace {

struct LegacyMode {
  std::string_view key;
  std::string_view mode;
};
// In the order in which several true booleans concatenate.
constexpr std::array<LegacyMode, 6> kLegacy = {{
    {"pooling_mode_cls_token", "cls"},
    {"pooling_mode_max_tokens", "max"},
    {"pooling_mode_mean_tokens", "mean"},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
    {"pooling_mode_weightedmean_tokens", "weightedmean"},
    {"pooling_mode_lasttoken", "lasttoken"},
}};

Status CheckMode(const JsonRef& ref, const std::string& mode) {
  std::string known;
  for (const LegacyMode& row : kLegacy) {
    if (row.mode == mode) return Status::Ok();
    known += (known.empty() ? "" : ", ") + std::string(row.mode);
  }
  return ModelError(ref.Where() + ": pooling mode \"" + mode + "\" is not supported; known: " + known);
}

}  // namespace

Result<std::vector<std::string>> PoolingModes(const JsonRef& config, std::string* key) {
  std::vector<std::string> modes;
  if (const JsonRef value = config["pooling_mode"]; value.present()) {
    *key = "pooling_mode";
    if (value.is_array()) {
      TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> items, value.Array());
      if (items.empty()) return ModelError(value.Where() + ": an empty list of pooling modes");
      for (const JsonRef& item : items) {
        TV_ASSIGN_OR_RETURN(std::string mode, item.String());
        TV_RETURN_IF_ERROR(CheckMode(item, mode));
        modes.push_back(std::move(mode));
      }
      return modes;
    }
    TV_ASSIGN_OR_RETURN(std::string mode, value.String());
    TV_RETURN_IF_ERROR(CheckMode(value, mode));
    return std::vector<std::string>{mode};
  }
  key->clear();
  for (const LegacyMode& row : kLegacy) {
    const JsonRef value = config[row.key];
    if (!value.present() || value.is_null()) continue;
    TV_ASSIGN_OR_RETURN(const bool on, value.Bool());
    if (!on) continue;
    modes.emplace_back(row.mode);
    *key += (key->empty() ? "" : ", ") + std::string(row.key);
  }
  if (modes.empty()) modes.emplace_back("mean");
  return modes;
}

}  // namespace truevec
