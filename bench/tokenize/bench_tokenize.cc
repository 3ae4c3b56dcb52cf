// The truevec side of bench/tokenize: bench_tokenize TOKENIZER.json. Reads commands on stdin, answers a JSON line each:
//   warm PATH [REPEATS]   ids of the texts of PATH ({"text": ...} lines) once unmeasured, then REPEATS times
//   cold PATH             once, with nothing cached: in a child process forked before any text was seen
// Answer: thread CPU seconds of one pass (of the fastest, when repeated), the number of ids, and their CRC-32.
// One thread, no special tokens.
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace {

using Texts = std::vector<std::string>;

double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

truevec::Result<Texts> ReadTexts(const std::string& path) {
  TV_ASSIGN_OR_RETURN(const std::string bytes, truevec::ReadFile(path));
  Texts texts;
  std::istringstream lines(bytes);
  for (std::string line; std::getline(lines, line);) {
    TV_ASSIGN_OR_RETURN(truevec::json::value value, truevec::ParseJson(line, path));
    TV_ASSIGN_OR_RETURN(std::string text, truevec::JsonRef(&value, path)["text"].String());
    texts.push_back(std::move(text));
  }
  return texts;
}

struct Pass {
  double seconds = 0;
  std::vector<int32_t> ids;
};

truevec::Status Run(const truevec::Tokenizer& tokenizer, const Texts& texts, Pass* pass) {
  pass->ids.clear();
  truevec::EncodeOptions options;
  options.add_special_tokens = false;
  const double begin = ThreadSeconds();
  for (const std::string& text : texts) TV_RETURN_IF_ERROR(tokenizer.EncodeIds(text, options, &pass->ids));
  pass->seconds = ThreadSeconds() - begin;
  return truevec::Status::Ok();
}

// CRC-32 (zlib's) over the ids as 4 little-endian bytes.
uint32_t Checksum(const std::vector<int32_t>& ids) {
  uint32_t crc = 0xFFFFFFFF;
  for (const int32_t id : ids) {
    crc ^= static_cast<uint32_t>(id);
    for (int bit = 0; bit < 32; ++bit) crc = crc >> 1 ^ (0xEDB88320 & (0 - (crc & 1)));
  }
  return ~crc;
}

truevec::Status Answer(const truevec::Tokenizer& tokenizer, const Texts& texts, int repeats, std::ostream& out) {
  Pass pass;
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    TV_RETURN_IF_ERROR(Run(tokenizer, texts, &pass));
    best = std::min(best, pass.seconds);
  }
  out << R"({"seconds": )" << best << R"(, "ids": )" << pass.ids.size() << R"(, "checksum": ")" << std::hex
      << Checksum(pass.ids) << std::dec << "\"}\n"
      << std::flush;
  return truevec::Status::Ok();
}

// In a child, whose tokenizer has not seen a text if this one has not.
truevec::Status AnswerCold(const truevec::Tokenizer& tokenizer, const Texts& texts) {
  const pid_t child = fork();
  if (child == 0) {
    const truevec::Status status = Answer(tokenizer, texts, 1, std::cout);
    if (!status.ok()) std::cerr << status.message() << "\n";
    _exit(status.ok() ? 0 : 1);
  }
  int state = 0;
  if (child < 0 || waitpid(child, &state, 0) < 0 || state != 0) return truevec::InternalError("the child failed");
  return truevec::Status::Ok();
}

truevec::Status Main(const std::string& path) {
  TV_ASSIGN_OR_RETURN(const auto cold, truevec::Tokenizer::LoadFile(path));
  TV_ASSIGN_OR_RETURN(const auto warm, truevec::Tokenizer::LoadFile(path));
  std::map<std::string, Texts> sets;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb;
    std::string file;
    int repeats = 1;
    words >> verb >> file >> repeats;
    if (!sets.contains(file)) {
      TV_ASSIGN_OR_RETURN(sets[file], ReadTexts(file));
    }
    const Texts& texts = sets[file];
    if (verb == "cold") {
      TV_RETURN_IF_ERROR(AnswerCold(*cold, texts));
      continue;
    }
    Pass unmeasured;
    TV_RETURN_IF_ERROR(Run(*warm, texts, &unmeasured));
    TV_RETURN_IF_ERROR(Answer(*warm, texts, std::max(repeats, 1), std::cout));
  }
  return truevec::Status::Ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: bench_tokenize TOKENIZER.json\n";
    return 2;
  }
  const truevec::Status status = Main(argv[1]);
  if (!status.ok()) std::cerr << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
