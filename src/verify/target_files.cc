// Targets without a network: our own engine, and vectors stored in a file (.npy and .npz of float16/32/64, .jsonl).
#include <cmath>
#include <cstring>
#include <map>

#include "base/file.h"
#include "verify/lab.h"
#include "verify/target.h"
#include "weights/torch_zip.h"

namespace truevec {
namespace {

class ModelTarget : public Target {
 public:
  explicit ModelTarget(std::unique_ptr<Lab> lab) : lab_(std::move(lab)) {}
  std::string Description() const override { return lab_->directory() + " (truevec)"; }
  Result<TargetReply> Embed(const std::vector<std::string>& texts, const AskOptions&) override {
    TargetReply reply;
    TV_ASSIGN_OR_RETURN(reply.vectors, lab_->Reference(texts));
    return reply;
  }
  Result<std::vector<int32_t>> Tokenize(const std::string& text) override {
    TV_ASSIGN_OR_RETURN(const auto ids, lab_->Ids({text}, {}));
    return ids[0];
  }
  Result<std::vector<Layer>> Layers(const std::string& text) override { return lab_->Layers(text); }

 private:
  std::unique_ptr<Lab> lab_;
};

class StoredTarget : public Target {
 public:
  StoredTarget(std::string description, std::vector<std::string> texts, std::vector<Vector> vectors)
      : description_(std::move(description)), texts_(std::move(texts)) {
    for (size_t i = 0; i < texts_.size(); ++i) by_text_[texts_[i]] = vectors[i];
  }
  std::string Description() const override { return description_; }
  const std::vector<std::string>& FixedTexts() const override { return texts_; }
  Result<TargetReply> Embed(const std::vector<std::string>& texts, const AskOptions&) override {
    TargetReply reply;
    for (const std::string& text : texts) {
      const auto found = by_text_.find(text);
      if (found == by_text_.end()) return InputError(description_ + ": holds no vector for a text that was asked");
      reply.vectors.push_back(found->second);
    }
    return reply;
  }

 private:
  std::string description_;
  std::vector<std::string> texts_;
  std::map<std::string, Vector> by_text_;
};

// "(3, 384)" after 'shape':
Result<std::pair<int64_t, int64_t>> NpyShape(const std::string& header, const std::string& path) {
  const size_t at = header.find("'shape': (");
  long long rows = 0;
  long long cols = 0;
  if (at == std::string::npos || std::sscanf(header.c_str() + at, "'shape': (%lld, %lld)", &rows, &cols) != 2 ||
      rows < 0 || cols < 1) {
    return InputError(path + ": expected a .npy matrix [texts, dimension], got header " + header);
  }
  return std::pair<int64_t, int64_t>(rows, cols);
}

template <typename T>
std::vector<Vector> Rows(const char* data, int64_t rows, int64_t cols) {
  std::vector<Vector> out;
  for (int64_t r = 0; r < rows; ++r) {
    Vector v;
    for (int64_t c = 0; c < cols; ++c) {
      T value;
      std::memcpy(&value, data + static_cast<size_t>(r * cols + c) * sizeof(T), sizeof(T));
      v.push_back(static_cast<float>(value));
    }
    out.push_back(std::move(v));
  }
  return out;
}

Result<std::vector<Vector>> ParseNpy(std::string_view data, const std::string& path) {
  if (data.size() < 12 || data.compare(0, 6, "\x93NUMPY") != 0) return InputError(path + ": not a .npy file");
  const bool wide = data[6] >= 2;
  uint32_t length = 0;
  std::memcpy(&length, data.data() + 8, wide ? 4 : 2);
  const size_t start = (wide ? 12 : 10) + static_cast<size_t>(length);
  if (start > data.size()) return InputError(path + ": the .npy header is cut off");
  const std::string header(data.substr(wide ? 12 : 10, length));
  if (header.find("'fortran_order': False") == std::string::npos) {
    return InputError(path + ": Fortran order; save with numpy.ascontiguousarray");
  }
  TV_ASSIGN_OR_RETURN(const auto shape, NpyShape(header, path));
  size_t width = 0;
  for (const auto& [name, bytes] :
       {std::pair("<f2", 2), std::pair("<f4", 4), std::pair("<f8", 8), std::pair("|i1", 1), std::pair("|u1", 1)}) {
    if (header.find(name) != std::string::npos) width = static_cast<size_t>(bytes);
  }
  if (width == 0) return InputError(path + ": expected float16, float32, float64, int8 or uint8, got " + header);
  const size_t available = (data.size() - start) / width / static_cast<size_t>(shape.second);
  if (available < static_cast<size_t>(shape.first) || (data.size() - start) % width != 0) {
    return InputError(path + ": the data is shorter than the shape in its header");
  }
  const char* values = data.data() + start;
  if (header.find("|u1") != std::string::npos) return Rows<uint8_t>(values, shape.first, shape.second);
  if (width == 1) return Rows<int8_t>(values, shape.first, shape.second);
  if (width == 2) {
    std::vector<Vector> out;
    for (int64_t r = 0; r < shape.first; ++r) {
      Vector row(static_cast<size_t>(shape.second));
      ConvertToFloat(values + r * shape.second * 2, DType::kF16, shape.second, row.data());
      out.push_back(std::move(row));
    }
    return out;
  }
  return width == 4 ? Rows<float>(values, shape.first, shape.second) : Rows<double>(values, shape.first, shape.second);
}

Result<std::vector<Vector>> ReadNpy(const std::string& path) {
  TV_ASSIGN_OR_RETURN(const std::string data, ReadFile(path, Code::kBadInput));
  return ParseNpy(data, path);
}

// The member called embeddings, vectors, arr_0 or corpus, or the only one.
Result<std::vector<Vector>> ReadNpz(const std::string& path) {
  TV_ASSIGN_OR_RETURN(const std::string data, ReadFile(path, Code::kBadInput));
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data.data()), data.size());
  const auto members = ReadTorchZip(bytes, path);
  if (!members.ok()) return InputError(members.status().message() + "; save it with numpy.savez, uncompressed");
  std::string known;
  for (const auto& [name, content] : *members) {
    known += (known.empty() ? "" : ", ") + name;
    for (const char* wanted : {"embeddings.npy", "vectors.npy", "arr_0.npy"}) {
      if (name != wanted && members->size() != 1) continue;
      return ParseNpy({reinterpret_cast<const char*>(content.data()), content.size()}, path + ": " + name);
    }
  }
  return InputError(path + ": expected an array called embeddings, vectors or arr_0, got " + known);
}

Result<std::vector<Vector>> ReadJsonl(const std::string& path) {
  TV_ASSIGN_OR_RETURN(const std::string data, ReadFile(path, Code::kBadInput));
  std::vector<Vector> out;
  size_t line_number = 0;
  for (size_t begin = 0; begin < data.size();) {
    const size_t end = std::min(data.find('\n', begin), data.size());
    const std::string line = data.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.empty()) continue;
    TV_ASSIGN_OR_RETURN(const JsonFile file,
                        JsonFile::Parse(line, path + ":" + std::to_string(line_number), Code::kBadInput));
    const auto values = file.root()["embedding"].Array();
    if (!values.ok()) return InputError(values.status().message());
    Vector v;
    for (const JsonRef& value : *values) {
      if (value.is_null()) {  // what JSON writers make of NaN
        v.push_back(NAN);
        continue;
      }
      const auto x = value.Double();
      if (!x.ok()) return InputError(x.status().message());
      v.push_back(static_cast<float>(*x));
    }
    out.push_back(std::move(v));
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Target>> MakeModelTarget(const std::string& directory, const SpecOptions& options,
                                                const PromptChoice& prompt, int threads) {
  TV_ASSIGN_OR_RETURN(std::unique_ptr<Lab> lab, Lab::Load(directory, options, prompt, threads));
  return std::unique_ptr<Target>(std::make_unique<ModelTarget>(std::move(lab)));
}

std::unique_ptr<Target> MakeStoredTarget(std::string description, std::vector<std::string> texts,
                                         std::vector<Vector> vectors) {
  return std::make_unique<StoredTarget>(std::move(description), std::move(texts), std::move(vectors));
}

Result<std::unique_ptr<Target>> MakeVectorsTarget(const std::string& path, std::vector<std::string> texts) {
  if (texts.empty()) return UsageError(path + ": a vectors file needs --texts FILE, a text for each row");
  TV_ASSIGN_OR_RETURN(std::vector<Vector> vectors, path.ends_with(".npy")   ? ReadNpy(path)
                                                   : path.ends_with(".npz") ? ReadNpz(path)
                                                                            : ReadJsonl(path));
  if (vectors.size() != texts.size()) {
    return InputError(path + ": " + std::to_string(vectors.size()) + " vectors for " + std::to_string(texts.size()) +
                      " texts");
  }
  return MakeStoredTarget(path, std::move(texts), std::move(vectors));
}

}  // namespace truevec
