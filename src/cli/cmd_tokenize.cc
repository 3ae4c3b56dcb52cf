// truevec tokenize: the ids that the model is fed, one JSON line per input.
#include <cstdio>

#include "base/file.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "cli/text_reader.h"
#include "engine/json_views.h"
#include "tokenizer/tokenizer.h"

namespace truevec::cli {
namespace {

class TokenizeCommand : public Command {
 public:
  std::string Name() const override { return "tokenize"; }
  std::string Description() const override { return "The token ids of texts, as the model is fed"; }
  void Configure(CLI::App* app) override {
    app->add_option("MODEL", model_, "Model directory, tokenizer.json or SentencePiece tokenizer.model")->required();
    app->add_option("TEXT", texts_, "Texts; or give --input");
    app->add_option("--input", input_, "File of texts, .txt or .jsonl ({\"text\"[,\"text_pair\"]}); - for stdin");
    app->add_option("--prompt", params_.prompt, "Text put before every input");
    app->add_option("--prompt-name", params_.prompt_name, "One of the model's own prompts");
    app->add_option("--task", params_.task, "query or document")->check(CLI::IsMember({"query", "document"}));
    app->add_flag("--no-special-tokens", no_special_, "Leave special tokens out");
    app->add_option("--max-length", params_.max_length, "Tokens, specials included")->check(CLI::PositiveNumber);
  }

  Status Run(const CommonOptions& common) override {
    if (texts_.empty() == input_.empty()) return UsageError("give TEXT arguments or --input FILE");
    TV_ASSIGN_OR_RETURN(model_, ResolveModelPath(model_, common));
    if (IsDirectory(model_)) {
      TV_RETURN_IF_ERROR(LoadEmbedder(model_, common, "", &embedder_));
    } else {
      if (params_.prompt_name || !params_.task.empty()) {
        return UsageError(
            "--prompt-name and --task: a tokenizer file has no prompts; give --prompt or a model directory");
      }
      TV_ASSIGN_OR_RETURN(tokenizer_, Tokenizer::LoadFile(model_));
    }
    for (const std::string& text : texts_) Print({text, {}, {}, 0});
    if (!input_.empty()) {
      TV_ASSIGN_OR_RETURN(const std::unique_ptr<TextReader> reader, TextReader::Open(input_, {}));
      TextRecord record;
      while (true) {
        auto more = reader->Next(&record);
        if (!more.ok()) {
          PrintError(more.status().message());
        } else if (!*more) {
          break;
        } else {
          Print(record);
        }
      }
    }
    return failed_ == 0 ? Status::Ok() : InputError(std::to_string(failed_) + " inputs could not be tokenized");
  }

 private:
  void PrintError(const std::string& message) {
    ++failed_;
    std::printf("%s\n", WriteJson(json::object{{"error", message}}).c_str());
  }

  void Print(const TextRecord& record) {
    std::string line;
    if (embedder_ != nullptr) {
      params_.text_pair = record.pair;
      params_.add_special_tokens = !no_special_;
      const Error error = embedder_->TokenizeJson(record.text, params_, &line);
      if (!error.ok()) return PrintError(error.message);
    } else {
      EncodeOptions options;
      options.details = true;
      options.add_special_tokens = !no_special_;
      if (params_.max_length) {
        options.truncation = Truncation{.max_length = *params_.max_length, .side = tokenizer_->truncation_side()};
      }
      const std::string text = params_.prompt.value_or("") + record.text;
      auto encoding = tokenizer_->Encode(text, record.pair, options);
      if (!encoding.ok()) return PrintError(encoding.status().message());
      line = WriteJson(EncodingToJson(*encoding));
    }
    std::printf("%s\n", line.c_str());
  }

  std::string model_;
  std::vector<std::string> texts_;
  std::string input_;
  bool no_special_ = false;
  EmbedParams params_;
  std::shared_ptr<const Embedder> embedder_;
  std::unique_ptr<Tokenizer> tokenizer_;
  int64_t failed_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakeTokenizeCommand() { return std::make_unique<TokenizeCommand>(); }

}  // namespace truevec::cli
