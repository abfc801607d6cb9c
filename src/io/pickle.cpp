// Reading pickles of protocols 0 to 5, without execution. Left out: the extension registry and
// out-of-band buffers, which no file of data uses. No torch here.
#include "io/pickle.h"

#include <array>

#include "core/sizes.h"
#include "io/pickle_machine.h"
#include "io/python_text.h"

namespace retort {
namespace {

using Kind = Pickle::Kind;

struct Instruction {
  uint8_t code;
  void (*run)(PickleMachine&);
};

// Instructions by code; Python's names of them are in its pickletools module.
const Instruction kInstructions[] = {
    // numbers
    {'N', [](PickleMachine& m) { m.push(m.make(Kind::kNone)); }},
    {0x88, [](PickleMachine& m) { m.push_int(1, Kind::kBool); }},
    {0x89, [](PickleMachine& m) { m.push_int(0, Kind::kBool); }},
    {'I', [](PickleMachine& m) { m.push_decimal(m.line()); }},
    {'L', [](PickleMachine& m) { m.push_decimal(m.line()); }},
    {'J', [](PickleMachine& m) { m.push_int(static_cast<int32_t>(m.number(4))); }},
    {'K', [](PickleMachine& m) { m.push_int(to_int64(m.number(1))); }},
    {'M', [](PickleMachine& m) { m.push_int(to_int64(m.number(2))); }},
    {0x8a, [](PickleMachine& m) { m.push_long(m.number(1)); }},
    {0x8b, [](PickleMachine& m) { m.push_long(m.number(4)); }},
    {'F', [](PickleMachine& m) { m.push_decimal_float(m.line()); }},
    {'G', [](PickleMachine& m) { m.push_binary_float(); }},
    // text
    {'S', [](PickleMachine& m) { m.push_decoded(decode_repr(m.line())); }},
    {'V', [](PickleMachine& m) { m.push_decoded(decode_raw_unicode(m.line())); }},
    {'T', [](PickleMachine& m) { m.push_text(Kind::kString, 4); }},
    {'U', [](PickleMachine& m) { m.push_text(Kind::kString, 1); }},
    {'X', [](PickleMachine& m) { m.push_text(Kind::kString, 4); }},
    {0x8c, [](PickleMachine& m) { m.push_text(Kind::kString, 1); }},
    {0x8d, [](PickleMachine& m) { m.push_text(Kind::kString, 8); }},
    {'B', [](PickleMachine& m) { m.push_text(Kind::kBytes, 4); }},
    {'C', [](PickleMachine& m) { m.push_text(Kind::kBytes, 1); }},
    {0x8e, [](PickleMachine& m) { m.push_text(Kind::kBytes, 8); }},
    {0x96, [](PickleMachine& m) { m.push_text(Kind::kBytes, 8); }},
    // containers
    {')', [](PickleMachine& m) { m.push(m.make(Kind::kTuple)); }},
    {']', [](PickleMachine& m) { m.push(m.make(Kind::kList)); }},
    {'}', [](PickleMachine& m) { m.push(m.make(Kind::kDict)); }},
    {0x8f, [](PickleMachine& m) { m.push(m.make(Kind::kSet)); }},
    {'t', [](PickleMachine& m) { m.push_items(Kind::kTuple, m.pop_to_mark()); }},
    {'l', [](PickleMachine& m) { m.push_items(Kind::kList, m.pop_to_mark()); }},
    {0x91, [](PickleMachine& m) { m.push_items(Kind::kSet, m.pop_to_mark()); }},
    {'d', [](PickleMachine& m) { m.push_dict(); }},
    {0x85, [](PickleMachine& m) { m.push_tuple(1); }},
    {0x86, [](PickleMachine& m) { m.push_tuple(2); }},
    {0x87, [](PickleMachine& m) { m.push_tuple(3); }},
    {'a', [](PickleMachine& m) { m.append_one(); }},
    {'e', [](PickleMachine& m) { m.add_items(m.pop_to_mark(), Kind::kList); }},
    {0x90, [](PickleMachine& m) { m.add_items(m.pop_to_mark(), Kind::kSet); }},
    {'s', [](PickleMachine& m) { m.set_one(); }},
    {'u', [](PickleMachine& m) { m.add_entries(m.pop_to_mark()); }},
    // names, calls, objects
    {'c', [](PickleMachine& m) { m.push(m.global_from_lines()); }},
    {0x93, [](PickleMachine& m) { m.push_stack_global(); }},
    {'R', [](PickleMachine& m) { m.push_reduce(); }},
    {0x81, [](PickleMachine& m) { m.push_reduce(); }},
    {0x92, [](PickleMachine& m) { m.push_new_with_keywords(); }},
    {'o', [](PickleMachine& m) { m.push_marked_instance(); }},
    {'i', [](PickleMachine& m) { m.push_named_instance(); }},
    {'b', [](PickleMachine& m) { m.build(); }},
    {'P',
     [](PickleMachine& m) { m.push_persistent(m.make(Kind::kString, std::string(m.line()))); }},
    {'Q', [](PickleMachine& m) { m.push_persistent(m.pop()); }},
    // the stack and the memo
    {0x80, [](PickleMachine& m) { m.check_protocol(); }},
    {0x95, [](PickleMachine& m) { m.number(8); }},
    {'(', [](PickleMachine& m) { m.mark(); }},
    {'0', [](PickleMachine& m) { m.pop_or_unmark(); }},
    {'1', [](PickleMachine& m) { m.pop_to_mark(); }},
    {'2', [](PickleMachine& m) { m.push(m.top()); }},
    {'g', [](PickleMachine& m) { m.recall(m.line_index()); }},
    {'h', [](PickleMachine& m) { m.recall(m.number(1)); }},
    {'j', [](PickleMachine& m) { m.recall(m.number(4)); }},
    {'p', [](PickleMachine& m) { m.remember(m.line_index()); }},
    {'q', [](PickleMachine& m) { m.remember(m.number(1)); }},
    {'r', [](PickleMachine& m) { m.remember(m.number(4)); }},
    {0x94, [](PickleMachine& m) { m.remember_next(); }},
};

std::shared_ptr<Pickle> run(PickleMachine& machine) {
  std::array<void (*)(PickleMachine&), 256> instructions{};
  for (const Instruction& one : kInstructions) instructions[one.code] = one.run;
  while (true) {
    const uint64_t code = machine.number(1);
    if (code == '.') return machine.root();
    if (!instructions[code])
      machine.fail("it uses instruction " + std::to_string(code) + ", which is not accepted");
    instructions[code](machine);
  }
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
  PickleMachine machine(bytes, path);
  return run(machine);
}

std::shared_ptr<Pickle> take_pickle(std::string_view& bytes, const std::string& path) {
  PickleMachine machine(bytes, path);
  std::shared_ptr<Pickle> root = run(machine);
  bytes.remove_prefix(machine.used());
  return root;
}

}  // namespace retort
