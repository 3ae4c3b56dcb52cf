// Dropout: nothing at inference. Reference: sentence_transformer/modules/dropout.py.
#include "pipeline/modules.h"

namespace truevec {
namespace {

class Dropout : public PipelineModule {
 public:
  Status Forward(const ExecContext&, Features*) const override { return Status::Ok(); }
  json::object Describe() const override { return {{"type", "Dropout"}}; }
};

}  // namespace

LoadedModule LoadDropout(const ModuleSpec& module, const LoadContext& context) {
  ConfigReader reader = context.Reader(module);
  reader.Ignore({"dropout"});
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  return LoadedModule(std::make_unique<Dropout>());
}

}  // namespace truevec
