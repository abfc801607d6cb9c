// No torch here.
#include "io/pickle_machine.h"

#include <bit>
#include <charconv>
#include <iterator>
#include <span>

#include "core/bytes.h"
#include "io/python_text.h"
#include "retort/core/error.h"

namespace retort {

PickleMachine::Ref PickleMachine::root() {
  Ref root = pop();
  const std::string problem = arena_.keep(*root);
  if (!problem.empty()) fail(problem);
  return root;
}

void PickleMachine::fail(const std::string& found) const {
  throw DataError::damaged(path_, "in its pickle, at byte " + std::to_string(at_) + ": " + found,
                           "plain Python values and tensors, protocols 0 to 5");
}

std::string_view PickleMachine::take(uint64_t size) {
  if (size > bytes_.size() - at_) fail("it ends early");
  const std::string_view taken = bytes_.substr(at_, size);
  at_ += size;
  return taken;
}

uint64_t PickleMachine::number(size_t width) {
  return little_endian(take(width));
}

std::string_view PickleMachine::line() {
  const size_t end = bytes_.find('\n', at_);
  if (end == std::string_view::npos) fail("it ends early");
  const std::string_view taken = take(end - at_);
  ++at_;
  return taken;
}

std::shared_ptr<PickleNode> PickleMachine::make(Kind kind) {
  std::shared_ptr<PickleNode> node = arena_.make();
  if (!node) fail("it has too many values");
  node->kind = kind;
  return node;
}

std::shared_ptr<PickleNode> PickleMachine::make(Kind kind, std::string value) {
  // Bytes that instructions copy are bounded by the file, so that it cannot copy one text often.
  copied_ += value.size();
  if (copied_ > 16 * bytes_.size() + 1024) fail("it copies its text too often");
  const std::shared_ptr<PickleNode> node = make(kind);
  node->text = std::move(value);
  return node;
}

void PickleMachine::push_int(int64_t value, Kind kind) {
  const std::shared_ptr<PickleNode> node = make(kind);
  node->integer = value;
  push(node);
}

void PickleMachine::push_float(double value) {
  const std::shared_ptr<PickleNode> node = make(Kind::kFloat);
  node->number = value;
  push(node);
}

PickleMachine::Ref& PickleMachine::top() {
  if (stack_.size() <= floor()) fail("it takes a value where there is none");
  return stack_.back();
}

PickleMachine::Ref PickleMachine::pop() {
  Ref value = top();
  stack_.pop_back();
  return value;
}

std::vector<PickleMachine::Ref> PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("it lacks a mark");
  const std::span<Ref> above = std::span(stack_).subspan(marks_.back());
  std::vector<Ref> values(std::make_move_iterator(above.begin()),
                          std::make_move_iterator(above.end()));
  stack_.resize(marks_.back());
  marks_.pop_back();
  return values;
}

void PickleMachine::push_decimal(std::string_view digits) {
  if (!digits.empty() && digits.back() == 'L') digits.remove_suffix(1);
  if (digits == "00" || digits == "01") return push_int(digits == "01", Kind::kBool);
  int64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc() || result.ptr != digits.data() + digits.size())
    fail("a number is not a 64-bit integer");
  push_int(value);
}

void PickleMachine::push_long(uint64_t width) {
  const std::string_view raw = take(width);
  if (width > 8) return push(make(Kind::kBytes, std::string(raw)));
  const bool negative = width > 0 && (raw.back() & 0x80) != 0;
  uint64_t value = little_endian(raw);
  if (negative && width < 8) value |= ~uint64_t{0} << (8 * width);
  push_int(static_cast<int64_t>(value));
}

void PickleMachine::push_decimal_float(std::string_view digits) {
  double value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc() || result.ptr != digits.data() + digits.size())
    fail("a number cannot be read");
  push_float(value);
}

void PickleMachine::push_binary_float() {
  push_float(std::bit_cast<double>(big_endian(take(8))));
}

void PickleMachine::push_decoded(const std::optional<std::string>& text) {
  if (!text) fail("text in it cannot be read");
  push(make(Kind::kString, *text));
}

void PickleMachine::push_text(Kind kind, size_t width) {
  const uint64_t size = number(width);
  push(make(kind, std::string(take(size))));
}

void PickleMachine::push_items(Kind kind, std::vector<Ref> items) {
  const std::shared_ptr<PickleNode> node = make(kind);
  node->items = std::move(items);
  push(node);
}

void PickleMachine::push_tuple(size_t size) {
  std::vector<Ref> items(size);
  for (size_t i = size; i-- > 0;) items[i] = pop();
  push_items(Kind::kTuple, std::move(items));
}

void PickleMachine::add_items(std::vector<Ref> items, Kind kind) {
  Pickle& target = *top();
  if (target.is(kind)) {
    std::move(items.begin(), items.end(), std::back_inserter(target.items));
  } else if (target.is(Kind::kCall)) {
    for (Ref& item : items) target.entries.emplace_back(make(Kind::kNone), std::move(item));
  } else {
    fail("it appends to something that is not a list");
  }
}

void PickleMachine::add_entries(std::vector<Ref> items) {
  Pickle& target = *top();
  if (!target.is(Kind::kDict) && !target.is(Kind::kCall))
    fail("it sets a key of something that is not a dictionary");
  if (items.size() % 2 != 0) fail("a key has no value");
  for (size_t i = 0; i < items.size(); i += 2)
    target.entries.emplace_back(std::move(items[i]), std::move(items[i + 1]));
}

void PickleMachine::append_one() {
  Ref item = pop();
  add_items({std::move(item)}, Kind::kList);
}

void PickleMachine::set_one() {
  Ref value = pop();
  Ref key = pop();
  add_entries({std::move(key), std::move(value)});
}

void PickleMachine::push_dict() {
  std::vector<Ref> items = pop_to_mark();
  push(make(Kind::kDict));
  add_entries(std::move(items));
}

PickleMachine::Ref PickleMachine::global(std::string_view module, std::string_view name) {
  std::string full(module);
  full += ' ';
  full += name;
  return make(Kind::kGlobal, std::move(full));
}

PickleMachine::Ref PickleMachine::global_from_lines() {
  const std::string_view module = line();
  const std::string_view name = line();
  return global(module, name);
}

void PickleMachine::push_stack_global() {
  const Ref name = pop();
  const Ref module = pop();
  if (!name->is(Kind::kString) || !module->is(Kind::kString)) fail("a name is not text");
  push(global(module->text, name->text));
}

void PickleMachine::push_call(Ref callable, Ref arguments) {
  if (!arguments->is(Kind::kTuple)) fail("a call's arguments are not a tuple");
  if (push_old_bytes(*callable, *arguments)) return;
  push_items(Kind::kCall, {std::move(callable), std::move(arguments)});
}

bool PickleMachine::push_old_bytes(const Pickle& callable, const Pickle& arguments) {
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

void PickleMachine::push_reduce() {
  Ref arguments = pop();
  Ref callable = pop();
  push_call(std::move(callable), std::move(arguments));
}

void PickleMachine::push_new_with_keywords() {
  const Ref keywords = pop();
  push_reduce();
  if (!keywords->is(Kind::kDict) || !top()->is(Kind::kCall)) fail("a call is not well formed");
  top()->entries.emplace_back(make(Kind::kNone), keywords);
}

void PickleMachine::push_instance(Ref callable, std::vector<Ref> arguments) {
  push_items(Kind::kTuple, std::move(arguments));
  Ref tuple = pop();
  push_call(std::move(callable), std::move(tuple));
}

void PickleMachine::push_marked_instance() {
  std::vector<Ref> values = pop_to_mark();
  if (values.empty()) fail("a call is not well formed");
  Ref callable = values.front();
  values.erase(values.begin());
  push_instance(std::move(callable), std::move(values));
}

void PickleMachine::push_named_instance() {
  Ref callable = global_from_lines();
  push_instance(std::move(callable), pop_to_mark());
}

void PickleMachine::build() {
  Ref state = pop();
  Pickle& target = *top();
  if (!target.is(Kind::kCall)) fail("it sets the state of something that is not an object");
  target.items.resize(2);
  target.items.push_back(std::move(state));
}

void PickleMachine::recall(uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) fail("it recalls a value that was not kept");
  push(found->second);
}

uint64_t PickleMachine::line_index() {
  push_decimal(line());
  return static_cast<uint64_t>(pop()->integer);
}

void PickleMachine::pop_or_unmark() {
  if (stack_.size() == floor() && !marks_.empty())
    marks_.pop_back();
  else
    pop();
}

void PickleMachine::check_protocol() {
  if (number(1) > 5) fail("its protocol is newer than 5");
}

}  // namespace retort
