// The table of engines.
#include <array>

#include "nets/autograd/engine.h"
#include "nets/blocked/factory.h"
#include "nets/engine.h"
#include "nets/graph/factory.h"
#include "nets/sequential/engine.h"

namespace retort::nets {
namespace {

struct EngineRow {
  EngineEntry (*about)();
  /// Null where the network is not for the engine, or the engine is not present.
  std::shared_ptr<const Engine> (*make)(const std::shared_ptr<const Definition>& definition);
};

constexpr std::array kRows{
    EngineRow{about_blocked, make_blocked},
    EngineRow{about_graph, make_graph},
    EngineRow{about_sequential, make_sequential},
    EngineRow{about_autograd, make_autograd},
};

}  // namespace

std::vector<EngineEntry> engine_table() {
  std::vector<EngineEntry> table;
  for (const EngineRow& row : kRows) table.push_back(row.about());
  return table;
}

std::vector<std::shared_ptr<const Engine>> make_engines(
    const std::shared_ptr<const Definition>& definition) {
  std::vector<std::shared_ptr<const Engine>> engines;
  for (const EngineRow& row : kRows)
    if (auto engine = row.make(definition)) engines.push_back(std::move(engine));
  return engines;
}

Observation Engine::observe(const Group&, const Query&) const {
  TORCH_INTERNAL_ASSERT(false, name(), " does not observe");
}

std::vector<Gradient> Engine::gradient(const std::vector<Group>&, const Query&) const {
  TORCH_INTERNAL_ASSERT(false, name(), " has no gradient");
}

std::vector<GradientJvp> Engine::gradient_jvp(const std::vector<Group>&, const Query&) const {
  TORCH_INTERNAL_ASSERT(false, name(), " has no second-order product");
}

losses::Targets rows_of(const losses::Targets& targets, int64_t begin, int64_t count) {
  losses::Targets rows = targets;
  rows.values = targets.values.narrow(0, begin, count);
  if (targets.weights.defined()) rows.weights = targets.weights.narrow(0, begin, count);
  return rows;
}

}  // namespace retort::nets
