// Chat templates on any text: parsed and rendered, or refused, in bounded time.
#include "pipeline/jinja.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  const auto parsed = truevec::JinjaTemplate::Parse({reinterpret_cast<const char*>(data), size});
  if (!parsed.ok()) return 0;
  namespace json = truevec::json;
  const json::array messages = {json::object{{"role", "user"}, {"content", "hi"}},
                                json::object{{"role", "document"}, {"content", "there"}}};
  (void)parsed->Render({{"messages", messages}, {"add_generation_prompt", true}, {"tools", nullptr}});
  return 0;
}
