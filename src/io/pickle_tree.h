// The tree that a pickle is read into, while it is read. No torch here.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/pickle.h"

namespace retort {

/// A value with what the check at the end knows of it.
struct PickleNode : Pickle {
  enum class Visit : uint8_t { kNew, kOpen, kDone };
  Visit visit = Visit::kNew;
  uint32_t depth = 1;
  uint64_t unshared_nodes = 1;
  uint64_t unshared_text = 0;

  size_t children() const { return items.size() + 2 * entries.size(); }
  PickleNode& child(size_t i) const;
};

/// Owns every node while reading. What is not kept at the end loses its links first, so that
/// neither cycles leak nor long chains recurse when they are destroyed.
class PickleArena {
 public:
  PickleArena() = default;
  PickleArena(const PickleArena&) = delete;
  PickleArena& operator=(const PickleArena&) = delete;
  ~PickleArena();
  /// A new node, or null where there are too many.
  std::shared_ptr<PickleNode> make();
  /// Keeps the tree below `root` and says empty; or keeps nothing and says what is wrong with it: a
  /// cycle, too deep, or too large if nothing were shared. Walks each node once, without recursion.
  std::string keep(Pickle& root);

 private:
  static std::string finish(PickleNode& node);
  static std::string walk(PickleNode& root);

  std::vector<std::shared_ptr<PickleNode>> nodes_;
  bool keep_ = false;
};

}  // namespace retort
