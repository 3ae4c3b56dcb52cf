// OpenAPI 3.1 from the route table and its schemas. https://spec.openapis.org/oas/v3.1.0
#include <algorithm>
#include <map>

#include "server/shared.h"
#include "truevec/truevec.h"

namespace truevec {
namespace {

json::object JsonContent(json::value schema) {
  return {{"application/json", json::object{{"schema", std::move(schema)}}}};
}

const Route* Find(const std::vector<Route>& routes, std::string_view path) {
  for (const Route& route : routes) {
    if (path == route.path && route.method == std::string_view("POST")) return &route;
  }
  return nullptr;
}

json::value Reference(const Schema& schema) {
  return json::object{{"$ref", std::string("#/components/schemas/") + schema.name}};
}

json::value Reply(const Route& route) {
  return route.reply == nullptr ? json::object() : ParseJson(route.reply, route.path).value();
}

// One alternative, or anyOf.
json::value AnyOf(json::array schemas) {
  if (schemas.size() == 1) return schemas.front();
  return json::object{{"anyOf", std::move(schemas)}};
}

json::object Operation(const Route& route, const std::vector<const Route*>& targets) {
  json::array bodies;
  json::array replies;
  for (const Route* target : targets) {
    if (target->body != nullptr) bodies.push_back(Reference(*target->body));
    if (target->reply != nullptr) replies.push_back(Reply(*target));
  }
  const json::object error{{"description", "An error, in the words of the dialect."},
                           {"content", JsonContent(json::object{{"type", "object"}})}};
  json::object ok{{"description", "Done."}};
  if (!replies.empty()) ok["content"] = JsonContent(AnyOf(std::move(replies)));
  const bool empty = route.dialect == &kWeaviate && route.reply == nullptr;
  json::object responses;
  responses[empty ? "204" : "200"] = std::move(ok);
  if (route.access != Access::kOpen) {
    for (const char* status : {"400", "401", "404", "413", "422", "424", "429", "503"}) responses[status] = error;
  } else {
    responses["default"] = error;
  }
  std::string id = route.method + std::string(route.path);
  std::replace_if(id.begin(), id.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  json::object operation{{"operationId", id},
                         {"tags", json::array{json::value(route.dialect->name)}},
                         {"summary", route.summary},
                         {"responses", std::move(responses)}};
  if (!bodies.empty()) {
    operation["requestBody"] = json::object{{"required", true}, {"content", JsonContent(AnyOf(std::move(bodies)))}};
  }
  if (route.access != Access::kOpen) operation["security"] = json::array{json::object{{"key", json::array()}}};
  const std::string_view path = route.path;
  if (const size_t open = path.find('{'); open != std::string_view::npos) {
    operation["parameters"] = json::array{json::object{{"name", path.substr(open + 1, path.size() - open - 2)},
                                                       {"in", "path"},
                                                       {"required", true},
                                                       {"schema", json::object{{"type", "string"}}}}};
  }
  return operation;
}

}  // namespace

std::string WriteOpenApi(const std::vector<Route>& routes) {
  json::object paths;
  json::object schemas;
  const std::vector<SharedPath> shared = SharedPaths();
  for (const Route& route : routes) {
    if (route.body != nullptr && !route.body->fields.empty()) schemas[route.body->name] = ToJsonSchema(*route.body);
    if (route.path[0] != '/') continue;
    std::vector<const Route*> targets;
    for (const SharedPath& path : shared) {
      if (path.path != std::string_view(route.path) || route.body == nullptr) continue;
      for (const char* target : path.targets) targets.push_back(Find(routes, target));
    }
    if (targets.empty()) targets.push_back(&route);
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!paths.contains(route.path)) paths[route.path] = json::object();
    paths[route.path].as_object()[method] = Operation(route, targets);
  }
  return WriteJson(json::object{
      {"openapi", "3.1.0"},
      {"info", json::object{{"title", "truevec"},
                            {"version", std::string(Version())},
                            {"description",
                             "Text embeddings that are the reference's, in the dialects of OpenAI, "
                             "Text Embeddings Inference, Cohere, Ollama, llama.cpp, vLLM and "
                             "Weaviate."}}},
      {"paths", std::move(paths)},
      {"components", json::object{{"schemas", std::move(schemas)},
                                  {"securitySchemes",
                                   json::object{{"key", json::object{{"type", "http"}, {"scheme", "bearer"}}}}}}}});
}

}  // namespace truevec
