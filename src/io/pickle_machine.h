// The machine that a pickle's instructions work on: its bytes, a stack, a memo, and what each
// instruction does. Nothing is executed: names and calls become values. No torch here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/pickle_tree.h"

namespace retort {

/// Works on one pickle; DataError naming `path`, which outlives it, where that is damaged.
class PickleMachine {
 public:
  using Kind = Pickle::Kind;
  using Ref = std::shared_ptr<Pickle>;

  PickleMachine(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}
  size_t used() const { return at_; }
  /// The value that is left at the end, checked.
  Ref root();

  // What comes next among the bytes.
  [[noreturn]] void fail(const std::string& found) const;
  std::string_view take(uint64_t size);
  uint64_t number(size_t width);
  std::string_view line();

  // Values, and the stack of them.
  std::shared_ptr<PickleNode> make(Kind kind);
  std::shared_ptr<PickleNode> make(Kind kind, std::string value);
  void push(Ref value) { stack_.push_back(std::move(value)); }
  void push_int(int64_t value, Kind kind = Kind::kInt);
  void push_float(double value);
  Ref& top();
  Ref pop();
  std::vector<Ref> pop_to_mark();

  // Numbers and text.
  void push_decimal(std::string_view digits);
  void push_long(uint64_t width);
  void push_decimal_float(std::string_view digits);
  void push_binary_float();
  void push_decoded(const std::optional<std::string>& text);
  void push_text(Kind kind, size_t width);

  // Containers.
  void push_items(Kind kind, std::vector<Ref> items);
  void push_tuple(size_t size);
  void add_items(std::vector<Ref> items, Kind kind);
  void add_entries(std::vector<Ref> items);
  void append_one();
  void set_one();
  void push_dict();

  // Names, calls and objects.
  Ref global(std::string_view module, std::string_view name);
  Ref global_from_lines();
  void push_stack_global();
  void push_call(Ref callable, Ref arguments);
  /// Protocols 0 to 2 have no bytes: Python 3 writes them as _codecs.encode(text, 'latin1').
  bool push_old_bytes(const Pickle& callable, const Pickle& arguments);
  void push_reduce();
  void push_new_with_keywords();
  void push_instance(Ref callable, std::vector<Ref> arguments);
  void push_marked_instance();
  void push_named_instance();
  void build();
  void push_persistent(Ref id) { push_items(Kind::kPersistent, {std::move(id)}); }

  // The memo and marks.
  void recall(uint64_t index);
  void remember(uint64_t index) { memo_[index] = top(); }
  void remember_next() { remember(memo_.size()); }
  void mark() { marks_.push_back(stack_.size()); }
  uint64_t line_index();
  void pop_or_unmark();
  void check_protocol();

 private:
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  std::string_view bytes_;
  const std::string& path_;
  size_t at_ = 0;
  uint64_t copied_ = 0;
  PickleArena arena_;  // before the stack: it takes values apart when nothing else holds them
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Ref> memo_;
};

}  // namespace retort
