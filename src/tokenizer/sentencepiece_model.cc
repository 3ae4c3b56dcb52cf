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

constexpr size_t kMaxPieceBytes = 4096;  // each split of a piece is looked up
constexpr size_t kMaxPieces = size_t{1} << 24;

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
  return !fields.bad() && piece->text.size() <= kMaxPieceBytes && !FirstInvalidUtf8(piece->text);
}

void ReadTrainerSpec(const Field& field, SentencePieceModel* model) {
  const auto number = static_cast<int64_t>(static_cast<int32_t>(field.value));
  switch (field.number) {
    case 3:
      model->model_type = number;
      break;
    case 35:
      model->byte_fallback = number != 0;
      break;
    case 40:
      model->unk_id = number;
      break;
    case 41:
      model->bos_id = number;
      break;
    case 42:
      model->eos_id = number;
      break;
    case 45:
      model->unk_piece = field.bytes;
      break;
    case 46:
      model->bos_piece = field.bytes;
      break;
    case 47:
      model->eos_piece = field.bytes;
      break;
    default:
      break;
  }
}

}  // namespace

Result<SentencePieceModel> SentencePieceModel::Load(const std::string& path, const std::string& name) {
  TV_ASSIGN_OR_RETURN(const std::string data, ReadFile(path));
  return Parse(data, name);
}

Result<SentencePieceModel> SentencePieceModel::Parse(std::string_view data, const std::string& name) {
  SentencePieceModel model;
  Fields fields(data);
  bool good = true;
  for (Field field; fields.Next(&field);) {
    if (field.number == 1) {
      good = good && ParsePiece(field.bytes, &model.pieces.emplace_back());
    } else if (field.number == 2 || field.number == 3) {
      Fields inner(field.bytes);
      for (Field f; inner.Next(&f);) {
        if (field.number == 2) ReadTrainerSpec(f, &model);
        if (field.number == 3 && f.number == 2) model.charsmap = f.bytes;
      }
      good = good && !inner.bad();
    }
  }
  good = good && model.pieces.size() <= kMaxPieces;
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

Result<json::value> SentencePieceModel::ToTokenizerJson(const std::string& name) const {
  if (model_type != 1 && model_type != 2) {
    return ModelError(name + ": trainer_spec.model_type: " + std::to_string(model_type) +
                      " is not supported, only 1 (unigram) and 2 (bpe)");
  }
  for (const std::string* piece : {&unk_piece, &bos_piece, &eos_piece}) {
    if (FirstInvalidUtf8(*piece)) return ModelError(name + ": trainer_spec: invalid UTF-8 in a special piece");
  }
  const auto replace = [](const char* from, const char* to) {
    return json::object{{"type", "Replace"}, {"pattern", json::object{{"String", from}}}, {"content", to}};
  };
  json::array normalizers;
  if (!charsmap.empty()) {
    normalizers.push_back(json::object{{"type", "Precompiled"}, {"precompiled_charsmap", CharsmapBase64()}});
  }
  normalizers.push_back(replace(" ", "▁"));
  json::array decoders = {replace("▁", " ")};
  if (byte_fallback) {
    decoders.push_back(json::object{{"type", "ByteFallback"}});
    decoders.push_back(json::object{{"type", "Fuse"}});
  }
  json::object model;
  if (model_type == 1) {
    model = {{"type", "Unigram"}, {"unk_id", unk_id}, {"vocab", Scores(0)}, {"byte_fallback", byte_fallback}};
  } else {
    model = {{"type", "BPE"},  {"unk_token", unk_piece}, {"fuse_unk", true}, {"byte_fallback", byte_fallback},
             {"vocab", Ids()}, {"merges", Merges()}};
  }
  json::array added;
  const auto add = [&added](const std::string& content, bool special) {
    added.push_back(json::object{{"id", 0},
                                 {"content", content},
                                 {"single_word", false},
                                 {"lstrip", false},
                                 {"rstrip", false},
                                 {"normalized", false},
                                 {"special", special}});
  };
  if (bos_id >= 0) add(bos_piece, true);
  if (eos_id >= 0) add(eos_piece, true);
  if (unk_id >= 0) add(unk_piece, true);
  for (const Piece& piece : pieces) {
    const bool named = (bos_id >= 0 && piece.text == bos_piece) || (eos_id >= 0 && piece.text == eos_piece) ||
                       (unk_id >= 0 && piece.text == unk_piece);
    if ((piece.type == 3 || piece.type == 4) && !named) add(piece.text, piece.type == 3);
  }
  return json::value(
      json::object{{"version", "1.0"},
                   {"added_tokens", std::move(added)},
                   {"normalizer", json::object{{"type", "Sequence"}, {"normalizers", std::move(normalizers)}}},
                   {"pre_tokenizer", nullptr},
                   {"post_processor", nullptr},
                   {"decoder", json::object{{"type", "Sequence"}, {"decoders", std::move(decoders)}}},
                   {"model", std::move(model)}});
}

}  // namespace truevec
