#include "weights/weight_files.h"

#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "weights/safetensors.h"
#include "weights/torch_zip.h"
#include "weights/unpickler.h"

namespace truevec {
namespace {

// Mapped files and the entries that point into them.
class MappedStore : public WeightStore {
 public:
  explicit MappedStore(std::string description) : description_(std::move(description)) {}

  Status AddFile(const std::string& directory, const std::string& name) {
    TV_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(directory + "/" + name));
    TV_ASSIGN_OR_RETURN(std::vector<WeightEntry> entries, ParseSafetensors(file.bytes(), name));
    for (WeightEntry& entry : entries) {
      std::string key = entry.name;
      const auto [position, inserted] = entries_.emplace(std::move(key), std::move(entry));
      if (!inserted) return ModelError(name + ": tensor " + position->first + " is also in " + position->second.file);
    }
    files_.push_back(std::move(file));
    return Status::Ok();
  }

  // pytorch_model.bin: a zip of data.pkl and the storages.
  Status AddTorchFile(const std::string& directory, const std::string& name) {
    TV_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(directory + "/" + name));
    TV_ASSIGN_OR_RETURN(const auto archive, ReadTorchZip(file.bytes(), name));
    const auto pickle = archive.find("data.pkl");
    if (pickle == archive.end()) return ModelError(name + ": the zip has no data.pkl; not saved by torch.save");
    if (const auto order = archive.find("byteorder"); order != archive.end()) {
      const std::string_view text(reinterpret_cast<const char*>(order->second.data()), order->second.size());
      if (text != "little") return ModelError(name + ": byteorder \"" + std::string(text) + "\", expected little");
    }
    TV_ASSIGN_OR_RETURN(const std::vector<PickledTensor> tensors, ReadStateDict(pickle->second, name));
    for (const PickledTensor& tensor : tensors) {
      const auto storage = archive.find("data/" + tensor.storage);
      if (storage == archive.end()) {
        return ModelError(name + ": tensor " + tensor.name + ": the zip has no entry data/" + tensor.storage);
      }
      TV_ASSIGN_OR_RETURN(TensorView view, ViewOf(tensor, storage->second, name));
      if (!entries_.emplace(tensor.name, WeightEntry{tensor.name, std::move(view), name}).second) {
        return ModelError(name + ": tensor " + tensor.name + " appears twice");
      }
    }
    files_.push_back(std::move(file));
    return Status::Ok();
  }

  const WeightEntry* Find(std::string_view name) const override {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
  }
  std::vector<std::string> Names() const override {
    std::vector<std::string> names;
    names.reserve(entries_.size());
    for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
  }
  std::string Description() const override { return description_; }
  WeightIdentity Identity() const override {
    WeightIdentity identity;
    const auto text = [](const timespec& t) { return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec); };
    for (const MappedFile& file : files_) {
      const MappedFile::Stamp& s = file.stamp();
      std::error_code error;
      const std::filesystem::path path = std::filesystem::canonical(file.path(), error);
      if (error) return {};
      if (identity.place.empty()) identity.place = path.string();
      identity.files += path.string() + " " + std::to_string(s.size) + " " + text(s.modified) + " " + text(s.changed) +
                        " " + std::to_string(s.inode) + "\n";
      for (const timespec& t : {s.modified, s.changed}) {
        if (t.tv_sec > identity.changed.tv_sec) identity.changed = t;
      }
    }
    return identity;
  }
  void ReleasePages() const override {
    for (const MappedFile& file : files_) file.ReleasePages();
  }
  void ReleaseTensor(const TensorView& tensor) const override {
    const size_t bytes = static_cast<size_t>(tensor.count()) * ElementBytes(tensor.dtype);
    for (const MappedFile& file : files_) file.ReleasePages({static_cast<const std::byte*>(tensor.data), bytes});
  }

 private:
  // The tensor in place when it is contiguous, else a copy in row-major order.
  Result<TensorView> ViewOf(const PickledTensor& tensor, std::span<const std::byte> storage, const std::string& file) {
    const std::string where = file + ": tensor " + tensor.name + ": ";
    const auto element = static_cast<uint64_t>(ElementBytes(tensor.dtype));
    uint64_t count = 1;
    uint64_t last = static_cast<uint64_t>(tensor.offset);  // index of the last element in the storage
    bool overflow = tensor.offset < 0;
    bool contiguous = true;
    int64_t expected_stride = 1;
    for (size_t i = tensor.shape.size(); i-- > 0;) {
      const auto extent = static_cast<uint64_t>(tensor.shape[i]);
      uint64_t reach = 0;
      overflow = overflow || __builtin_mul_overflow(count, extent, &count);
      overflow = overflow ||
                 __builtin_mul_overflow(extent > 0 ? extent - 1 : 0, static_cast<uint64_t>(tensor.stride[i]), &reach) ||
                 __builtin_add_overflow(last, reach, &last);
      contiguous = contiguous && (extent == 1 || tensor.stride[i] == expected_stride);
      expected_stride *= overflow ? 0 : tensor.shape[i];
    }
    if (overflow || (count > 0 && last >= storage.size() / element) || count > storage.size() / element) {
      return ModelError(where + "shape " + ShapeText(tensor.shape) + " does not fit its storage of " +
                        std::to_string(storage.size()) + " bytes");
    }
    TensorView view{storage.data() + static_cast<uint64_t>(tensor.offset) * element, tensor.dtype, tensor.shape};
    if (!contiguous && count > 0) view.data = Materialize(tensor, storage, count, element);
    return view;
  }

  const std::byte* Materialize(const PickledTensor& tensor, std::span<const std::byte> storage, uint64_t count,
                               uint64_t element) {
    auto copy = std::make_unique<std::byte[]>(count * element);
    std::vector<int64_t> index(tensor.shape.size(), 0);
    for (uint64_t i = 0; i < count; ++i) {
      int64_t at = tensor.offset;
      for (size_t d = 0; d < index.size(); ++d) at += index[d] * tensor.stride[d];
      std::memcpy(copy.get() + i * element, storage.data() + static_cast<uint64_t>(at) * element, element);
      for (size_t d = index.size(); d-- > 0;) {
        if (++index[d] < tensor.shape[d]) break;
        index[d] = 0;
      }
    }
    copies_.push_back(std::move(copy));
    return copies_.back().get();
  }

  std::string description_;
  std::vector<std::unique_ptr<std::byte[]>> copies_;  // tensors that were not contiguous
  std::vector<MappedFile> files_;
  std::map<std::string, WeightEntry, std::less<>> entries_;
};

Result<std::shared_ptr<const WeightStore>> OpenSharded(const std::string& directory, const std::string& index_name) {
  TV_ASSIGN_OR_RETURN(const JsonFile index, JsonFile::Load(directory + "/" + index_name, index_name));
  const JsonRef map = index.root()["weight_map"];
  TV_RETURN_IF_ERROR(map.ExpectObject());
  std::map<std::string, std::string> shard_of;
  std::set<std::string> shards;
  for (const auto& member : map.value().get_object()) {
    if (!member.value().is_string()) return map[member.key()].TypeError("a file name");
    std::string shard(member.value().get_string());
    if (shard.empty() || shard.find('/') != std::string::npos) {
      return ModelError(map[member.key()].Where() + ": \"" + shard + "\" is not a file name in this folder");
    }
    shards.insert(shard);
    shard_of.emplace(member.key(), std::move(shard));
  }
  auto store = std::make_shared<MappedStore>(index_name);
  for (const std::string& shard : shards) {
    TV_RETURN_IF_ERROR(shard.ends_with(".safetensors") ? store->AddFile(directory, shard)
                                                       : store->AddTorchFile(directory, shard));
  }
  for (const auto& [name, shard] : shard_of) {
    const WeightEntry* entry = store->Find(name);
    if (entry == nullptr || entry->file != shard) {
      return ModelError(index_name + ": weight_map." + name + ": expected in " + shard + ", " +
                        (entry == nullptr ? std::string("found nowhere") : "found in " + entry->file));
    }
  }
  return std::shared_ptr<const WeightStore>(std::move(store));
}

}  // namespace

Result<std::shared_ptr<const WeightStore>> OpenWeightFile(const std::string& directory, const std::string& name) {
  auto store = std::make_shared<MappedStore>(name);
  TV_RETURN_IF_ERROR(name.ends_with(".safetensors") ? store->AddFile(directory, name)
                                                    : store->AddTorchFile(directory, name));
  return std::shared_ptr<const WeightStore>(std::move(store));
}

Result<std::shared_ptr<const WeightStore>> OpenWeights(const std::string& directory) {
  const auto exists = [&](const char* name) { return FileExists(directory + "/" + name); };
  constexpr const char* kSingle = "model.safetensors";
  constexpr const char* kTorch = "pytorch_model.bin";
  if (exists(kSingle)) return OpenWeightFile(directory, kSingle);
  if (exists("model.safetensors.index.json")) return OpenSharded(directory, "model.safetensors.index.json");
  if (exists(kTorch)) return OpenWeightFile(directory, kTorch);
  if (exists("pytorch_model.bin.index.json")) return OpenSharded(directory, "pytorch_model.bin.index.json");
  return ModelError(directory + ": no weights: expected model.safetensors, pytorch_model.bin or an index of shards");
}

}  // namespace truevec
