// ParseSafetensors on any bytes: entries stay inside the file.
#include "weights/safetensors.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto entries = truevec::ParseSafetensors(bytes, "model.safetensors");
  if (!entries.ok()) return 0;
  for (const truevec::WeightEntry& entry : *entries) {
    const auto* first = static_cast<const uint8_t*>(entry.view.data);
    const size_t length = static_cast<size_t>(entry.view.count()) * truevec::ElementBytes(entry.view.dtype);
    if (length > 0 && (first < data || first + length > data + size)) std::abort();
  }
  return 0;
}
