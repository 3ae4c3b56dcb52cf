// truevec similarity: the model's similarity of one text with others, as SentenceTransformer.similarity.
#include <cstdio>

#include "cli/command.h"
#include "cli/pipeline_runner.h"

namespace truevec::cli {
namespace {

class SimilarityCommand : public Command {
 public:
  std::string Name() const override { return "similarity"; }
  std::string Description() const override { return "Similarity of one text with others"; }
  void Configure(CLI::App* app) override {
    app->add_option("MODEL", model_, "Model directory")->required();
    app->add_option("TEXTS", texts_, "The text A, then one or more texts B")->required()->expected(2, -1);
    app->add_option("--function", function_, "In place of the model's own")
        ->check(CLI::IsMember({"cosine", "dot", "euclidean", "manhattan", "maxsim", "meanmaxsim"}));
    app->add_option("--as", as_, "Which Sentence Transformers class loads a directory that does not say");
  }
  Status Run(const CommonOptions& common) override {
    TV_ASSIGN_OR_RETURN(const auto runner, PipelineRunner::Load(model_, common, as_, "dense"));
    const std::vector<std::string> others(texts_.begin() + 1, texts_.end());
    EncodeTextOptions first;
    EncodeTextOptions rest;
    if (runner->pipeline().spec().as == "multi-vector") {  // MaxSim is of a query with documents
      first.prompt.task = "query";
      rest.prompt.task = "document";
    }
    TV_ASSIGN_OR_RETURN(const std::vector<double> values,
                        runner->Similarities(texts_[0], others, function_, first, rest));
    if (common.json) {
      const std::string name = function_.empty() ? runner->pipeline().spec().similarity : function_;
      const json::object object = {{"function", name}, {"similarities", json::array(values.begin(), values.end())}};
      std::printf("%s\n", WriteJson(object).c_str());
      return Status::Ok();
    }
    for (size_t i = 0; i < values.size(); ++i) std::printf("%.6f\t%s\n", values[i], others[i].c_str());
    return Status::Ok();
  }

 private:
  std::string model_;
  std::vector<std::string> texts_;
  std::string function_;
  std::string as_;
};

}  // namespace

std::unique_ptr<Command> MakeSimilarityCommand() { return std::make_unique<SimilarityCommand>(); }

}  // namespace truevec::cli
