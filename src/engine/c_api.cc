// The C ABI over Embedder. Every function catches what the standard library may throw.
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/json.h"
#include "truevec/truevec.h"
#include "truevec/truevec_c.h"

struct truevec_model {
  std::shared_ptr<const truevec::Embedder> embedder;
};

namespace truevec {
namespace {

thread_local std::string last_error;

int Fail(int code, std::string message) {
  last_error = std::move(message);
  return code;
}

int Report(const Error& error) {
  last_error = error.message;
  return error.code;
}

Error Usage(const Status& status) { return {ExitCode(Code::kUsage), status.message()}; }

// Calls read(name, value) for each member of an options object; unknown names are the callee's to refuse.
template <typename Read>
Error ReadOptions(const char* options_json, Read read) {
  if (options_json == nullptr) return {};
  auto file = JsonFile::Parse(options_json, "options_json", Code::kUsage);
  if (!file.ok()) return Usage(file.status());
  const JsonRef root = file->root();
  if (const Status object = root.ExpectObject(); !object.ok()) return Usage(object);
  for (const std::string& name : root.Keys()) {
    if (root[name].is_null()) continue;
    if (const Status status = read(name, root[name]); !status.ok()) return Usage(status);
  }
  return {};
}

Status Assign(Result<std::string> value, auto* target) {
  TV_RETURN_IF_ERROR(value.status());
  *target = std::move(value).value();
  return Status::Ok();
}
Status AssignInt(Result<int64_t> value, auto* target) {
  TV_RETURN_IF_ERROR(value.status());
  *target = static_cast<std::remove_reference_t<decltype(*target)>>(*value);
  return Status::Ok();
}

Error ParseLoad(const char* options_json, LoadParams* params) {
  return ReadOptions(options_json, [params](const std::string& name, const JsonRef& value) -> Status {
    if (name == "dtype") return Assign(value.String(), &params->dtype);
    if (name == "as") return Assign(value.String(), &params->as);
    if (name == "packed_cache") return Assign(value.String(), &params->packed_cache);
    if (name == "threads") return AssignInt(value.Int(), &params->threads);
    if (name == "override") {
      TV_RETURN_IF_ERROR(value.ExpectObject());
      for (const std::string& key : value.Keys())
        params->overrides.push_back(key + "=" + WriteJson(value[key].value()));
      return Status::Ok();
    }
    return UsageError("options_json: unknown option \"" + name + "\"");
  });
}

Error ParseEmbed(const char* options_json, EmbedParams* params) {
  return ReadOptions(options_json, [params](const std::string& name, const JsonRef& value) -> Status {
    if (name == "prompt") return Assign(value.String(), &params->prompt);
    if (name == "prompt_name") return Assign(value.String(), &params->prompt_name);
    if (name == "task") return Assign(value.String(), &params->task);
    if (name == "truncate_dim") return AssignInt(value.Int(), &params->truncate_dim.emplace());
    if (name == "max_length") return AssignInt(value.Int(), &params->max_length.emplace());
    if (name == "normalize") {
      TV_ASSIGN_OR_RETURN(params->normalize, value.Bool());
      return Status::Ok();
    }
    return UsageError("options_json: unknown option \"" + name + "\"");
  });
}

int CopyOut(const std::string& text, char** out) {
  *out = static_cast<char*>(std::malloc(text.size() + 1));
  if (*out == nullptr) return Fail(ExitCode(Code::kResource), "out of memory");
  std::memcpy(*out, text.c_str(), text.size() + 1);
  return 0;
}

// Runs body, turning an exception of the standard library into a code.
template <typename Body>
int Guard(Body body) {
  last_error.clear();
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Fail(ExitCode(Code::kResource), "out of memory");
  } catch (const std::exception& e) {
    return Fail(ExitCode(Code::kInternal), std::string("internal error: ") + e.what());
  }
}

}  // namespace
}  // namespace truevec

using namespace truevec;  // NOLINT(google-build-using-namespace): the functions below have C names

extern "C" {

#define TV_EXPORT [[gnu::visibility("default")]]

TV_EXPORT const char* truevec_version(void) { return TRUEVEC_VERSION; }
TV_EXPORT const char* truevec_last_error(void) { return last_error.c_str(); }

TV_EXPORT truevec_model* truevec_load(const char* path, const char* options_json) {
  truevec_model* model = nullptr;
  (void)Guard([&] {
    LoadParams params;
    if (path == nullptr) return Fail(ExitCode(Code::kUsage), "path is NULL");
    if (const Error error = ParseLoad(options_json, &params); !error.ok()) return Report(error);
    std::shared_ptr<const Embedder> embedder;
    if (const Error error = Embedder::Load(path, params, &embedder); !error.ok()) return Report(error);
    model = new truevec_model{std::move(embedder)};
    return 0;
  });
  return model;
}

TV_EXPORT void truevec_free(truevec_model* model) { delete model; }

TV_EXPORT size_t truevec_dimension(const truevec_model* model) {
  return model == nullptr ? 0 : model->embedder->dimension();
}

TV_EXPORT int truevec_embed(const truevec_model* model, const char* const* texts, const size_t* lengths, size_t n,
                            const char* options_json, float* out) {
  return Guard([&] {
    if (model == nullptr || (n > 0 && (texts == nullptr || lengths == nullptr || out == nullptr))) {
      return Fail(ExitCode(Code::kUsage), "model, texts, lengths and out must not be NULL");
    }
    EmbedParams params;
    if (const Error error = ParseEmbed(options_json, &params); !error.ok()) return Report(error);
    std::vector<std::string_view> views;
    for (size_t i = 0; i < n; ++i) views.emplace_back(texts[i], lengths[i]);
    const size_t width = model->embedder->width(params);
    return Report(model->embedder->Embed(views, params, {out, n * width}));
  });
}

TV_EXPORT int truevec_inspect(const truevec_model* model, char** out) {
  return Guard([&] {
    if (model == nullptr || out == nullptr) return Fail(ExitCode(Code::kUsage), "model and json must not be NULL");
    return CopyOut(model->embedder->InspectJson(), out);
  });
}

TV_EXPORT int truevec_tokenize(const truevec_model* model, const char* text, size_t length, const char* options_json,
                               char** out) {
  return Guard([&] {
    if (model == nullptr || text == nullptr || out == nullptr) {
      return Fail(ExitCode(Code::kUsage), "model, text and json must not be NULL");
    }
    EmbedParams params;
    if (const Error error = ParseEmbed(options_json, &params); !error.ok()) return Report(error);
    std::string result;
    if (const Error error = model->embedder->TokenizeJson({text, length}, params, &result); !error.ok()) {
      return Report(error);
    }
    return CopyOut(result, out);
  });
}

TV_EXPORT void truevec_free_string(char* string) { std::free(string); }

}  // extern "C"
