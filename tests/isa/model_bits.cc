// Prints one hash per checkpoint of tests/golden/models and kernel table: hidden states and head outputs of whole
// models in float32, bfloat16 and int8. They must be the same bits in every table and on every architecture
// (tests/isa/models.py compares). Usage: model_bits GOLDEN_DIR [TABLE...]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "kernels/kernels.h"
#include "models/model.h"
#include "weights/weight_files.h"

namespace truevec {
namespace {

uint64_t Hash(uint64_t hash, const float* values, int64_t count) {  // FNV-1a
  const auto* bytes = reinterpret_cast<const unsigned char*>(values);
  for (int64_t i = 0; i < count * 4; ++i) hash = (hash ^ bytes[i]) * 1099511628211u;
  return hash;
}

struct Texts {
  std::vector<int32_t> ids;
  std::vector<int32_t> offsets = {0};
};

Result<uint64_t> Run(const std::string& directory, ComputeType type) {
  TV_ASSIGN_OR_RETURN(const auto cases, JsonFile::Load(directory + "/cases.json", "cases.json"));
  TV_ASSIGN_OR_RETURN(const auto config, JsonFile::Load(directory + "/config.json", "config.json"));
  Texts texts;
  const JsonRef all = cases.root()["ids"];
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < all.At(i).size(); ++j) texts.ids.push_back(static_cast<int32_t>(*all.At(i).At(j).Int()));
    texts.offsets.push_back(static_cast<int32_t>(texts.ids.size()));
  }
  TV_ASSIGN_OR_RETURN(const std::string task, cases.root()["task"].String());
  const std::string adapter = cases.root()["adapter"].present() ? *cases.root()["adapter"].String() : "";
  ModelOptions options{type};
  if (task == "classification") options.task = Task::kSequenceClassification;
  if (task == "mlm") options.task = Task::kMaskedLm;
  if (task == "causal") options.task = Task::kCausalLm;
  ConfigReader reader(config.root(), nullptr, nullptr, "model_bits");
  TV_ASSIGN_OR_RETURN(auto weights, OpenWeights(directory));
  TV_ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(reader, WeightScope(weights), options));
  ThreadPool pool(2);
  Arena arena;
  const ExecContext ctx{&pool, &arena};
  const Matrix hidden = arena.NewMatrix(static_cast<int64_t>(texts.ids.size()), loaded.model->hidden_size());
  ForwardRequest request;
  request.batch = {texts.ids, {}, texts.offsets};
  request.adapter = adapter;
  TV_RETURN_IF_ERROR(loaded.model->Forward(request, ctx, hidden));
  uint64_t hash = Hash(14695981039346656037u, hidden.data, hidden.rows * hidden.cols);
  if (loaded.head != nullptr) {
    const int64_t rows = loaded.head->per_token() ? hidden.rows : request.batch.sequences();
    const Matrix out = arena.NewMatrix(rows, loaded.head->outputs());
    TV_RETURN_IF_ERROR(loaded.head->Forward(request.batch, hidden, ctx, out));
    hash = Hash(hash, out.data, out.rows * out.cols);
  }
  return hash;
}

int Main(const std::string& root, const std::vector<std::string>& tables) {
  std::vector<std::string> models;
  for (const auto& entry : std::filesystem::directory_iterator(root)) models.push_back(entry.path().filename());
  std::sort(models.begin(), models.end());
  for (const std::string& table : tables) {
    if (!kernels::ForceTable(table.c_str())) {
      std::fprintf(stderr, "no table %s here\n", table.c_str());
      return 1;
    }
    for (const std::string& model : models) {
      for (const auto& [name, type] :
           {std::pair{"float32", ComputeType::kFloat32}, std::pair{"bfloat16", ComputeType::kBFloat16},
            std::pair{"int8", ComputeType::kInt8}}) {
        const auto hash = Run(root + "/" + model, type);
        if (!hash.ok()) {
          std::fprintf(stderr, "%s: %s\n", model.c_str(), std::string(hash.status().message()).c_str());
          return 1;
        }
        std::printf("%s %s/%s %016llx\n", table.c_str(), model.c_str(), name, static_cast<unsigned long long>(*hash));
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace truevec

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::vector<std::string> tables(argv + 2, argv + argc);
  if (tables.empty()) {
    const truevec::kernels::KernelTable* const* available = nullptr;
    const int count = truevec::kernels::AvailableTables(&available);
    for (int i = 0; i < count; ++i) tables.emplace_back(available[i]->name);
  }
  return truevec::Main(argv[1], tables);
}
