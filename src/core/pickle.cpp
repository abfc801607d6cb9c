// The pickle machine of protocols 0 to 5, without execution. Nodes live in an arena until the end:
// then the tree below the result is walked once, without recursion, for cycles, depth and the size
// it would have with nothing shared, and everything else is taken apart. No torch here.
#include "retort/core/pickle.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "retort/core/error.h"

namespace retort {
namespace {

using Kind = Pickle::Kind;

// A trajectory file of 10 experts has about 10^5 nodes, a CIFAR batch 2 * 10^4; trees of tensors
// are less than 20 deep.
constexpr size_t kMostNodes = size_t{1} << 23;
constexpr uint32_t kMostDepth = 200;
constexpr uint64_t kMostUnsharedNodes = uint64_t{1} << 25;
constexpr uint64_t kMostUnsharedText = uint64_t{1} << 32;

/// A value with what the check at the end knows of it.
struct Node : Pickle {
  enum class Visit : uint8_t { kNew, kOpen, kDone };
  Visit visit = Visit::kNew;
  uint32_t depth = 1;
  uint64_t unshared_nodes = 1;
  uint64_t unshared_text = 0;

  size_t children() const { return items.size() + 2 * entries.size(); }
  Node& child(size_t i) const {
    if (i < items.size()) return static_cast<Node&>(*items[i]);
    const auto& entry = entries[(i - items.size()) / 2];
    return static_cast<Node&>((i - items.size()) % 2 == 0 ? *entry.first : *entry.second);
  }
};
using Ref = std::shared_ptr<Pickle>;

/// Owns every node while reading. What is not kept at the end loses its links first, so that
/// neither cycles leak nor long chains recurse when they are destroyed.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    for (const std::shared_ptr<Node>& node : nodes_)
      if (!keep_ || node->visit != Node::Visit::kDone) {
        node->items.clear();
        node->entries.clear();
      }
  }
  size_t size() const { return nodes_.size(); }
  const std::shared_ptr<Node>& make() { return nodes_.emplace_back(std::make_shared<Node>()); }
  /// From now on, keeps what the walk has reached.
  void keep_visited() { keep_ = true; }

 private:
  std::vector<std::shared_ptr<Node>> nodes_;
  bool keep_ = false;
};

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[more] | code >> (6 * more));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
}

/// Text of code points below 256 as bytes; empty optional-like flag `fits` where it has others.
std::string latin1(const std::string& utf8, bool& fits) {
  std::string out;
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<uint8_t>(utf8[i]);
    if (c < 0x80) {
      out += utf8[i];
    } else if ((c == 0xC2 || c == 0xC3) && i + 1 < utf8.size()) {
      out += static_cast<char>((c & 3) << 6 | (utf8[++i] & 0x3F));
    } else {
      fits = false;
      break;
    }
  }
  return out;
}

class Machine {
 public:
  Machine(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  Ref run() {
    while (true) {
      const auto op = static_cast<uint8_t>(take(1)[0]);
      if (op == '.') break;
      if (!literal(op) && !text(op) && !container(op) && !object(op) && !stack(op))
        fail("it uses instruction " + std::to_string(op) + ", which is not accepted");
    }
    const Ref root = pop();
    check(static_cast<Node&>(*root));
    arena_.keep_visited();
    return root;
  }

 private:
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

  std::shared_ptr<Node> make(Kind kind) {
    if (arena_.size() >= kMostNodes) fail("it has too many values");
    const std::shared_ptr<Node>& node = arena_.make();
    node->kind = kind;
    return node;
  }
  std::shared_ptr<Node> make(Kind kind, std::string value) {
    // Bytes that instructions copy are bounded by the file, so that it cannot copy one text often.
    copied_ += value.size();
    if (copied_ > 4 * bytes_.size() + 1024) fail("it copies its text too often");
    const std::shared_ptr<Node> node = make(kind);
    node->text = std::move(value);
    return node;
  }
  void push(Ref value) { stack_.push_back(std::move(value)); }
  void push_int(int64_t value, Kind kind = Kind::kInt) {
    const std::shared_ptr<Node> node = make(kind);
    node->integer = value;
    push(node);
  }
  void push_float(double value) {
    const std::shared_ptr<Node> node = make(Kind::kFloat);
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

  bool literal(uint8_t op) {
    switch (op) {
      case 'N':
        push(make(Kind::kNone));
        return true;
      case 0x88:
        push_int(1, Kind::kBool);
        return true;
      case 0x89:
        push_int(0, Kind::kBool);
        return true;
      case 'I':
        push_decimal(line());
        return true;
      case 'L':
        push_decimal(line());
        return true;
      case 'J':
        push_int(static_cast<int32_t>(number(4)));
        return true;
      case 'K':
        push_int(static_cast<int64_t>(number(1)));
        return true;
      case 'M':
        push_int(static_cast<int64_t>(number(2)));
        return true;
      case 0x8a:
        push_long(number(1));
        return true;
      case 0x8b:
        push_long(number(4));
        return true;
      case 'F':
        push_decimal_float(line());
        return true;
      case 'G':
        push_binary_float();
        return true;
      default:
        return false;
    }
  }

  uint32_t escaped_number(std::string_view digits) const {
    uint32_t value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.empty() || result.ec != std::errc() || result.ptr != digits.data() + digits.size())
      fail("an escape in a text cannot be read");
    return value;
  }
  /// A Python 2 str between quotes, as repr writes it.
  std::string quoted(std::string_view body) const {
    if (body.size() < 2 || body.front() != body.back() || (body[0] != '\'' && body[0] != '"'))
      fail("a text lacks its quotes");
    body = body.substr(1, body.size() - 2);
    std::string out;
    for (size_t i = 0; i < body.size(); ++i) {
      if (body[i] != '\\') {
        out += body[i];
        continue;
      }
      if (++i == body.size()) fail("an escape in a text cannot be read");
      if (body[i] == 'x') {
        out += static_cast<char>(escaped_number(body.substr(i + 1, 2)));
        i += 2;
      } else {
        out += body[i] == 'n' ? '\n' : body[i] == 'r' ? '\r' : body[i] == 't' ? '\t' : body[i];
      }
    }
    return out;
  }
  /// Protocol 0 unicode: Latin-1 with \u and \U escapes.
  std::string raw_unicode(std::string_view body) const {
    std::string out;
    for (size_t i = 0; i < body.size(); ++i) {
      const char kind = body[i] == '\\' && i + 1 < body.size() ? body[i + 1] : '\0';
      if (kind != 'u' && kind != 'U') {
        append_utf8(out, static_cast<uint8_t>(body[i]));
        continue;
      }
      const size_t width = kind == 'u' ? 4 : 8;
      const uint32_t code = escaped_number(body.substr(i + 2, width));
      if (code > 0x10FFFF) fail("an escape in a text cannot be read");
      append_utf8(out, code);
      i += 1 + width;
    }
    return out;
  }

  bool text(uint8_t op) {
    switch (op) {
      case 'S':
        push(make(Kind::kString, quoted(line())));
        return true;
      case 'V':
        push(make(Kind::kString, raw_unicode(line())));
        return true;
      case 'T':
        push_text(Kind::kString, 4);
        return true;
      case 'U':
        push_text(Kind::kString, 1);
        return true;
      case 'X':
        push_text(Kind::kString, 4);
        return true;
      case 0x8c:
        push_text(Kind::kString, 1);
        return true;
      case 0x8d:
        push_text(Kind::kString, 8);
        return true;
      case 'B':
        push_text(Kind::kBytes, 4);
        return true;
      case 'C':
        push_text(Kind::kBytes, 1);
        return true;
      case 0x8e:
        push_text(Kind::kBytes, 8);
        return true;
      case 0x96:
        push_text(Kind::kBytes, 8);
        return true;
      default:
        return false;
    }
  }
  void push_text(Kind kind, size_t width) {
    const uint64_t size = number(width);
    push(make(kind, std::string(take(size))));
  }

  void push_items(Kind kind, std::vector<Ref> items) {
    const std::shared_ptr<Node> node = make(kind);
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

  bool container(uint8_t op) {
    switch (op) {
      case ')':
        push(make(Kind::kTuple));
        return true;
      case ']':
        push(make(Kind::kList));
        return true;
      case '}':
        push(make(Kind::kDict));
        return true;
      case 0x8f:
        push(make(Kind::kSet));
        return true;
      case 't':
        push_items(Kind::kTuple, pop_to_mark());
        return true;
      case 'l':
        push_items(Kind::kList, pop_to_mark());
        return true;
      case 0x91:
        push_items(Kind::kSet, pop_to_mark());
        return true;
      case 'd':
        push_dict();
        return true;
      case 0x85:
        push_tuple(1);
        return true;
      case 0x86:
        push_tuple(2);
        return true;
      case 0x87:
        push_tuple(3);
        return true;
      case 'a':
        append_one();
        return true;
      case 'e':
        add_items(pop_to_mark(), Kind::kList);
        return true;
      case 0x90:
        add_items(pop_to_mark(), Kind::kSet);
        return true;
      case 's':
        set_one();
        return true;
      case 'u':
        add_entries(pop_to_mark());
        return true;
      default:
        return false;
    }
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
    if (!name->is(Kind::kString) || !module->is(Kind::kString)) fail("a name is not a text");
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
    bool fits = items[1]->text == "latin1";
    std::string bytes = fits ? latin1(items[0]->text, fits) : std::string();
    if (!fits) return false;
    push(make(Kind::kBytes, std::move(bytes)));
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
    top()->entries = keywords->entries;
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

  bool object(uint8_t op) {
    switch (op) {
      case 'c':
        push(global_from_lines());
        return true;
      case 0x93:
        push_stack_global();
        return true;
      case 'R':
        push_reduce();
        return true;
      case 0x81:
        push_reduce();
        return true;
      case 0x92:
        push_new_with_keywords();
        return true;
      case 'o':
        push_marked_instance();
        return true;
      case 'i':
        push_named_instance();
        return true;
      case 'b':
        build();
        return true;
      case 'P':
        push_items(Kind::kPersistent, {make(Kind::kString, std::string(line()))});
        return true;
      case 'Q':
        push_items(Kind::kPersistent, {pop()});
        return true;
      default:
        return false;
    }
  }

  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail("it recalls a value that was not kept");
    push(found->second);
  }
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

  bool stack(uint8_t op) {
    switch (op) {
      case 0x80:
        check_protocol();
        return true;
      case 0x95:
        number(8);
        return true;  // a frame's length: only a hint for buffering
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case '0':
        pop_or_unmark();
        return true;
      case '1':
        pop_to_mark();
        return true;
      case '2':
        push(Ref(top()));
        return true;
      case 'g':
        recall(line_index());
        return true;
      case 'h':
        recall(number(1));
        return true;
      case 'j':
        recall(number(4));
        return true;
      case 'p':
        memo_[line_index()] = top();
        return true;
      case 'q':
        memo_[number(1)] = top();
        return true;
      case 'r':
        memo_[number(4)] = top();
        return true;
      case 0x94:
        memo_[memo_.size()] = Ref(top());
        return true;
      default:
        return false;
    }
  }

  void check(Node& root) {
    std::vector<std::pair<Node*, size_t>> open{{&root, 0}};
    root.visit = Node::Visit::kOpen;
    while (!open.empty()) {
      auto& [node, next] = open.back();
      if (next == node->children()) {
        finish(*node);
        open.pop_back();
        continue;
      }
      Node& child = node->child(next++);
      if (child.visit == Node::Visit::kOpen) fail("a value contains itself");
      if (child.visit == Node::Visit::kDone) continue;
      child.visit = Node::Visit::kOpen;
      open.emplace_back(&child, 0);
    }
  }
  void finish(Node& node) const {
    node.unshared_text = node.text.size();
    for (size_t i = 0; i < node.children(); ++i) {
      const Node& child = node.child(i);
      node.depth = std::max(node.depth, child.depth + 1);
      node.unshared_nodes += child.unshared_nodes;
      node.unshared_text += child.unshared_text;
      if (node.unshared_nodes > kMostUnsharedNodes || node.unshared_text > kMostUnsharedText)
        fail("its shared values would unfold to too many");
    }
    if (node.depth > kMostDepth) fail("its values are nested too deeply");
    node.visit = Node::Visit::kDone;
  }

  std::string_view bytes_;
  const std::string& path_;
  size_t at_ = 0;
  uint64_t copied_ = 0;
  Arena arena_;  // first made, last destroyed: it takes values apart when nothing else holds them
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Ref> memo_;
};

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

}  // namespace retort
