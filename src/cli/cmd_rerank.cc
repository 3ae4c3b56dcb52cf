// truevec rerank: scores of documents for a query, best first (CrossEncoder.rank), or of pairs in input order
// (CrossEncoder.predict).
#include <algorithm>
#include <cstdio>
#include <numeric>

#include "cli/array_file.h"
#include "cli/command.h"
#include "cli/pipeline_runner.h"
#include "cli/text_reader.h"

namespace truevec::cli {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

class RerankCommand : public Command {
 public:
  std::string Name() const override { return "rerank"; }
  std::string Description() const override { return "Scores of documents for a query, best first"; }
  void Configure(CLI::App* app) override;
  Status Run(const CommonOptions& common) override;

 private:
  Status RankDocuments(const PipelineRunner& runner, const CommonOptions& common);
  Status ScorePairs(const PipelineRunner& runner);
  Result<Pairs> ReadPairs() const;
  Result<std::vector<float>> Score(const PipelineRunner& runner, const Pairs& pairs) const;

  std::string model_;
  std::string query_;
  std::vector<std::string> documents_;
  std::string pairs_;
  std::string output_ = "-";
  std::string as_;
  EncodeTextOptions encode_;
  ScoreOptions score_;
  int64_t top_k_ = 0;
};

void RerankCommand::Configure(CLI::App* app) {
  app->add_option("MODEL", model_, "Model directory")->required();
  app->add_option("DOC", documents_, "Documents to rank");
  app->add_option("--query", query_, "The query");
  app->add_option("--pairs", pairs_, "File of pairs, .jsonl or .csv with \"query\" and \"document\"; - for stdin");
  app->add_option("--output", output_, "Scores of --pairs in input order, .npy or .jsonl; - for JSON lines on stdout");
  app->add_option("--top-k", top_k_, "Show the best K only")->check(CLI::PositiveNumber);
  app->add_flag("--raw-scores", score_.raw, "Logits, without the model's activation");
  app->add_flag("--softmax", score_.softmax, "Softmax over the labels");
  app->add_option("--prompt", encode_.prompt.prompt, "Text put before every query");
  app->add_option("--prompt-name", encode_.prompt.prompt_name, "One of the model's own prompts");
  app->add_option("--max-length", encode_.max_length, "Tokens a pair, specials included")->check(CLI::PositiveNumber);
  app->add_option("--as", as_, "Which Sentence Transformers class loads a directory that does not say");
}

Result<Pairs> RerankCommand::ReadPairs() const {
  TextReader::Options columns;
  columns.text_column = "query";
  columns.pair_column = "document";
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<TextReader> reader, TextReader::Open(pairs_, columns));
  Pairs pairs;
  TextRecord record;
  for (;;) {
    TV_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
    if (!more) return pairs;
    if (!record.pair.has_value()) {
      return InputError(reader->name() + ":" + std::to_string(record.line) +
                        ": expected {\"query\": ..., \"document\": ...}, got no \"document\"");
    }
    pairs.emplace_back(std::move(record.text), std::move(*record.pair));
  }
}

Result<std::vector<float>> RerankCommand::Score(const PipelineRunner& runner, const Pairs& pairs) const {
  if (runner.pipeline().labels() == 0 && (score_.raw || score_.softmax)) {
    return UsageError("the model is " + runner.pipeline().spec().as + ", which has no logits");
  }
  return runner.Score(pairs, encode_, score_);
}

Status RerankCommand::RankDocuments(const PipelineRunner& runner, const CommonOptions& common) {
  if (runner.pipeline().labels() > 1) {
    return UsageError("the model gives " + std::to_string(runner.pipeline().labels()) +
                      " scores per pair, which cannot be ranked; use --pairs");
  }
  Pairs pairs;
  for (const std::string& document : documents_) pairs.emplace_back(query_, document);
  TV_ASSIGN_OR_RETURN(const std::vector<float> scores, Score(runner, pairs));
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  if (top_k_ > 0 && order.size() > static_cast<size_t>(top_k_)) order.resize(static_cast<size_t>(top_k_));
  json::array results;
  for (const size_t i : order) {
    if (common.json) {
      results.push_back(json::object{{"index", i}, {"score", scores[i]}, {"document", documents_[i]}});
    } else {
      std::printf("%.6f\t%zu\t%s\n", static_cast<double>(scores[i]), i, documents_[i].c_str());
    }
  }
  if (common.json) std::printf("%s\n", WriteJson(json::object{{"results", results}}).c_str());
  return Status::Ok();
}

Status RerankCommand::ScorePairs(const PipelineRunner& runner) {
  TV_ASSIGN_OR_RETURN(const Pairs pairs, ReadPairs());
  TV_ASSIGN_OR_RETURN(const std::vector<float> scores, Score(runner, pairs));
  const size_t labels = std::max<size_t>(1, static_cast<size_t>(runner.pipeline().labels()));
  if (output_.ends_with(".npy")) {
    const std::string shape =
        labels == 1 ? std::to_string(pairs.size()) + "," : std::to_string(pairs.size()) + ", " + std::to_string(labels);
    const std::string_view bytes(reinterpret_cast<const char*>(scores.data()), scores.size() * sizeof(float));
    return WriteWholeFile(output_, NpyHeader("<f4", shape) + std::string(bytes));
  }
  std::string lines;
  for (size_t i = 0; i < pairs.size(); ++i) {
    lines += "{\"index\":" + std::to_string(i) + (labels == 1 ? ",\"score\":" : ",\"scores\":[");
    for (size_t k = 0; k < labels; ++k) {
      if (k > 0) lines += ',';
      AppendFloat(&lines, scores[i * labels + k]);
    }
    lines += labels == 1 ? "}\n" : "]}\n";
  }
  if (output_ != "-") return WriteWholeFile(output_, lines);
  std::fwrite(lines.data(), 1, lines.size(), stdout);
  return Status::Ok();
}

Status RerankCommand::Run(const CommonOptions& common) {
  if (pairs_.empty() == documents_.empty()) return UsageError("give --query with documents, or --pairs FILE");
  if (pairs_.empty() && query_.empty()) return UsageError("--query is missing");
  const bool known = output_ == "-" || output_.ends_with(".npy") || output_.ends_with(".jsonl");
  if (!known) return UsageError(output_ + ": unknown output format; expected .npy or .jsonl");
  TV_ASSIGN_OR_RETURN(const auto runner, PipelineRunner::Load(model_, common, as_, ""));
  return pairs_.empty() ? RankDocuments(*runner, common) : ScorePairs(*runner);
}

}  // namespace

std::unique_ptr<Command> MakeRerankCommand() { return std::make_unique<RerankCommand>(); }

}  // namespace truevec::cli
