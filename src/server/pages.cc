// What a browser asks for: the page at / (web/), Swagger UI at /docs, /openapi.json.
#include "net/content_coding.h"
#include "server/app.h"
#include "server/assets.h"

namespace truevec {
namespace {

void OpenApi(const CallPtr& call, const Body&) {
  ServerResponse response;
  response.body = call->app().openapi();
  call->Reply(std::move(response));
}

void SendAsset(const CallPtr& call, std::string_view name, const char* type) {
  const std::string_view packed = FindAsset(name);
  if (packed.empty()) return call->Fail({ErrorKind::kNoRoute, "no route " + call->path()});
  ServerResponse response;
  response.content_type = type;
  // What the page may load: itself. Swagger UI sets styles and uses data: images.
  response.headers["content-security-policy"] =
      "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
  response.headers["x-content-type-options"] = "nosniff";
  response.headers["vary"] = "accept-encoding";
  if (AcceptsCoding(call->request().Header("accept-encoding"), "gzip")) {
    response.body = std::string(packed);
    response.headers["content-encoding"] = "gzip";
    response.encoded = true;
  } else {
    auto plain = DecodeContent("gzip", std::string(packed), size_t{16} << 20);
    TV_CHECK(plain.ok());
    response.body = std::move(plain).value();
  }
  call->Reply(std::move(response));
}

// Browsers get the page; probes, and clients that ask whether somebody is there, what /health says.
void Home(const CallPtr& call, const Body&) {
  if (call->request().Header("accept").find("text/html") != std::string_view::npos) {
    return SendAsset(call, "index.html", "text/html; charset=utf-8");
  }
  if (call->app().ready()) return call->ReplyJson(json::object{{"status", "ok"}});
  call->Fail({ErrorKind::kUnavailable, "not ready"});
}

void Docs(const CallPtr& call, const Body&) { SendAsset(call, "docs.html", "text/html; charset=utf-8"); }

void Script(const CallPtr& call, const Body&) {
  SendAsset(call, call->request().path.substr(1), "text/javascript; charset=utf-8");
}
void Style(const CallPtr& call, const Body&) {
  SendAsset(call, call->request().path.substr(1), "text/css; charset=utf-8");
}

}  // namespace

std::vector<Route> PageRoutes() {
  constexpr const char* kObject = R"({"type":"object","required":["openapi","paths"]})";
  constexpr Access kOpen = Access::kOpen;
  return {{"GET", "/openapi.json", kOpen, &kOwn, nullptr, OpenApi, "This description.", kObject},
          {"GET", "/api-doc/openapi.json", kOpen, &kOwn, nullptr, OpenApi, "This description.", kObject},
          {"GET", "/", kOpen, &kOwn, nullptr, Home, "A page to try it; for probes as /health.", nullptr},
          {"GET", "/docs", kOpen, &kOwn, nullptr, Docs, "Swagger UI.", nullptr},
          {"GET", "/page.js", kOpen, &kOwn, nullptr, Script, "Of the page.", nullptr},
          {"GET", "/page.css", kOpen, &kOwn, nullptr, Style, "Of the page.", nullptr},
          {"GET", "/docs.js", kOpen, &kOwn, nullptr, Script, "Of /docs.", nullptr},
          {"GET", "/swagger-ui-bundle.js", kOpen, &kOwn, nullptr, Script, "Of /docs.", nullptr},
          {"GET", "/swagger-ui.css", kOpen, &kOwn, nullptr, Style, "Of /docs.", nullptr}};
}

}  // namespace truevec
