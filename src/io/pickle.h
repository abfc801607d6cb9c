// A bounded reader of Python pickles (protocols 0 to 5) that runs no code: globals and calls become
// nodes of a tree that the caller interprets. Used for CIFAR's Python batches and for .pt files.
// The input is untrusted: depth, counts and memory are bounded, cycles are refused, and so is
// sharing that would blow up when the tree is walked. No torch here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace retort {

struct Pickle;

/// One value of the tree. Values that the pickle shares are shared here.
struct Pickle {
  enum class Kind {
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kBytes,
    kList,
    kTuple,
    kDict,
    kSet,
    kGlobal,      ///< text = "module name"
    kCall,        ///< items = {callable, arguments, optional state from BUILD}; entries from
                  ///< SETITEMS, and from APPENDS with kNone keys
    kPersistent,  ///< items = {persistent id}
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;  ///< kInt, kBool
  double number = 0;    ///< kFloat
  std::string text;     ///< kString (UTF-8 or raw Python 2 bytes), kBytes, kGlobal; an integer
                        ///< wider than 64 bits (protocols 2 on) is its little-endian kBytes
  std::vector<std::shared_ptr<Pickle>> items;                                        ///< see kinds
  std::vector<std::pair<std::shared_ptr<Pickle>, std::shared_ptr<Pickle>>> entries;  ///< kDict

  bool is(Kind k) const { return kind == k; }
  /// The value of a string key (kString or kBytes) of a kDict or kCall, or null.
  const Pickle* get(std::string_view key) const;
  /// For kCall: the global's text, "torch._utils _rebuild_tensor_v2"; else empty.
  std::string_view callee() const;
};

/// Reads one pickle; DataError naming `path` where it is damaged, uses an opcode that is not
/// accepted, or is deeper or larger than the bounds.
std::shared_ptr<Pickle> read_pickle(std::string_view bytes, const std::string& path);
/// The same of a pickle that more bytes follow: takes it off `bytes`.
std::shared_ptr<Pickle> take_pickle(std::string_view& bytes, const std::string& path);

}  // namespace retort
