#include "tokenizer/sentencepiece_model.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "base/file.h"
#include "unicode/unicode.h"

namespace truevec {
namespace {

struct Field {
  uint64_t number = 0;
  uint64_t value = 0;      // wire types 0, 1 and 5
  std::string_view bytes;  // wire type 2
};

// Walks the fields of one protobuf message.
class Fields {
 public:
  explicit Fields(std::string_view data) : data_(data) {}

  // False at the end and at malformed data (then bad() holds).
  bool Next(Field* field) {
    if (data_.empty()) return false;
    uint64_t key = 0;
    if (!Varint(&key)) return false;
    field->number = key >> 3;
    field->bytes = {};
    field->value = 0;
    switch (key & 7) {
      case 0:
        return Varint(&field->value);
      case 1:
        return Fixed(8, &field->value);
      case 5:
        return Fixed(4, &field->value);
      case 2: {
        uint64_t size = 0;
        if (!Varint(&size)) return false;
        if (size > data_.size()) return Fail();
        field->bytes = data_.substr(0, size);
        data_.remove_prefix(size);
        return true;
      }
      default:
        return Fail();
    }
  }
  bool bad() const { return bad_; }

 private:
  bool Fail() {
    bad_ = true;
    return false;
  }
  bool Varint(uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (data_.empty()) return Fail();
      const auto byte = static_cast<unsigned char>(data_.front());
      data_.remove_prefix(1);
      *value |= uint64_t{byte & 0x7Fu} << shift;
      if ((byte & 0x80u) == 0) return true;
    }
    return Fail();
  }
  bool Fixed(size_t size, uint64_t* value) {
    if (data_.size() < size) return Fail();
    std::memcpy(value, data_.data(), size);
    data_.remove_prefix(size);
    return true;
  }

  std::string_view data_;
  bool bad_ = false;
};

bool ParsePiece(std::string_view data, SentencePieceModel::Piece* piece) {
  Fields fields(data);
  for (Field field; fields.Next(&field);) {
    if (field.number == 1) piece->text = field.bytes;
    if (field.number == 2) {
      const auto bits = static_cast<uint32_t>(field.value);
      std::memcpy(&piece->score, &bits, sizeof bits);
    }
    if (field.number == 3) piece->type = static_cast<int64_t>(field.value);
  }
  return !fields.bad() && !FirstInvalidUtf8(piece->text);
}

}  // namespace

Result<SentencePieceModel> SentencePieceModel::Load(const std::string& path, const std::string& name) {
  TV_ASSIGN_OR_RETURN(const std::string data, ReadFile(path));
  SentencePieceModel model;
  Fields fields(data);
  bool good = true;
  for (Field field; fields.Next(&field);) {
    if (field.number == 1) {
      good = good && ParsePiece(field.bytes, &model.pieces.emplace_back());
    } else if (field.number == 2 || field.number == 3) {
      Fields inner(field.bytes);
      for (Field f; inner.Next(&f);) {
        if (field.number == 2 && f.number == 40) model.unk_id = static_cast<int64_t>(f.value);
        if (field.number == 3 && f.number == 2) model.charsmap = f.bytes;
      }
      good = good && !inner.bad();
    }
  }
  if (!good || fields.bad() || model.pieces.empty()) return ModelError(name + ": not a SentencePiece model");
  return model;
}

json::array SentencePieceModel::Scores(size_t from) const {
  json::array list;
  for (size_t i = from; i < pieces.size(); ++i) list.push_back(json::array{pieces[i].text, double{pieces[i].score}});
  return list;
}

json::object SentencePieceModel::Ids() const {
  json::object ids;
  for (size_t i = 0; i < pieces.size(); ++i) ids[pieces[i].text] = static_cast<int64_t>(i);
  return ids;
}

json::array SentencePieceModel::Merges() const {
  std::unordered_map<std::string_view, int64_t> ids;
  for (size_t i = 0; i < pieces.size(); ++i) ids[pieces[i].text] = static_cast<int64_t>(i);
  json::array merges;
  using Split = std::tuple<size_t, int64_t, int64_t, std::string_view, std::string_view>;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::string_view text = pieces[i].text;
    if (ids[text] != static_cast<int64_t>(i)) continue;
    std::vector<Split> splits;
    size_t left_length = 0;
    for (size_t at = 0; at < text.size();) {
      NextCodePoint(text, &at);
      ++left_length;
      if (at >= text.size()) break;
      const auto left = ids.find(text.substr(0, at));
      const auto right = ids.find(text.substr(at));
      if (left != ids.end() && right != ids.end()) {
        splits.emplace_back(left_length, left->second, right->second, text.substr(0, at), text.substr(at));
      }
    }
    std::sort(splits.begin(), splits.end());
    for (const Split& split : splits) merges.push_back(json::array{std::get<3>(split), std::get<4>(split)});
  }
  return merges;
}

std::string SentencePieceModel::CharsmapBase64() const {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < charsmap.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < charsmap.size() ? static_cast<unsigned char>(charsmap[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) {
      out.push_back(i + k <= charsmap.size() ? kDigits[group >> (18 - 6 * k) & 63] : '=');
    }
  }
  return out;
}

}  // namespace truevec
