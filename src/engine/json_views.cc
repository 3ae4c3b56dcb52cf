#include "engine/json_views.h"

namespace truevec {

json::value InspectToJson(const ModelSpec& spec) {
  json::array refusals;
  for (const Refusal& refusal : spec.refusals) {
    refusals.push_back(json::object{{"what", refusal.what}, {"where", refusal.where}, {"why", refusal.why}});
  }
  json::array settings;
  for (const Setting& setting : spec.settings.all()) {
    json::array conflicts;
    for (const SettingConflict& conflict : setting.conflicts) {
      conflicts.push_back(json::object{{"value", conflict.value}, {"source", conflict.source.ToJson()}});
    }
    settings.push_back(json::object{{"key", setting.key},
                                    {"value", setting.value},
                                    {"source", setting.source.ToJson()},
                                    {"conflicts", std::move(conflicts)}});
  }
  json::array warnings;
  for (const std::string& warning : spec.warnings) warnings.push_back(json::value(warning));
  return json::object{{"schema", "truevec.inspect/1"},     {"supported", spec.refusals.empty()},
                      {"refusals", std::move(refusals)},   {"fingerprint", spec.fingerprint},
                      {"architecture", spec.architecture}, {"settings", std::move(settings)},
                      {"warnings", std::move(warnings)}};
}

json::value EncodingToJson(const Encoding& encoding) {
  json::array tokens;
  json::array offsets;
  for (const std::string& token : encoding.tokens) tokens.push_back(json::value(token));
  for (const auto& [begin, end] : encoding.offsets) offsets.push_back(json::array{begin, end});
  json::object object{
      {"ids", json::array(encoding.ids.begin(), encoding.ids.end())},
      {"tokens", std::move(tokens)},
      {"offsets", std::move(offsets)},
      {"type_ids", json::array(encoding.type_ids.begin(), encoding.type_ids.end())},
      {"special_tokens_mask", json::array(encoding.special_tokens_mask.begin(), encoding.special_tokens_mask.end())}};
  if (encoding.truncated_tokens > 0) object["truncated_tokens"] = encoding.truncated_tokens;
  return object;
}

}  // namespace truevec
