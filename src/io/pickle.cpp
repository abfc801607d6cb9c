// The pickle machine of protocols 0 to 5, without execution. Left out: the extension registry and
// out-of-band buffers, which no file of data uses. No torch here.
#include "io/pickle.h"

#include <array>
#include <bit>
#include <charconv>
#include <iterator>
#include <optional>
#include <unordered_map>

#include "io/pickle_tree.h"
#include "io/python_text.h"
#include "retort/core/error.h"

namespace retort {
namespace {

using Kind = Pickle::Kind;
using Ref = std::shared_ptr<Pickle>;

class Machine {
 public:
  Machine(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  Ref run();
  size_t used() const { return at_; }

 private:
  struct Row {
    uint8_t code;
    void (*run)(Machine&);
  };
  static const Row kRows[];

  [[noreturn]] void fail(const std::string& found) const {
    throw DataError::damaged(path_, "in its pickle, at byte " + std::to_string(at_) + ": " + found,
                             "plain Python values and tensors, protocols 0 to 5");
  }

  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - at_) fail("it ends early");
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  uint64_t number(size_t width) {
    const std::string_view raw = take(width);
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i)
      value |= static_cast<uint64_t>(static_cast<uint8_t>(raw[i])) << (8 * i);
    return value;
  }
  std::string_view line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("it ends early");
    const std::string_view taken = take(end - at_);
    ++at_;
    return taken;
  }

  std::shared_ptr<PickleNode> make(Kind kind) {
    std::shared_ptr<PickleNode> node = arena_.make();
    if (!node) fail("it has too many values");
    node->kind = kind;
    return node;
  }
  std::shared_ptr<PickleNode> make(Kind kind, std::string value) {
    // Bytes that instructions copy are bounded by the file, so that it cannot copy one text often.
    copied_ += value.size();
    if (copied_ > 16 * bytes_.size() + 1024) fail("it copies its text too often");
    const std::shared_ptr<PickleNode> node = make(kind);
    node->text = std::move(value);
    return node;
  }
  void push(Ref value) { stack_.push_back(std::move(value)); }
  void push_int(int64_t value, Kind kind = Kind::kInt) {
    const std::shared_ptr<PickleNode> node = make(kind);
    node->integer = value;
    push(node);
  }
  void push_float(double value) {
    const std::shared_ptr<PickleNode> node = make(Kind::kFloat);
    node->number = value;
    push(node);
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Ref& top() {
    if (stack_.size() <= floor()) fail("it takes a value where there is none");
    return stack_.back();
  }
  Ref pop() {
    Ref value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) fail("it lacks a mark");
    const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Ref> values(std::make_move_iterator(from), std::make_move_iterator(stack_.end()));
    stack_.erase(from, stack_.end());
    marks_.pop_back();
    return values;
  }

  void push_decimal(std::string_view digits) {
    if (!digits.empty() && digits.back() == 'L') digits.remove_suffix(1);
    if (digits == "00" || digits == "01") return push_int(digits == "01", Kind::kBool);
    int64_t value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (result.ec != std::errc() || result.ptr != digits.data() + digits.size())
      fail("a number is not a 64-bit integer");
    push_int(value);
  }
  void push_long(uint64_t width) {
    const std::string_view raw = take(width);
    if (width > 8) return push(make(Kind::kBytes, std::string(raw)));
    const bool negative = width > 0 && (raw.back() & 0x80) != 0;
    uint64_t value = negative ? ~uint64_t{0} : 0;
    for (size_t i = width; i-- > 0;) value = value << 8 | static_cast<uint8_t>(raw[i]);
    push_int(static_cast<int64_t>(value));
  }
  void push_decimal_float(std::string_view digits) {
    double value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (result.ec != std::errc() || result.ptr != digits.data() + digits.size())
      fail("a number cannot be read");
    push_float(value);
  }
  void push_binary_float() {
    const std::string_view raw = take(8);  // big-endian
    uint64_t bits = 0;
    for (const char c : raw) bits = bits << 8 | static_cast<uint8_t>(c);
    push_float(std::bit_cast<double>(bits));
  }

  void push_decoded(const std::optional<std::string>& text) {
    if (!text) fail("text in it cannot be read");
    push(make(Kind::kString, *text));
  }
  void push_text(Kind kind, size_t width) {
    const uint64_t size = number(width);
    push(make(kind, std::string(take(size))));
  }

  void push_items(Kind kind, std::vector<Ref> items) {
    const std::shared_ptr<PickleNode> node = make(kind);
    node->items = std::move(items);
    push(node);
  }
  void push_tuple(size_t size) {
    std::vector<Ref> items(size);
    for (size_t i = size; i-- > 0;) items[i] = pop();
    push_items(Kind::kTuple, std::move(items));
  }
  void add_items(std::vector<Ref> items, Kind kind) {
    Pickle& target = *top();
    if (target.is(kind)) {
      std::move(items.begin(), items.end(), std::back_inserter(target.items));
    } else if (target.is(Kind::kCall)) {
      for (Ref& item : items) target.entries.emplace_back(make(Kind::kNone), std::move(item));
    } else {
      fail("it appends to something that is not a list");
    }
  }
  void add_entries(std::vector<Ref> items) {
    Pickle& target = *top();
    if (!target.is(Kind::kDict) && !target.is(Kind::kCall))
      fail("it sets a key of something that is not a dictionary");
    if (items.size() % 2 != 0) fail("a key has no value");
    for (size_t i = 0; i < items.size(); i += 2)
      target.entries.emplace_back(std::move(items[i]), std::move(items[i + 1]));
  }
  void append_one() {
    Ref item = pop();
    add_items({std::move(item)}, Kind::kList);
  }
  void set_one() {
    Ref value = pop();
    Ref key = pop();
    add_entries({std::move(key), std::move(value)});
  }
  void push_dict() {
    std::vector<Ref> items = pop_to_mark();
    push(make(Kind::kDict));
    add_entries(std::move(items));
  }

  Ref global(std::string_view module, std::string_view name) {
    std::string full(module);
    full += ' ';
    full += name;
    return make(Kind::kGlobal, std::move(full));
  }
  Ref global_from_lines() {
    const std::string_view module = line();
    const std::string_view name = line();
    return global(module, name);
  }
  void push_stack_global() {
    const Ref name = pop();
    const Ref module = pop();
    if (!name->is(Kind::kString) || !module->is(Kind::kString)) fail("a name is not text");
    push(global(module->text, name->text));
  }
  void push_call(Ref callable, Ref arguments) {
    if (!arguments->is(Kind::kTuple)) fail("a call's arguments are not a tuple");
    if (push_old_bytes(*callable, *arguments)) return;
    push_items(Kind::kCall, {std::move(callable), std::move(arguments)});
  }
  /// Protocols 0 to 2 have no bytes: Python 3 writes them as _codecs.encode(text, 'latin1').
  bool push_old_bytes(const Pickle& callable, const Pickle& arguments) {
    if (!callable.is(Kind::kGlobal)) return false;
    const auto& items = arguments.items;
    if (items.empty() &&
        (callable.text == "__builtin__ bytes" || callable.text == "builtins bytes")) {
      push(make(Kind::kBytes));
      return true;
    }
    if (callable.text != "_codecs encode" || items.size() != 2 || !items[0]->is(Kind::kString))
      return false;
    std::optional<std::string> bytes = utf8_to_latin1(items[0]->text);
    if (!bytes || items[1]->text != "latin1") return false;
    push(make(Kind::kBytes, std::move(*bytes)));
    return true;
  }
  void push_reduce() {
    Ref arguments = pop();
    Ref callable = pop();
    push_call(std::move(callable), std::move(arguments));
  }
  void push_new_with_keywords() {
    const Ref keywords = pop();
    push_reduce();
    if (!keywords->is(Kind::kDict) || !top()->is(Kind::kCall)) fail("a call is not well formed");
    top()->entries.emplace_back(make(Kind::kNone), keywords);
  }
  void push_instance(Ref callable, std::vector<Ref> arguments) {
    push_items(Kind::kTuple, std::move(arguments));
    Ref tuple = pop();
    push_call(std::move(callable), std::move(tuple));
  }
  void push_marked_instance() {
    std::vector<Ref> values = pop_to_mark();
    if (values.empty()) fail("a call is not well formed");
    Ref callable = values.front();
    values.erase(values.begin());
    push_instance(std::move(callable), std::move(values));
  }
  void push_named_instance() {
    Ref callable = global_from_lines();
    push_instance(std::move(callable), pop_to_mark());
  }
  void build() {
    Ref state = pop();
    Pickle& target = *top();
    if (!target.is(Kind::kCall)) fail("it sets the state of something that is not an object");
    target.items.resize(2);
    target.items.push_back(std::move(state));
  }

  void push_persistent(Ref id) { push_items(Kind::kPersistent, {std::move(id)}); }

  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail("it recalls a value that was not kept");
    push(found->second);
  }
  void remember(uint64_t index) { memo_[index] = top(); }
  uint64_t line_index() {
    push_decimal(line());
    return static_cast<uint64_t>(pop()->integer);
  }
  void pop_or_unmark() {
    if (stack_.size() == floor() && !marks_.empty())
      marks_.pop_back();
    else
      pop();
  }
  void check_protocol() {
    if (number(1) > 5) fail("its protocol is newer than 5");
  }

  std::string_view bytes_;
  const std::string& path_;
  size_t at_ = 0;
  uint64_t copied_ = 0;
  PickleArena arena_;  // before the stack: it takes values apart when nothing else holds them
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Ref> memo_;
};

// Instructions by code; Python's names of them are in its pickletools module.
const Machine::Row Machine::kRows[] = {
    // numbers
    {'N', [](Machine& m) { m.push(m.make(Kind::kNone)); }},
    {0x88, [](Machine& m) { m.push_int(1, Kind::kBool); }},
    {0x89, [](Machine& m) { m.push_int(0, Kind::kBool); }},
    {'I', [](Machine& m) { m.push_decimal(m.line()); }},
    {'L', [](Machine& m) { m.push_decimal(m.line()); }},
    {'J', [](Machine& m) { m.push_int(static_cast<int32_t>(m.number(4))); }},
    {'K', [](Machine& m) { m.push_int(static_cast<int64_t>(m.number(1))); }},
    {'M', [](Machine& m) { m.push_int(static_cast<int64_t>(m.number(2))); }},
    {0x8a, [](Machine& m) { m.push_long(m.number(1)); }},
    {0x8b, [](Machine& m) { m.push_long(m.number(4)); }},
    {'F', [](Machine& m) { m.push_decimal_float(m.line()); }},
    {'G', [](Machine& m) { m.push_binary_float(); }},
    // text
    {'S', [](Machine& m) { m.push_decoded(decode_repr(m.line())); }},
    {'V', [](Machine& m) { m.push_decoded(decode_raw_unicode(m.line())); }},
    {'T', [](Machine& m) { m.push_text(Kind::kString, 4); }},
    {'U', [](Machine& m) { m.push_text(Kind::kString, 1); }},
    {'X', [](Machine& m) { m.push_text(Kind::kString, 4); }},
    {0x8c, [](Machine& m) { m.push_text(Kind::kString, 1); }},
    {0x8d, [](Machine& m) { m.push_text(Kind::kString, 8); }},
    {'B', [](Machine& m) { m.push_text(Kind::kBytes, 4); }},
    {'C', [](Machine& m) { m.push_text(Kind::kBytes, 1); }},
    {0x8e, [](Machine& m) { m.push_text(Kind::kBytes, 8); }},
    {0x96, [](Machine& m) { m.push_text(Kind::kBytes, 8); }},
    // containers
    {')', [](Machine& m) { m.push(m.make(Kind::kTuple)); }},
    {']', [](Machine& m) { m.push(m.make(Kind::kList)); }},
    {'}', [](Machine& m) { m.push(m.make(Kind::kDict)); }},
    {0x8f, [](Machine& m) { m.push(m.make(Kind::kSet)); }},
    {'t', [](Machine& m) { m.push_items(Kind::kTuple, m.pop_to_mark()); }},
    {'l', [](Machine& m) { m.push_items(Kind::kList, m.pop_to_mark()); }},
    {0x91, [](Machine& m) { m.push_items(Kind::kSet, m.pop_to_mark()); }},
    {'d', [](Machine& m) { m.push_dict(); }},
    {0x85, [](Machine& m) { m.push_tuple(1); }},
    {0x86, [](Machine& m) { m.push_tuple(2); }},
    {0x87, [](Machine& m) { m.push_tuple(3); }},
    {'a', [](Machine& m) { m.append_one(); }},
    {'e', [](Machine& m) { m.add_items(m.pop_to_mark(), Kind::kList); }},
    {0x90, [](Machine& m) { m.add_items(m.pop_to_mark(), Kind::kSet); }},
    {'s', [](Machine& m) { m.set_one(); }},
    {'u', [](Machine& m) { m.add_entries(m.pop_to_mark()); }},
    // names, calls, objects
    {'c', [](Machine& m) { m.push(m.global_from_lines()); }},
    {0x93, [](Machine& m) { m.push_stack_global(); }},
    {'R', [](Machine& m) { m.push_reduce(); }},
    {0x81, [](Machine& m) { m.push_reduce(); }},
    {0x92, [](Machine& m) { m.push_new_with_keywords(); }},
    {'o', [](Machine& m) { m.push_marked_instance(); }},
    {'i', [](Machine& m) { m.push_named_instance(); }},
    {'b', [](Machine& m) { m.build(); }},
    {'P', [](Machine& m) { m.push_persistent(m.make(Kind::kString, std::string(m.line()))); }},
    {'Q', [](Machine& m) { m.push_persistent(m.pop()); }},
    // the stack and the memo
    {0x80, [](Machine& m) { m.check_protocol(); }},
    {0x95, [](Machine& m) { m.number(8); }},
    {'(', [](Machine& m) { m.marks_.push_back(m.stack_.size()); }},
    {'0', [](Machine& m) { m.pop_or_unmark(); }},
    {'1', [](Machine& m) { m.pop_to_mark(); }},
    {'2', [](Machine& m) { m.push(m.top()); }},
    {'g', [](Machine& m) { m.recall(m.line_index()); }},
    {'h', [](Machine& m) { m.recall(m.number(1)); }},
    {'j', [](Machine& m) { m.recall(m.number(4)); }},
    {'p', [](Machine& m) { m.remember(m.line_index()); }},
    {'q', [](Machine& m) { m.remember(m.number(1)); }},
    {'r', [](Machine& m) { m.remember(m.number(4)); }},
    {0x94, [](Machine& m) { m.remember(m.memo_.size()); }},
};

Ref Machine::run() {
  std::array<void (*)(Machine&), 256> instructions{};
  for (const Row& row : kRows) instructions[row.code] = row.run;
  while (true) {
    const auto code = static_cast<uint8_t>(number(1));
    if (code == '.') break;
    if (!instructions[code])
      fail("it uses instruction " + std::to_string(code) + ", which is not accepted");
    instructions[code](*this);
  }
  Ref root = pop();
  const std::string problem = arena_.keep(*root);
  if (!problem.empty()) fail(problem);
  return root;
}

}  // namespace

const Pickle* Pickle::get(std::string_view key) const {
  if (!is(Kind::kDict) && !is(Kind::kCall)) return nullptr;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const Pickle& name = *entry->first;
    if ((name.is(Kind::kString) || name.is(Kind::kBytes)) && name.text == key)
      return entry->second.get();
  }
  return nullptr;
}

std::string_view Pickle::callee() const {
  if (!is(Kind::kCall) || !items[0]->is(Kind::kGlobal)) return {};
  return items[0]->text;
}

std::shared_ptr<Pickle> read_pickle(std::string_view bytes, const std::string& path) {
  return Machine(bytes, path).run();
}

std::shared_ptr<Pickle> take_pickle(std::string_view& bytes, const std::string& path) {
  Machine machine(bytes, path);
  std::shared_ptr<Pickle> root = machine.run();
  bytes.remove_prefix(machine.used());
  return root;
}

}  // namespace retort
