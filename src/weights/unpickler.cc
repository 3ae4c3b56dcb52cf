#include "weights/unpickler.h"

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace truevec {
namespace {

constexpr size_t kMaxStack = 1'000'000;

struct StorageType {
  std::string_view name;
  DType dtype;
};
constexpr std::array<StorageType, 10> kStorageTypes = {{{"FloatStorage", DType::kF32},
                                                        {"HalfStorage", DType::kF16},
                                                        {"BFloat16Storage", DType::kBF16},
                                                        {"DoubleStorage", DType::kF64},
                                                        {"LongStorage", DType::kI64},
                                                        {"IntStorage", DType::kI32},
                                                        {"ShortStorage", DType::kI16},
                                                        {"CharStorage", DType::kI8},
                                                        {"ByteStorage", DType::kU8},
                                                        {"BoolStorage", DType::kBool}}};

struct Value;
using Ref = std::shared_ptr<Value>;

struct Value {
  enum class Kind { kNone, kBool, kInt, kFloat, kString, kTuple, kList, kDict, kGlobal, kStorage, kTensor, kMark };
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  std::string text;        // string, or "module name" of a global
  std::vector<Ref> items;  // tuple, list; dict: key, value, key, value
  PickledTensor tensor;    // kStorage and kTensor
};

Ref Make(Value::Kind kind) {
  auto value = std::make_shared<Value>();
  value->kind = kind;
  return value;
}

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  Result<Ref> Run() {
    while (true) {
      const std::optional<uint8_t> op = Byte();
      if (!op) return Error("the pickle is truncated");
      if (*op == '.') {
        if (stack_.empty()) return Error("the pickle is empty");
        return stack_.back();
      }
      TV_RETURN_IF_ERROR(Step(*op));
      if (stack_.size() > kMaxStack) return Error("the pickle's stack is too deep");
    }
  }

 private:
  Status Error(const std::string& what) const {
    return ModelError(file_ + ": data.pkl at byte " + std::to_string(at_) + ": " + what);
  }

  std::optional<uint8_t> Byte() {
    if (at_ >= bytes_.size()) return std::nullopt;
    return static_cast<uint8_t>(bytes_[at_++]);
  }
  template <typename T>
  std::optional<T> Fixed() {
    if (bytes_.size() - at_ < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::optional<std::string> Text(uint64_t length) {
    if (bytes_.size() - at_ < length) return std::nullopt;
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + at_, length);
    at_ += length;
    return text;
  }
  std::optional<std::string> Line() {
    std::string line;
    while (const auto byte = Byte()) {
      if (*byte == '\n') return line;
      line += static_cast<char>(*byte);
    }
    return std::nullopt;
  }

  Status Push(Ref value) {
    stack_.push_back(std::move(value));
    return Status::Ok();
  }
  Status PushInt(std::optional<int64_t> value) {
    if (!value) return Error("the pickle is truncated");
    Ref ref = Make(Value::Kind::kInt);
    ref->integer = *value;
    return Push(std::move(ref));
  }
  Status PushText(std::optional<std::string> text) {
    if (!text) return Error("the pickle is truncated");
    Ref ref = Make(Value::Kind::kString);
    ref->text = std::move(*text);
    return Push(std::move(ref));
  }
  Result<Ref> Pop() {
    if (stack_.empty()) return Error("the stack is empty");
    Ref top = std::move(stack_.back());
    stack_.pop_back();
    return top;
  }
  Result<std::vector<Ref>> PopToMark() {
    std::vector<Ref> items;
    while (!stack_.empty()) {
      Ref top = std::move(stack_.back());
      stack_.pop_back();
      if (top->kind == Value::Kind::kMark) return std::vector<Ref>(items.rbegin(), items.rend());
      items.push_back(std::move(top));
    }
    return Error("no mark on the stack");
  }

  Status Memoize(std::optional<uint64_t> index) {
    if (!index || stack_.empty()) return Error("nothing to memoize");
    memo_[*index] = stack_.back();
    return Status::Ok();
  }
  Status Recall(std::optional<uint64_t> index) {
    const auto found = index ? memo_.find(*index) : memo_.end();
    if (found == memo_.end()) return Error("an unknown memo entry");
    return Push(found->second);
  }
  Status Tuple(size_t count) {
    if (stack_.size() < count) return Error("the stack is empty");
    Ref tuple = Make(Value::Kind::kTuple);
    tuple->items.assign(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return Push(std::move(tuple));
  }
  Status Global(const std::string& module, const std::string& name) {
    Ref global = Make(Value::Kind::kGlobal);
    global->text = module + " " + name;
    const bool storage = module == "torch" && name.ends_with("Storage");
    if (!storage && global->text != "collections OrderedDict" && global->text != "torch._utils _rebuild_tensor_v2" &&
        global->text != "torch._utils _rebuild_parameter") {
      return Error("global " + module + "." + name + " is not allowed; only tensors are read");
    }
    return Push(std::move(global));
  }

  Status Step(uint8_t op);
  Status StepContainer(uint8_t op);
  Status Long();
  Status Items(uint8_t op);
  Status Reduce();
  Status PersistentId();
  Result<Ref> RebuildTensor(const Value& arguments);

  std::span<const std::byte> bytes_;
  const std::string& file_;
  size_t at_ = 0;
  std::vector<Ref> stack_;
  std::unordered_map<uint64_t, Ref> memo_;
};

Status Reader::Step(uint8_t op) {
  switch (op) {
    case 0x80:
      return Byte() ? Status::Ok() : Error("the pickle is truncated");  // PROTO
    case 0x95:
      return Fixed<uint64_t>() ? Status::Ok() : Error("the pickle is truncated");  // FRAME
    case 'N':
      return Push(Make(Value::Kind::kNone));
    case 0x88:    // NEWTRUE
    case 0x89: {  // NEWFALSE
      Ref ref = Make(Value::Kind::kBool);
      ref->integer = op == 0x88;
      return Push(std::move(ref));
    }
    case 'J':
      return PushInt(Fixed<int32_t>());
    case 'K':
      return PushInt(Fixed<uint8_t>());
    case 'M':
      return PushInt(Fixed<uint16_t>());
    case 0x8a:
      return Long();
    case 'G': {  // BINFLOAT
      if (!Fixed<uint64_t>()) return Error("the pickle is truncated");
      return Push(Make(Value::Kind::kFloat));
    }
    case 'X': {
      const auto length = Fixed<uint32_t>();
      return length ? PushText(Text(*length)) : Error("the pickle is truncated");
    }
    case 0x8c: {
      const auto length = Byte();
      return length ? PushText(Text(*length)) : Error("the pickle is truncated");
    }
    case 'q':
      return Memoize(Fixed<uint8_t>());
    case 'r':
      return Memoize(Fixed<uint32_t>());
    case 0x94:
      return Memoize(memo_.size());
    case 'h':
      return Recall(Fixed<uint8_t>());
    case 'j':
      return Recall(Fixed<uint32_t>());
    case 'Q':
      return PersistentId();
    case 'R':
      return Reduce();
    default:
      return StepContainer(op);
  }
}

Status Reader::StepContainer(uint8_t op) {
  switch (op) {
    case '}':
      return Push(Make(Value::Kind::kDict));
    case ']':
      return Push(Make(Value::Kind::kList));
    case '(':
      return Push(Make(Value::Kind::kMark));
    case ')':
      return Tuple(0);
    case 0x85:
      return Tuple(1);
    case 0x86:
      return Tuple(2);
    case 0x87:
      return Tuple(3);
    case 't': {
      Ref tuple = Make(Value::Kind::kTuple);
      TV_ASSIGN_OR_RETURN(tuple->items, PopToMark());
      return Push(std::move(tuple));
    }
    case 'c': {
      const auto module = Line();
      const auto name = Line();
      return module && name ? Global(*module, *name) : Error("the pickle is truncated");
    }
    case 0x93: {
      TV_ASSIGN_OR_RETURN(const Ref name, Pop());
      TV_ASSIGN_OR_RETURN(const Ref module, Pop());
      return Global(module->text, name->text);
    }
    case 's':
    case 'u':
    case 'a':
    case 'e':
      return Items(op);
    case 'b': {  // BUILD: the _metadata of a state dict, which holds no tensor
      TV_RETURN_IF_ERROR(Pop().status());
      if (stack_.empty() || stack_.back()->kind != Value::Kind::kDict)
        return Error("a state for something else than a dict");
      return Status::Ok();
    }
    default:
      return Error("pickle opcode " + std::to_string(op) + " is not allowed; only tensors are read");
  }
}

Status Reader::Long() {
  const auto length = Byte();
  if (!length || *length > 8 || bytes_.size() - at_ < *length) return Error("an integer of more than 64 bits");
  int64_t value = 0;
  for (uint8_t i = 0; i < *length; ++i) value |= static_cast<int64_t>(static_cast<uint8_t>(bytes_[at_ + i])) << (8 * i);
  if (*length > 0 && *length < 8 && (static_cast<uint8_t>(bytes_[at_ + *length - 1]) & 0x80) != 0) {
    value -= int64_t{1} << (8 * *length);
  }
  at_ += *length;
  return PushInt(value);
}

// SETITEM, SETITEMS, APPEND, APPENDS
Status Reader::Items(uint8_t op) {
  std::vector<Ref> items;
  if (op == 'u' || op == 'e') {
    TV_ASSIGN_OR_RETURN(items, PopToMark());
  } else {
    const size_t count = op == 's' ? 2 : 1;
    if (stack_.size() < count) return Error("the stack is empty");
    items.assign(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
  }
  const bool dict = op == 's' || op == 'u';
  if (stack_.empty() || stack_.back()->kind != (dict ? Value::Kind::kDict : Value::Kind::kList) ||
      (dict && items.size() % 2 != 0)) {
    return Error("items for something else than a container");
  }
  std::vector<Ref>& target = stack_.back()->items;
  target.insert(target.end(), items.begin(), items.end());
  return Status::Ok();
}

// ('storage', torch.FloatStorage, key, location, elements)
Status Reader::PersistentId() {
  TV_ASSIGN_OR_RETURN(const Ref id, Pop());
  const std::vector<Ref>& items = id->items;
  if (id->kind != Value::Kind::kTuple || items.size() != 5 || items[0]->text != "storage" ||
      items[1]->kind != Value::Kind::kGlobal || items[2]->kind != Value::Kind::kString ||
      items[4]->kind != Value::Kind::kInt) {
    return Error("a persistent id that is no storage");
  }
  Ref storage = Make(Value::Kind::kStorage);
  const std::string type = items[1]->text.substr(items[1]->text.find(' ') + 1);
  for (const StorageType& row : kStorageTypes) {
    if (row.name != type) continue;
    storage->tensor.dtype = row.dtype;
    storage->tensor.storage = items[2]->text;
    storage->tensor.storage_elements = items[4]->integer;
    return Push(std::move(storage));
  }
  return Error("storage type torch." + type + " is not supported");
}

Result<Ref> Reader::RebuildTensor(const Value& arguments) {
  const std::vector<Ref>& a = arguments.items;
  if (a.size() < 4 || a[0]->kind != Value::Kind::kStorage || a[1]->kind != Value::Kind::kInt ||
      a[2]->kind != Value::Kind::kTuple || a[3]->kind != Value::Kind::kTuple ||
      a[2]->items.size() != a[3]->items.size()) {
    return Error("_rebuild_tensor_v2 with other arguments than storage, offset, size, stride");
  }
  Ref tensor = Make(Value::Kind::kTensor);
  tensor->tensor = a[0]->tensor;
  tensor->tensor.offset = a[1]->integer;
  for (size_t i = 0; i < a[2]->items.size(); ++i) {
    const Value& size = *a[2]->items[i];
    const Value& stride = *a[3]->items[i];
    if (size.kind != Value::Kind::kInt || stride.kind != Value::Kind::kInt || size.integer < 0 || stride.integer < 0) {
      return Error("a tensor size or stride that is no natural number");
    }
    tensor->tensor.shape.push_back(size.integer);
    tensor->tensor.stride.push_back(stride.integer);
  }
  return tensor;
}

Status Reader::Reduce() {
  TV_ASSIGN_OR_RETURN(const Ref arguments, Pop());
  TV_ASSIGN_OR_RETURN(const Ref callable, Pop());
  if (callable->kind != Value::Kind::kGlobal || arguments->kind != Value::Kind::kTuple) {
    return Error("a call of something else than a known global");
  }
  if (callable->text == "collections OrderedDict") {
    if (!arguments->items.empty()) return Error("OrderedDict with arguments");
    return Push(Make(Value::Kind::kDict));
  }
  if (callable->text == "torch._utils _rebuild_tensor_v2") {
    TV_ASSIGN_OR_RETURN(Ref tensor, RebuildTensor(*arguments));
    return Push(std::move(tensor));
  }
  if (callable->text == "torch._utils _rebuild_parameter" && !arguments->items.empty() &&
      arguments->items[0]->kind == Value::Kind::kTensor) {
    return Push(arguments->items[0]);
  }
  return Error("a call of " + callable->text);
}

}  // namespace

Result<std::vector<PickledTensor>> ReadStateDict(std::span<const std::byte> pickle, const std::string& file) {
  Reader reader(pickle, file);
  TV_ASSIGN_OR_RETURN(const Ref root, reader.Run());
  if (root->kind != Value::Kind::kDict) return ModelError(file + ": data.pkl holds no dictionary of tensors");
  std::vector<PickledTensor> tensors;
  for (size_t i = 0; i + 1 < root->items.size(); i += 2) {
    const Value& key = *root->items[i];
    const Value& value = *root->items[i + 1];
    if (key.kind != Value::Kind::kString || value.kind != Value::Kind::kTensor) {
      return ModelError(file + ": data.pkl: entry \"" + key.text + "\" of the dictionary is no tensor");
    }
    tensors.push_back(value.tensor);
    tensors.back().name = key.text;
  }
  return tensors;
}

}  // namespace truevec
