#include "net/content_coding.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <memory>

namespace truevec {
namespace {

constexpr size_t kChunk = size_t{64} << 10;
constexpr int kMostCodings = 4;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

Status TooLong(size_t limit) {
  return ResourceError("the decompressed body is longer than " + std::to_string(limit) + " bytes");
}

// gzip and zlib streams are told apart by their header (window bits 47).
Result<std::string> Inflate(std::string_view body, size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, 47) != Z_OK) return ResourceError("out of memory while decompressing");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  std::string out;
  for (int state = Z_OK; state != Z_STREAM_END;) {
    const size_t used = out.size();
    out.resize(used + kChunk);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    stream.avail_out = static_cast<uInt>(kChunk);
    state = inflate(&stream, Z_NO_FLUSH);
    out.resize(used + kChunk - stream.avail_out);
    if (state != Z_OK && state != Z_STREAM_END) return InputError("the body is not valid gzip or deflate");
    if (out.size() > limit) return TooLong(limit);
    if (state == Z_OK && stream.avail_in == 0 && stream.avail_out > 0) {
      return InputError("the compressed body ends too early");
    }
    // Further gzip members.
    if (state == Z_STREAM_END && stream.avail_in > 0) {
      if (inflateReset(&stream) != Z_OK) return InputError("the body is not valid gzip");
      state = Z_OK;
    }
  }
  return out;
}

Result<std::string> DecodeZstd(std::string_view body, size_t limit) {
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (context == nullptr) return ResourceError("out of memory while decompressing");
  // RFC 8878 asks for windows of 8 MiB at least; more would let a small body claim much memory.
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, 23);
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  std::string out;
  size_t left = 1;
  while (in.pos < in.size || left != 0) {
    const size_t used = out.size();
    out.resize(used + kChunk);
    ZSTD_outBuffer chunk{out.data() + used, kChunk, 0};
    left = ZSTD_decompressStream(context.get(), &chunk, &in);
    out.resize(used + chunk.pos);
    if (ZSTD_isError(left) != 0) return InputError("the body is not valid zstd");
    if (out.size() > limit) return TooLong(limit);
    if (in.pos == in.size && left != 0 && chunk.pos < kChunk) return InputError("the compressed body ends too early");
  }
  return out;
}

std::string Gzip(std::string_view body) {
  z_stream stream{};
  if (deflateInit2(&stream, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(deflateBound(&stream, body.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int state = deflate(&stream, Z_FINISH);
  out.resize(state == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

// The weight of `coding` in an Accept-Encoding header: 0 when it is not accepted.
double Weight(std::string_view header, std::string_view coding) {
  double any = 0;
  while (!header.empty()) {
    const size_t comma = header.find(',');
    std::string_view item = Trim(header.substr(0, comma));
    header = comma == std::string_view::npos ? std::string_view() : header.substr(comma + 1);
    double weight = 1;
    if (const size_t semicolon = item.find(';'); semicolon != std::string_view::npos) {
      const std::string parameter(Trim(item.substr(semicolon + 1)));
      if (parameter.starts_with("q=") || parameter.starts_with("Q=")) weight = std::atof(parameter.c_str() + 2);
      item = Trim(item.substr(0, semicolon));
    }
    const std::string name = Lower(item);
    if (name == coding || (coding == "gzip" && name == "x-gzip")) return weight;
    if (name == "*") any = weight;
  }
  return any;
}

}  // namespace

Result<std::string> DecodeContent(std::string_view coding, std::string body, size_t limit) {
  // Codings are listed in the order of their application; the last is undone first. Each may cost the whole limit.
  if (std::count(coding.begin(), coding.end(), ',') >= kMostCodings) {
    return UsageError("content-encoding: expected at most " + std::to_string(kMostCodings) + " codings");
  }
  while (!coding.empty()) {
    const size_t comma = coding.rfind(',');
    const std::string name = Lower(Trim(comma == std::string_view::npos ? coding : coding.substr(comma + 1)));
    coding = comma == std::string_view::npos ? std::string_view() : coding.substr(0, comma);
    if (name.empty() || name == "identity") continue;
    if (name == "gzip" || name == "x-gzip" || name == "deflate") {
      TV_ASSIGN_OR_RETURN(body, Inflate(body, limit));
    } else if (name == "zstd") {
      TV_ASSIGN_OR_RETURN(body, DecodeZstd(body, limit));
    } else {
      return UsageError("content-encoding \"" + name + "\" is not known; expected gzip, deflate, zstd or identity");
    }
  }
  return body;
}

std::string_view ChooseCoding(std::string_view accept_encoding) {
  const double zstd = Weight(accept_encoding, "zstd");
  const double gzip = Weight(accept_encoding, "gzip");
  if (zstd > 0 && zstd >= gzip) return "zstd";
  return gzip > 0 ? "gzip" : "";
}

bool AcceptsCoding(std::string_view accept_encoding, std::string_view coding) {
  return Weight(accept_encoding, coding) > 0;
}

std::string EncodeContent(std::string_view coding, std::string_view body) {
  if (coding == "gzip") return Gzip(body);
  std::string out(ZSTD_compressBound(body.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), body.data(), body.size(), 1);
  out.resize(ZSTD_isError(size) != 0 ? 0 : size);
  return out;
}

}  // namespace truevec
