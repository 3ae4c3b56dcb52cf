#include "pipeline/jinja_scanner.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "unicode/unicode.h"

namespace truevec::jinja {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

class Scanner {
 public:
  explicit Scanner(std::string source) : source_(std::move(source)) {}

  Result<std::vector<Piece>> Run() {
    // Newlines are normalised, and one at the very end is dropped (keep_trailing_newline is off).
    std::string clean;
    for (size_t i = 0; i < source_.size(); ++i) {
      if (source_[i] == '\r') {
        clean += '\n';
        if (i + 1 < source_.size() && source_[i + 1] == '\n') ++i;
      } else {
        clean += source_[i];
      }
    }
    source_ = std::move(clean);
    if (source_.ends_with('\n')) source_.pop_back();
    while (at_ < source_.size()) TV_RETURN_IF_ERROR(Step());
    return std::move(pieces_);
  }

 private:
  Status Step() {
    size_t open = at_;
    while (true) {
      open = source_.find('{', open);
      if (open == std::string::npos || open + 1 >= source_.size()) return Text(source_.size());
      const char next = source_[open + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++open;
    }
    const char kind = source_[open + 1];
    const char sign = open + 2 < source_.size() ? source_[open + 2] : ' ';
    size_t end = open;
    if (sign == '-') {
      while (end > at_ && IsSpace(source_[end - 1])) --end;
    } else if (sign != '+' && kind != '{') {
      // lstrip_blocks: blanks between the start of a line and a tag or comment
      size_t start = end;
      while (start > at_ && (source_[start - 1] == ' ' || source_[start - 1] == '\t')) --start;
      const bool line_start = start == 0 || source_[start - 1] == '\n';
      if (line_start) end = start;
    }
    AddText(end);
    SetPosition(open + 2);
    if (sign == '-' || sign == '+') SetPosition(at_ + 1);
    if (kind == '#') return Comment();
    return Inside(kind);
  }

  Status Text(size_t end) {
    AddText(end);
    SetPosition(end);
    return Status::Ok();
  }

  void AddText(size_t end) {
    if (end > at_) pieces_.push_back({Piece::Kind::kText, source_.substr(at_, end - at_), {}, line_});
  }

  void SetPosition(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at_ = to;
  }

  // After a closing delimiter: "-" strips all white space, a tag or comment one newline.
  void AfterClose(bool minus, bool plus, bool trims) {
    size_t next = at_;
    if (minus) {
      while (next < source_.size() && IsSpace(source_[next])) ++next;
    } else if (trims && !plus && next < source_.size() && source_[next] == '\n') {
      ++next;
    }
    SetPosition(next);
  }

  Status Comment() {
    const size_t close = source_.find("#}", at_);
    if (close == std::string::npos) return Problem(line_, "a comment without #}");
    const char sign = close > at_ ? source_[close - 1] : ' ';
    SetPosition(close + 2);
    AfterClose(sign == '-', sign == '+', true);
    return Status::Ok();
  }

  Status Inside(char kind) {
    Piece piece;
    piece.kind = kind == '{' ? Piece::Kind::kOutput : Piece::Kind::kTag;
    piece.line = line_;
    const std::string_view close = kind == '{' ? "}}" : "%}";
    int depth = 0;
    while (true) {
      while (at_ < source_.size() && IsSpace(source_[at_])) SetPosition(at_ + 1);
      if (at_ >= source_.size()) return Problem(piece.line, "a tag without " + std::string(close));
      const std::string_view rest = std::string_view(source_).substr(at_);
      const bool minus = rest.starts_with("-" + std::string(close));
      const bool plus = rest.starts_with("+" + std::string(close));
      if (depth == 0 && (minus || plus || rest.starts_with(close))) {
        SetPosition(at_ + close.size() + (minus || plus ? 1 : 0));
        AfterClose(minus, plus, kind == '%');
        break;
      }
      TV_ASSIGN_OR_RETURN(Token token, Next());
      if (token.kind == TokenKind::kOperator) {
        if (token.text == "(" || token.text == "[" || token.text == "{") ++depth;
        if (token.text == ")" || token.text == "]" || token.text == "}") --depth;
      }
      piece.tokens.push_back(std::move(token));
    }
    if (piece.kind == Piece::Kind::kTag && piece.tokens.size() == 1 && piece.tokens[0].text == "raw") return Raw();
    pieces_.push_back(std::move(piece));
    return Status::Ok();
  }

  Status Raw() {
    for (size_t open = source_.find("{%", at_); open != std::string::npos; open = source_.find("{%", open + 2)) {
      size_t i = open + 2;
      const bool minus = i < source_.size() && source_[i] == '-';
      if (minus) ++i;
      while (i < source_.size() && IsSpace(source_[i])) ++i;
      if (source_.compare(i, 6, "endraw") != 0) continue;
      i += 6;
      while (i < source_.size() && IsSpace(source_[i])) ++i;
      const bool strip = i < source_.size() && source_[i] == '-';
      if (strip) ++i;
      if (source_.compare(i, 2, "%}") != 0) continue;
      size_t end = open;
      while (minus && end > at_ && IsSpace(source_[end - 1])) --end;
      AddText(end);
      SetPosition(i + 2);
      AfterClose(strip, false, true);
      return Status::Ok();
    }
    return Problem(line_, "{% raw %} without {% endraw %}");
  }

  Result<Token> Next() {
    Token token;
    token.line = line_;
    const char c = source_[at_];
    size_t end = at_;
    if (IsNameStart(c)) {
      while (end < source_.size() && (IsNameStart(source_[end]) || IsDigit(source_[end]))) ++end;
      token.kind = TokenKind::kName;
    } else if (IsDigit(c)) {
      token.kind = TokenKind::kInt;
      while (end < source_.size() && IsDigit(source_[end])) ++end;
      if (end + 1 < source_.size() && source_[end] == '.' && IsDigit(source_[end + 1])) {
        token.kind = TokenKind::kFloat;
        ++end;
        while (end < source_.size() && IsDigit(source_[end])) ++end;
      }
      size_t exponent = end + 1;
      if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) ++exponent;
      if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E') && exponent < source_.size() &&
          IsDigit(source_[exponent])) {
        token.kind = TokenKind::kFloat;
        end = exponent;
        while (end < source_.size() && IsDigit(source_[end])) ++end;
      }
    } else if (c == '\'' || c == '"') {
      return String(c);
    } else {
      static constexpr std::array<std::string_view, 7> kPairs = {"==", "!=", "<=", ">=", "**", "//", "->"};
      const std::string_view two = std::string_view(source_).substr(at_, 2);
      const bool pair = std::find(kPairs.begin(), kPairs.end(), two) != kPairs.end();
      if (!pair && std::string_view("+-*/%~<>=()[]{},.:|").find(c) == std::string_view::npos) {
        return Problem(line_, std::string("unexpected character \"") + c + "\"");
      }
      end += pair ? 2 : 1;
      token.kind = TokenKind::kOperator;
    }
    token.text = source_.substr(at_, std::max<size_t>(end - at_, 1));
    SetPosition(std::max(end, at_ + 1));
    return token;
  }

  Result<Token> String(char quote) {
    Token token{TokenKind::kString, "", line_};
    size_t i = at_ + 1;
    for (; i < source_.size() && source_[i] != quote; ++i) {
      if (source_[i] != '\\' || i + 1 >= source_.size()) {
        token.text += source_[i];
        continue;
      }
      const char e = source_[++i];
      switch (e) {
        case 'n':
          token.text += '\n';
          break;
        case 't':
          token.text += '\t';
          break;
        case 'r':
          token.text += '\r';
          break;
        case 'b':
          token.text += '\b';
          break;
        case 'f':
          token.text += '\f';
          break;
        case '\\':
        case '\'':
        case '"':
          token.text += e;
          break;
        case 'u':
        case 'x': {
          const size_t digits = e == 'u' ? 4 : 2;
          uint32_t cp = 0;
          const char* first = source_.data() + i + 1;
          if (i + digits >= source_.size() || std::from_chars(first, first + digits, cp, 16).ptr != first + digits) {
            return Problem(line_, "a broken escape in a string");
          }
          AppendUtf8(cp, &token.text);
          i += digits;
          break;
        }
        default:  // Python keeps unknown escapes
          token.text += '\\';
          token.text += e;
      }
    }
    if (i >= source_.size()) return Problem(line_, "a string without its closing quote");
    SetPosition(i + 1);
    return token;
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  std::vector<Piece> pieces_;
};

}  // namespace

Status Problem(int line, const std::string& what) { return ModelError("line " + std::to_string(line) + ": " + what); }

Result<std::vector<Piece>> ScanTemplate(std::string_view source) { return Scanner(std::string(source)).Run(); }

}  // namespace truevec::jinja
