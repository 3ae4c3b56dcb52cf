#include "engine/json_views.h"

namespace truevec {

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
