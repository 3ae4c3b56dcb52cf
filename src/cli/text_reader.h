// Reads texts from a file or stdin, one record at a time: .txt (a text a line) and .jsonl ({"text": ...}).
#ifndef TRUEVEC_CLI_TEXT_READER_H_
#define TRUEVEC_CLI_TEXT_READER_H_

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/status.h"

namespace truevec::cli {

struct TextRecord {
  std::string text;
  std::optional<std::string> pair;  // of the pair column of a .jsonl record
  json::value id;                   // of the id column; null when there is none
  int64_t line = 0;                 // 1-based
};

class TextReader {
 public:
  struct Options {
    std::string text_column = "text";
    std::string id_column;  // "" none
    std::string pair_column = "text_pair";
  };
  // "-" is stdin; its format is .jsonl when the first line begins with '{', else .txt.
  static Result<std::unique_ptr<TextReader>> Open(const std::string& path, const Options& options);
  ~TextReader();
  TextReader(const TextReader&) = delete;
  TextReader& operator=(const TextReader&) = delete;

  // The next record; false at the end. Errors name file and line; the texts are checked to be UTF-8.
  Result<bool> Next(TextRecord* record);
  const std::string& name() const { return name_; }

 private:
  enum class Format { kText, kJsonLines, kUnknown };
  TextReader() = default;
  Result<bool> ReadLine(std::string* line);
  Status ParseJsonLine(const std::string& line, TextRecord* record) const;
  std::string Where() const { return name_ + ":" + std::to_string(line_); }

  std::FILE* file_ = nullptr;
  std::string name_;
  Options options_;
  Format format_ = Format::kUnknown;
  int64_t line_ = 0;
  char* buffer_ = nullptr;  // getline's
  size_t capacity_ = 0;
};

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_TEXT_READER_H_
