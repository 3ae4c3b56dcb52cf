// truevec bench MODEL: speed on this machine from raw texts, against the measured multiply-add peak.
//
// Wall time is the median of the repeats; CPU seconds count all threads and are the figure to trust on a busy machine.
// "% peak" is flops / (threads x peak x wall), "% peak cpu" is flops / (peak x CPU seconds).
#include <algorithm>
#include <cstdio>
#include <functional>

#include "base/file.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "cli/bench_fidelity.h"
#include "cli/bench_measure.h"
#include "cli/bench_peers.h"
#include "cli/bench_texts.h"
#include "cli/bench_workload.h"
#include "cli/command.h"

namespace truevec::cli {
namespace {

struct Row {
  std::string name;
  int64_t texts = 0;
  int64_t tokens = 0;
  double flops = 0;
  std::vector<double> wall = {};
  std::vector<double> cpu = {};

  json::object ToJson(double peak, int threads) const {
    const double seconds = Median(wall);
    const double cpu_seconds = Median(cpu);
    json::object row = {{"workload", name},
                        {"texts", texts},
                        {"tokens", tokens},
                        {"repeats", wall.size()},
                        {"seconds_median", seconds},
                        {"seconds_min", *std::min_element(wall.begin(), wall.end())},
                        {"seconds_max", *std::max_element(wall.begin(), wall.end())},
                        {"p50_ms", seconds * 1e3},
                        {"p95_ms", Quantile(wall, 0.95) * 1e3},
                        {"cpu_seconds", cpu_seconds},
                        {"tokens_per_second", static_cast<double>(tokens) / seconds},
                        {"tokens_per_cpu_second", static_cast<double>(tokens) / cpu_seconds},
                        {"texts_per_second", static_cast<double>(texts) / seconds}};
    if (flops > 0) {
      row["gflops"] = flops / seconds * 1e-9;
      row["share_of_peak"] = flops * 1e-9 / (seconds * peak * threads);
      row["share_of_peak_cpu"] = flops * 1e-9 / (cpu_seconds * peak);
    }
    return row;
  }
};

class BenchCommand : public Command {
 public:
  std::string Name() const override { return "bench"; }
  std::string Description() const override { return "Speed on this machine, against its multiply-add peak"; }
  void Configure(CLI::App* app) override {
    app->add_option("MODEL", model_, "Model directory");
    app->add_option("--model-shape", shape_,
                    "In place of MODEL: random weights of a published shape, made once in the cache (minilm, "
                    "bert-base, xlmr-base, qwen3-0.6b, qwen2-1.5b)");
    app->add_option("--workload", workloads_, WorkloadNames())->delimiter(',');
    app->add_option("--repeats", repeats_, "Repeats of each workload (short ones take more)")
        ->check(CLI::Range(1, 1000));
    app->add_option("--as", as_, "Which Sentence Transformers class loads a directory that does not say");
    app->add_flag("--peers", peers_, "Run other engines beside truevec, interleaved (./dev bench peers installs them)");
    app->add_flag("--fidelity", fidelity_,
                  "Cosines with float32 and int8's fallbacks for every dtype, not only --dtype");
    app->add_option("--write-texts", write_texts_, "Write the texts of the workloads as JSON to FILE and stop");
  }
  Status Run(const CommonOptions& common) override;

 private:
  Result<std::vector<std::string>> TextsOf(const Workload& workload) const;
  Status WriteTexts(const std::vector<Workload>& workloads) const;
  Result<Row> RunOne(const Workload& workload, const CommonOptions& common) const;
  Result<Row> RunEmbed(const Workload& workload) const;
  Result<Row> RunTokenize() const;
  Result<Row> RunStart(const CommonOptions& common) const;

  std::string model_;
  std::string shape_;
  std::string as_;
  std::string write_texts_;
  std::vector<std::string> workloads_;
  int repeats_ = 5;
  bool peers_ = false;
  bool fidelity_ = false;
  std::shared_ptr<const Embedder> embedder_;
};

Result<std::vector<std::string>> BenchCommand::TextsOf(const Workload& workload) const {
  if (workload.tokens == 0) return MixedTexts(workload.texts);
  const int64_t limit = embedder_->max_length();
  const int64_t tokens = limit > 0 ? std::min(workload.tokens, limit) : workload.tokens;
  return TextsOfLength(*embedder_, workload.texts, tokens);
}

Status BenchCommand::WriteTexts(const std::vector<Workload>& workloads) const {
  json::object all;
  for (const Workload& workload : workloads) {
    if (workload.kind != WorkloadKind::kEmbed) continue;
    TV_ASSIGN_OR_RETURN(const std::vector<std::string> texts, TextsOf(workload));
    all[workload.name] = json::array(texts.begin(), texts.end());
  }
  TV_ASSIGN_OR_RETURN(const auto file, AtomicFileWriter::Create(write_texts_));
  TV_RETURN_IF_ERROR(file->Write(WriteJson(all)));
  return file->Commit();
}

Result<Row> BenchCommand::RunEmbed(const Workload& workload) const {
  TV_ASSIGN_OR_RETURN(const std::vector<std::string> texts, TextsOf(workload));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const EmbedParams params;
  std::vector<float> out(views.size() * embedder_->width(params));
  Row row{workload.name, workload.texts};
  for (int repeat = -1; repeat < repeats_ * workload.repeats_scale; ++repeat) {  // the first one warms up
    if (InterruptRequested()) return Interrupted();
    EmbedStats stats;
    Error error;
    const Sample sample = Measure([&] { error = embedder_->Embed(views, params, out, &stats); });
    TV_RETURN_IF_ERROR(FromError(error));
    row.tokens = stats.tokens;
    row.flops = stats.flops;
    if (repeat < 0) continue;
    row.wall.push_back(sample.wall);
    row.cpu.push_back(sample.cpu);
  }
  return row;
}

Result<Row> BenchCommand::RunTokenize() const {
  const std::vector<std::string> texts = MixedTexts(4000);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  Row row{"tokenize", static_cast<int64_t>(texts.size())};
  for (int repeat = -1; repeat < repeats_; ++repeat) {
    std::vector<int64_t> counts;
    Error error;
    const Sample sample = Measure([&] { error = embedder_->CountTokens(views, {}, &counts); });
    TV_RETURN_IF_ERROR(FromError(error));
    row.tokens = 0;
    for (const int64_t count : counts) row.tokens += count;
    if (repeat < 0) continue;
    row.wall.push_back(sample.wall);
    row.cpu.push_back(sample.cpu);
  }
  return row;
}

// A new process that loads the model and prints one vector.
Result<Row> BenchCommand::RunStart(const CommonOptions& common) const {
  std::vector<std::string> command = {"/proc/self/exe", "embed", model_, "What is the capital of France?", "--quiet"};
  command.insert(command.end(), {"--threads", std::to_string(common.threads), "--dtype", common.dtype});
  if (!common.isa.empty()) command.insert(command.end(), {"--isa", common.isa});
  Row row{"start", 1};
  for (int repeat = -1; repeat < repeats_; ++repeat) {
    TV_ASSIGN_OR_RETURN(const double seconds, RunProcess(command));
    if (repeat >= 0) row.wall.push_back(seconds);
  }
  row.cpu = row.wall;
  return row;
}

Result<Row> BenchCommand::RunOne(const Workload& workload, const CommonOptions& common) const {
  if (!common.quiet) std::fprintf(stderr, "truevec: %s: %s\n", workload.name.c_str(), workload.about.c_str());
  if (workload.kind == WorkloadKind::kTokenize) return RunTokenize();
  if (workload.kind == WorkloadKind::kStart) return RunStart(common);
  return RunEmbed(workload);
}

void PrintTable(const json::object& report) {
  std::printf("%s  %s  %s  %lld threads  peak %.1f GFLOP/s a core (float32 FMA)\n",
              report.at("model").get_string().c_str(), report.at("isa").get_string().c_str(),
              report.at("dtype").get_string().c_str(), static_cast<long long>(report.at("threads").get_int64()),
              report.at("peak_gflops").get_double());
  std::printf("%-10s %9s %11s %10s %9s %9s %9s %8s %7s %9s\n", "workload", "tokens", "tokens/s", "texts/s", "p50 ms",
              "p95 ms", "CPU s", "GFLOP/s", "% peak", "% peak cpu");
  for (const json::value& value : report.at("workloads").get_array()) {
    const json::object& row = value.get_object();
    const auto number = [&](const char* key) { return row.contains(key) ? row.at(key).to_number<double>() : 0.0; };
    std::printf("%-10s %9.0f %11.0f %10.1f %9.3f %9.3f %9.4f %8.1f %7.1f %9.1f\n",
                row.at("workload").get_string().c_str(), number("tokens"), number("tokens_per_second"),
                number("texts_per_second"), number("p50_ms"), number("p95_ms"), number("cpu_seconds"), number("gflops"),
                100 * number("share_of_peak"), 100 * number("share_of_peak_cpu"));
  }
  std::printf("load %.1f ms, resident %.1f MB, peak %.1f MB\n", report.at("load_ms").get_double(),
              report.at("resident_bytes").to_number<double>() * 1e-6,
              report.at("peak_bytes").to_number<double>() * 1e-6);
}

Status BenchCommand::Run(const CommonOptions& common) {
  if (model_.empty() == shape_.empty()) return UsageError("give MODEL or --model-shape, one of them");
  TV_ASSIGN_OR_RETURN(const std::vector<Workload> workloads, WorkloadsByName(workloads_));
  if (!shape_.empty()) {
    TV_ASSIGN_OR_RETURN(model_, ShapeModel(shape_));
  }
  if (peers_) return RunPeers(model_, workloads_, repeats_, common);
  Status loaded;
  const Sample load = Measure([&] { loaded = LoadEmbedder(model_, common, as_, &embedder_); });
  TV_RETURN_IF_ERROR(loaded);
  if (!write_texts_.empty()) return WriteTexts(workloads);
  const int threads = common.threads == 0 ? AvailableCpus() : common.threads;
  double peak = PeakGflops();
  std::vector<Row> rows;
  Memory memory;
  for (const Workload& workload : workloads) {
    TV_ASSIGN_OR_RETURN(Row row, RunOne(workload, common));
    rows.push_back(std::move(row));
    if (workload.kind != WorkloadKind::kEmbed) continue;
    peak = std::max(peak, PeakGflops(2));
    memory = ProcessMemory();
  }
  if (memory.peak == 0) memory = ProcessMemory();
  // After the memory was read: the other precisions are loaded here.
  const std::vector<std::string> dtypes =
      fidelity_ ? std::vector<std::string>{"bfloat16", "int8"} : std::vector<std::string>{common.dtype};
  TV_ASSIGN_OR_RETURN(const std::vector<Fidelity> fidelities, MeasureFidelity(model_, common, as_, dtypes));
  json::array fidelity;
  for (const Fidelity& one : fidelities) fidelity.push_back(one.ToJson());
  json::array measured;
  for (const Row& row : rows) measured.push_back(row.ToJson(peak, threads));
  const json::object report = {{"schema", "truevec.bench/1"},
                               {"version", Version()},
                               {"model", model_},
                               {"isa", Isa()},
                               {"dtype", common.dtype},
                               {"threads", threads},
                               {"peak_gflops", peak},
                               {"load_ms", load.wall * 1e3},
                               {"resident_bytes", memory.resident},
                               {"peak_bytes", memory.peak},
                               {"workloads", std::move(measured)},
                               {"fidelity", std::move(fidelity)}};
  if (common.json) {
    std::printf("%s\n", WriteJson(report).c_str());
  } else {
    PrintTable(report);
    for (const Fidelity& one : fidelities) one.Print();
  }
  return Status::Ok();
}

}  // namespace

std::unique_ptr<Command> MakeBenchCommand() { return std::make_unique<BenchCommand>(); }

}  // namespace truevec::cli
