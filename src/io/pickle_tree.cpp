// Bounds of a pickle's tree: what walks it later may recurse and need not remember where it was.
// No torch here.
#include "io/pickle_tree.h"

#include <algorithm>
#include <utility>

namespace retort {
namespace {

// A trajectory file of 10 experts has about 10^5 nodes, a CIFAR batch 2 * 10^4; trees of tensors
// are less than 20 deep.
constexpr size_t kMostNodes = size_t{1} << 23;
constexpr uint32_t kMostDepth = 200;
constexpr uint64_t kMostUnsharedNodes = uint64_t{1} << 25;
constexpr uint64_t kMostUnsharedText = uint64_t{1} << 32;

}  // namespace

PickleNode& PickleNode::child(size_t i) const {
  if (i < items.size()) return static_cast<PickleNode&>(*items[i]);
  const auto& entry = entries[(i - items.size()) / 2];
  return static_cast<PickleNode&>((i - items.size()) % 2 == 0 ? *entry.first : *entry.second);
}

PickleArena::~PickleArena() {
  for (const std::shared_ptr<PickleNode>& node : nodes_) {
    if (keep_ && node->visit == PickleNode::Visit::kDone) continue;
    node->items.clear();
    node->entries.clear();
  }
}

std::shared_ptr<PickleNode> PickleArena::make() {
  if (nodes_.size() >= kMostNodes) return nullptr;
  return nodes_.emplace_back(std::make_shared<PickleNode>());
}

std::string PickleArena::finish(PickleNode& node) {
  node.unshared_text = node.text.size();
  for (size_t i = 0; i < node.children(); ++i) {
    const PickleNode& child = node.child(i);
    node.depth = std::max(node.depth, child.depth + 1);
    node.unshared_nodes += child.unshared_nodes;
    node.unshared_text += child.unshared_text;
    if (node.unshared_nodes > kMostUnsharedNodes || node.unshared_text > kMostUnsharedText)
      return "its shared values would unfold to too many";
  }
  if (node.depth > kMostDepth) return "its values are nested too deeply";
  node.visit = PickleNode::Visit::kDone;
  return {};
}

std::string PickleArena::walk(PickleNode& root) {
  std::vector<std::pair<PickleNode*, size_t>> open{{&root, 0}};
  root.visit = PickleNode::Visit::kOpen;
  while (!open.empty()) {
    auto& [node, next] = open.back();
    if (next == node->children()) {
      std::string problem = finish(*node);
      if (!problem.empty()) return problem;
      open.pop_back();
      continue;
    }
    PickleNode& child = node->child(next++);
    if (child.visit == PickleNode::Visit::kOpen) return "a value contains itself";
    if (child.visit == PickleNode::Visit::kDone) continue;
    child.visit = PickleNode::Visit::kOpen;
    open.emplace_back(&child, 0);
  }
  return {};
}

std::string PickleArena::keep(Pickle& root) {
  std::string problem = walk(static_cast<PickleNode&>(root));
  keep_ = problem.empty();
  return problem;
}

}  // namespace retort
