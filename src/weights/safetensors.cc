#include "weights/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "base/json.h"

namespace truevec {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian and used in place");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference reader

std::optional<DType> ParseDType(std::string_view name) {
  constexpr std::array kTypes = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64, DType::kI64,
                                 DType::kI32, DType::kI16, DType::kI8,   DType::kU8,  DType::kBool};
  for (const DType type : kTypes) {
    if (DTypeName(type) == name) return type;
  }
  return std::nullopt;
}

// shape x dtype in bytes; nothing on overflow.
std::optional<uint64_t> TensorBytes(const Shape& shape, DType dtype) {
  uint64_t bytes = ElementBytes(dtype);
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) return std::nullopt;
  }
  return bytes;
}

struct Placed {
  WeightEntry entry;
  uint64_t begin = 0;
  uint64_t end = 0;
};

Result<Placed> ParseEntry(const JsonRef& tensor, const std::string& name, std::span<const std::byte> data,
                          const std::string& file) {
  const std::string where = file + ": tensor " + name + ": ";
  TV_ASSIGN_OR_RETURN(const std::string dtype_name, tensor["dtype"].String());
  const std::optional<DType> dtype = ParseDType(dtype_name);
  if (!dtype) return ModelError(where + "dtype " + dtype_name + " is not supported");
  Placed placed;
  placed.entry = {name, {nullptr, *dtype, {}}, file};
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> extents, tensor["shape"].Array());
  for (const JsonRef& extent : extents) {
    TV_ASSIGN_OR_RETURN(const int64_t value, extent.Int());
    if (value < 0) return ModelError(where + "negative extent in shape");
    placed.entry.view.shape.push_back(value);
  }
  TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> offsets, tensor["data_offsets"].Array());
  if (offsets.size() != 2) return tensor["data_offsets"].TypeError("two offsets");
  TV_ASSIGN_OR_RETURN(const int64_t begin, offsets[0].Int());
  TV_ASSIGN_OR_RETURN(const int64_t end, offsets[1].Int());
  if (begin < 0 || end < begin || static_cast<uint64_t>(end) > data.size()) {
    return ModelError(where + "data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) +
                      "] lie outside the " + std::to_string(data.size()) + " data bytes (is the file truncated?)");
  }
  placed.begin = static_cast<uint64_t>(begin);
  placed.end = static_cast<uint64_t>(end);
  const std::optional<uint64_t> expected = TensorBytes(placed.entry.view.shape, *dtype);
  if (!expected || *expected != placed.end - placed.begin) {
    return ModelError(where + "shape " + ShapeText(placed.entry.view.shape) + " of " + dtype_name + " needs " +
                      (expected ? std::to_string(*expected) : std::string("too many")) + " bytes, data_offsets give " +
                      std::to_string(placed.end - placed.begin));
  }
  placed.entry.view.data = data.data() + placed.begin;
  return placed;
}

// The reference reader demands that tensors tile the data exactly.
Status CheckTiling(std::vector<Placed>& placed, uint64_t data_bytes, const std::string& file) {
  std::sort(placed.begin(), placed.end(),
            [](const Placed& a, const Placed& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t position = 0;
  for (const Placed& tensor : placed) {
    if (tensor.begin != position) {
      return ModelError(file + ": tensor " + tensor.entry.name + ": data_offsets begin at " +
                        std::to_string(tensor.begin) + ", expected " + std::to_string(position) +
                        (tensor.begin < position ? " (tensors overlap)" : " (a hole before it)"));
    }
    position = tensor.end;
  }
  if (position != data_bytes) {
    return ModelError(file + ": tensors end at data byte " + std::to_string(position) + ", the file has " +
                      std::to_string(data_bytes));
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<WeightEntry>> ParseSafetensors(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.size() < 8) {
    return ModelError(file + ": " + std::to_string(bytes.size()) + " bytes are too few for a safetensors header");
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > bytes.size() - 8) {
    return ModelError(file + ": header of " + std::to_string(header_bytes) + " bytes does not fit a file of " +
                      std::to_string(bytes.size()) + " bytes (truncated or not safetensors)");
  }
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8, header_bytes);
  TV_ASSIGN_OR_RETURN(const JsonFile document, JsonFile::Parse(header, file));
  const JsonRef root = document.root();
  TV_RETURN_IF_ERROR(root.ExpectObject());
  const std::span<const std::byte> data = bytes.subspan(8 + header_bytes);
  std::vector<Placed> placed;
  for (const auto& member : root.value().get_object()) {
    const std::string name(member.key());
    if (name == "__metadata__") continue;
    TV_ASSIGN_OR_RETURN(Placed tensor, ParseEntry(root[name], name, data, file));
    placed.push_back(std::move(tensor));
  }
  TV_RETURN_IF_ERROR(CheckTiling(placed, data.size(), file));
  std::vector<WeightEntry> entries;
  entries.reserve(placed.size());
  for (Placed& tensor : placed) entries.push_back(std::move(tensor.entry));
  return entries;
}

}  // namespace truevec
