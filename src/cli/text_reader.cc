#include "cli/text_reader.h"

#include <algorithm>

#include "cli/csv.h"
#include "unicode/unicode.h"

namespace truevec::cli {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

void DropLineBreak(std::string* line) {
  if (line->ends_with('\n')) line->pop_back();
  if (line->ends_with('\r')) line->pop_back();
}

Status AsInput(const Status& status) { return InputError(status.message()); }

}  // namespace

Result<std::unique_ptr<TextReader>> TextReader::Open(const std::string& path, const Options& options) {
  const std::string_view plain = WithoutCompression(path);
  Format format = Format::kUnknown;
  if (plain.ends_with(".jsonl") || plain.ends_with(".ndjson")) format = Format::kJsonLines;
  if (plain.ends_with(".txt")) format = Format::kText;
  if (plain.ends_with(".csv") || plain.ends_with(".tsv")) format = Format::kCsv;
  if (path != "-" && format == Format::kUnknown && plain.find('.', plain.rfind('/') + 1) != std::string_view::npos) {
    return UsageError(path +
                      ": unknown input format; expected .txt, .jsonl, .csv or .tsv, or one of them as .gz or "
                      ".zst");
  }
  TV_ASSIGN_OR_RETURN(LineSource lines, LineSource::Open(path));
  auto reader = std::unique_ptr<TextReader>(new TextReader(std::move(lines)));
  reader->options_ = options;
  reader->name_ = path == "-" ? "stdin" : path;
  reader->format_ = format;
  reader->delimiter_ = plain.ends_with(".tsv") ? '\t' : ',';
  if (format == Format::kCsv) TV_RETURN_IF_ERROR(reader->ReadHeader());
  return reader;
}

Result<bool> TextReader::ReadLine(std::string* line) {
  const Result<bool> more = lines_.Next(line);
  if (!more.ok()) {
    const std::string& message = more.status().message();
    return InputError((message.starts_with(name_) ? "" : name_ + ":" + std::to_string(line_ + 1) + ": ") + message);
  }
  if (!*more) return false;
  ++line_;
  if (line_ == 1 && format_ != Format::kText && line->starts_with(kByteOrderMark)) {
    line->erase(0, kByteOrderMark.size());
  }
  if (const auto bad = FirstInvalidUtf8(*line)) {
    return InputError(Where() + ": invalid UTF-8 at byte " + std::to_string(*bad) + " of the line");
  }
  return true;
}

Status TextReader::ReadHeader() {
  const Result<bool> more = ReadCsvRecord([&](std::string* line) { return ReadLine(line); }, delimiter_, &header_);
  if (!more.ok()) {
    return more.status().message().starts_with(name_) ? more.status()
                                                      : InputError(Where() + ": " + more.status().message());
  }
  if (!*more) return InputError(name_ + ": is empty; expected a header line that names the columns");
  for (const std::string& wanted : {options_.text_column, options_.id_column}) {
    if (wanted.empty() || std::find(header_.begin(), header_.end(), wanted) != header_.end()) continue;
    std::string columns;
    for (const std::string& column : header_) columns += (columns.empty() ? "" : ", ") + column;
    return InputError(name_ + ":1: no column \"" + wanted + "\"; the header has: " + columns);
  }
  return Status::Ok();
}

Result<bool> TextReader::NextCsv(TextRecord* record) {
  std::vector<std::string> fields;
  while (true) {
    const int64_t first = line_ + 1;
    const Result<bool> more = ReadCsvRecord([&](std::string* line) { return ReadLine(line); }, delimiter_, &fields);
    const std::string where = name_ + ":" + std::to_string(first) + ": ";
    if (!more.ok()) {
      return more.status().message().starts_with(name_) ? more.status() : InputError(where + more.status().message());
    }
    if (!*more) return false;
    if (fields.size() == 1 && fields[0].empty() && header_.size() > 1) continue;  // a blank line
    if (fields.size() != header_.size()) {
      return InputError(where + "expected " + std::to_string(header_.size()) + " fields, got " +
                        std::to_string(fields.size()));
    }
    *record = {};
    record->line = first;
    for (size_t i = 0; i < fields.size(); ++i) {
      if (header_[i] == options_.id_column) record->id = json::value(fields[i]);
      if (header_[i] == options_.pair_column) record->pair = fields[i];
      if (header_[i] == options_.text_column) record->text = std::move(fields[i]);
    }
    return true;
  }
}

Status TextReader::ParseJsonLine(const std::string& line, TextRecord* record) const {
  auto file = JsonFile::Parse(line, Where(), Code::kBadInput);
  if (!file.ok()) return file.status();
  const JsonRef root = file->root();
  if (!root.is_object()) return AsInput(root.TypeError("an object with \"" + options_.text_column + "\""));
  auto text = root[options_.text_column].String();
  if (!text.ok()) return AsInput(text.status());
  record->text = std::move(text).value();
  if (const JsonRef pair = root[options_.pair_column]; pair.present() && !pair.is_null()) {
    auto value = pair.String();
    if (!value.ok()) return AsInput(value.status());
    record->pair = std::move(value).value();
  }
  if (!options_.id_column.empty()) {
    const JsonRef id = root[options_.id_column];
    if (!id.present()) return AsInput(id.TypeError("an id"));
    record->id = id.value();
  }
  return Status::Ok();
}

Result<bool> TextReader::Next(TextRecord* record) {
  if (format_ == Format::kCsv) return NextCsv(record);
  std::string line;
  while (true) {
    TV_ASSIGN_OR_RETURN(const bool more, ReadLine(&line));
    if (!more) return false;
    DropLineBreak(&line);
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
