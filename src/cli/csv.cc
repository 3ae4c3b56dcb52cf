#include "cli/csv.h"

#include "cli/byte_source.h"

namespace truevec::cli {
namespace {

enum class State { kFieldStart, kPlain, kQuoted, kQuoteInQuoted };

// Takes one line; returns whether the record ends with it.
Result<bool> Feed(std::string_view line, char delimiter, State* state, std::string* field,
                  std::vector<std::string>* fields) {
  const auto finish = [&] {
    fields->push_back(std::move(*field));
    field->clear();
    *state = State::kFieldStart;
  };
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (*state == State::kQuoted) {
      if (c == '"') {
        *state = State::kQuoteInQuoted;
      } else {
        *field += c;
      }
      continue;
    }
    if (*state == State::kQuoteInQuoted && c == '"') {
      *field += '"';
      *state = State::kQuoted;
      continue;
    }
    const bool line_end = c == '\n' || (c == '\r' && (i + 1 == line.size() || line[i + 1] == '\n'));
    if (line_end) break;
    if (c == delimiter) {
      finish();
    } else if (*state == State::kQuoteInQuoted) {
      return InputError("a character after a closing quote; expected the delimiter");
    } else if (c == '"' && *state == State::kFieldStart) {
      *state = State::kQuoted;
    } else if (c == '"') {
      return InputError("a quote inside a field that is not quoted");
    } else {
      *field += c;
      *state = State::kPlain;
    }
  }
  if (*state == State::kQuoted) return false;
  finish();
  return true;
}

}  // namespace

Result<bool> ReadCsvRecord(const std::function<Result<bool>(std::string*)>& next, char delimiter,
                           std::vector<std::string>* fields) {
  fields->clear();
  State state = State::kFieldStart;
  std::string field;
  std::string line;
  bool first = true;
  while (true) {
    TV_ASSIGN_OR_RETURN(const bool more, next(&line));
    if (!more && first) return false;
    if (!more) return InputError("the file ends inside a quoted field");
    first = false;
    TV_ASSIGN_OR_RETURN(const bool done, Feed(line, delimiter, &state, &field, fields));
    if (done) return true;
    if (field.size() > LineSource::kMaxLine) {
      return InputError("a field of more than " + std::to_string(LineSource::kMaxLine) + " bytes");
    }
  }
}

}  // namespace truevec::cli
