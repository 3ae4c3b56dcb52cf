#include "cli/text_reader.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "unicode/unicode.h"

namespace truevec::cli {

Result<std::unique_ptr<TextReader>> TextReader::Open(const std::string& path, const Options& options) {
  auto reader = std::unique_ptr<TextReader>(new TextReader());
  reader->options_ = options;
  reader->name_ = path == "-" ? "stdin" : path;
  if (path.ends_with(".jsonl") || path.ends_with(".ndjson")) reader->format_ = Format::kJsonLines;
  if (path.ends_with(".txt")) reader->format_ = Format::kText;
  if (path == "-") {
    reader->file_ = stdin;
    return reader;
  }
  if (reader->format_ == Format::kUnknown && path.find('.', path.rfind('/') + 1) != std::string::npos) {
    return UsageError(path + ": unknown input format; expected .txt or .jsonl");
  }
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return InputError(path + ": is a directory");
  reader->file_ = std::fopen(path.c_str(), "rbe");
  if (reader->file_ == nullptr) return InputError(path + ": cannot open: " + std::strerror(errno));
  return reader;
}

TextReader::~TextReader() {
  if (file_ != nullptr && file_ != stdin) std::fclose(file_);
  std::free(buffer_);
}

Result<bool> TextReader::ReadLine(std::string* line) {
  errno = 0;
  const ssize_t n = ::getline(&buffer_, &capacity_, file_);
  if (n < 0) {
    if (std::ferror(file_) != 0) return InputError(Where() + ": cannot read: " + std::strerror(errno));
    return false;
  }
  ++line_;
  line->assign(buffer_, static_cast<size_t>(n));
  if (line->ends_with('\n')) line->pop_back();
  if (line->ends_with('\r')) line->pop_back();
  if (const auto bad = FirstInvalidUtf8(*line)) {
    return InputError(Where() + ": invalid UTF-8 at byte " + std::to_string(*bad) + " of the line");
  }
  return true;
}

Status TextReader::ParseJsonLine(const std::string& line, TextRecord* record) const {
  auto file = JsonFile::Parse(line, Where(), Code::kBadInput);
  if (!file.ok()) return file.status();
  const JsonRef root = file->root();
  const auto as_input = [](const Status& status) { return InputError(status.message()); };
  if (!root.is_object()) return as_input(root.TypeError("an object with \"" + options_.text_column + "\""));
  auto text = root[options_.text_column].String();
  if (!text.ok()) return as_input(text.status());
  record->text = std::move(text).value();
  if (const JsonRef pair = root[options_.pair_column]; pair.present() && !pair.is_null()) {
    auto value = pair.String();
    if (!value.ok()) return as_input(value.status());
    record->pair = std::move(value).value();
  }
  if (!options_.id_column.empty()) {
    const JsonRef id = root[options_.id_column];
    if (!id.present()) return as_input(id.TypeError("an id"));
    record->id = id.value();
  }
  return Status::Ok();
}

Result<bool> TextReader::Next(TextRecord* record) {
  std::string line;
  while (true) {
    TV_ASSIGN_OR_RETURN(const bool more, ReadLine(&line));
    if (!more) return false;
    if (format_ == Format::kUnknown) format_ = line.starts_with('{') ? Format::kJsonLines : Format::kText;
    *record = {};
    record->line = line_;
    if (format_ == Format::kText) {
      record->text = std::move(line);
      return true;
    }
    if (line.find_first_not_of(" \t") == std::string::npos) continue;  // blank lines between records
    TV_RETURN_IF_ERROR(ParseJsonLine(line, record));
    return true;
  }
}

}  // namespace truevec::cli
