// The zip container and the restricted unpickler of pytorch_model.bin on any bytes.
#include "weights/torch_zip.h"

#include <cstdlib>

#include "weights/unpickler.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  (void)truevec::ReadStateDict(bytes, "data.pkl");
  const auto archive = truevec::ReadTorchZip(bytes, "pytorch_model.bin");
  if (!archive.ok()) return 0;
  for (const auto& [name, entry] : *archive) {
    if (entry.data() < bytes.data() || entry.data() + entry.size() > bytes.data() + size) std::abort();
    if (name.ends_with(".pkl")) (void)truevec::ReadStateDict(entry, name);
  }
  return 0;
}
