// Reads texts from a file or stdin, one record at a time: .txt (a text a line), .jsonl ({"text": ...}), .csv and .tsv
// (a header line names the columns), each also as .gz or .zst.
#ifndef TRUEVEC_CLI_TEXT_READER_H_
#define TRUEVEC_CLI_TEXT_READER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "cli/byte_source.h"

namespace truevec::cli {

struct TextRecord {
  std::string text;
  std::optional<std::string> pair;  // of the pair column, when the record has one
  json::value id;                   // of the id column; null when there is none
  int64_t line = 0;                 // 1-based, where the record begins
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

  // The next record; false at the end. Errors name file and line; the texts are checked to be UTF-8.
  Result<bool> Next(TextRecord* record);
  const std::string& name() const { return name_; }

 private:
  enum class Format { kText, kJsonLines, kCsv, kUnknown };
  explicit TextReader(LineSource lines) : lines_(std::move(lines)) {}
  // A line with its line break, checked; counts it.
  Result<bool> ReadLine(std::string* line);
  Result<bool> NextCsv(TextRecord* record);
  Status ReadHeader();
  Status ParseJsonLine(const std::string& line, TextRecord* record) const;
  std::string Where() const { return name_ + ":" + std::to_string(line_); }

  LineSource lines_;
  std::string name_;
  Options options_;
  Format format_ = Format::kUnknown;
  char delimiter_ = ',';
  std::vector<std::string> header_;
  int64_t line_ = 0;
};

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_TEXT_READER_H_
