#include "models/model.h"

namespace truevec {

Status CheckIds(const PackedBatch& batch, int64_t vocabulary, int64_t types) {
  for (size_t t = 0; t < batch.ids.size(); ++t) {
    const int32_t id = batch.ids[t];
    const int32_t type = batch.type_ids.empty() ? 0 : batch.type_ids[t];
    if (id < 0 || id >= vocabulary || (types > 0 && (type < 0 || type >= types))) {
      return InputError("token id " + std::to_string(id) + " (type " + std::to_string(type) +
                        ") is outside the model's vocabulary of " + std::to_string(vocabulary) + " (" +
                        std::to_string(types) + " types)");
    }
  }
  return Status::Ok();
}

}  // namespace truevec
