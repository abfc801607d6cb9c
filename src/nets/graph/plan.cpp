#include "nets/graph/plan.h"

#include "core/sizes.h"
#include "nets/winograd/first_layer.h"

namespace retort::nets {
namespace {

/// Turns operations into steps, one after the other.
class Planner {
 public:
  explicit Planner(const Definition& definition) : definition_(definition) {
    plan_.images = {definition.shape.channels, definition.shape.height, definition.shape.width};
    uses_.resize(definition.ops.size());
    for (const Op& op : definition.ops)
      for (const int64_t from : op.from)
        if (from >= 0) ++uses_[to_size(from)];
  }

  std::optional<Plan> plan() {
    const std::vector<Op>& ops = definition_.ops;
    if (ops.empty() || ops.back().kind != Op::Kind::kLinear) return {};
    for (size_t i = 0; i + 1 < ops.size(); ++i)
      if (!add(ops[i], uses_[i])) return {};
    if (!finish(ops.back())) return {};
    return std::move(plan_);
  }

 private:
  /// What an operation has become: a step's values, or a term that waits for its join.
  struct Made {
    PlanTerm term;
    bool waits = false;
    Sides sides;
  };

  int64_t parameter(size_t slot) const { return definition_.parameters.slots[slot].offset; }
  const Made* made(int64_t op) const { return op < 0 ? nullptr : &made_[to_size(op)]; }

  bool add(const Op& op, int64_t uses) {
    switch (op.kind) {
      case Op::Kind::kConv:
        return add_conv(op, uses);
      case Op::Kind::kNormActPool:
        return add_layer(op, uses);
      case Op::Kind::kPool:
        if (op.layer.pool == Pool::kNone) return repeat(op.from[0]);
        return op.window == 2 && add_values(op, PlanStep::Kind::kPool, op.layer.pool);
      case Op::Kind::kGlobalAverage:
        return add_values(op, PlanStep::Kind::kAverage, Pool::kNone);
      case Op::Kind::kAdd:
        return add_sum(op);
      case Op::Kind::kLinear:
        return false;
    }
    return false;
  }

  int64_t push(PlanStep step) {
    plan_.steps.push_back(std::move(step));
    return std::ssize(plan_.steps) - 1;
  }

  void remember(PlanTerm term, bool waits, const Sides& sides) {
    made_.push_back({std::move(term), waits, sides});
  }

  /// The step whose values an operation takes; none where they are a term that waits.
  std::optional<int64_t> values_of(int64_t op) {
    const Made* m = made(op);
    if (m && (m->waits || m->term.map)) return {};
    const int64_t step = m ? m->term.step : -1;
    if (step >= 0) ++plan_.steps[to_size(step)].uses;
    return step;
  }

  /// Nothing happens.
  bool repeat(int64_t from) {
    if (from < 0) return false;
    made_.push_back(Made(made_[to_size(from)]));
    return true;
  }

  bool add_conv(const Op& op, int64_t uses) {
    const auto from = values_of(op.from[0]);
    if (!from || uses != 1 || op.conv.out % kChannels != 0) return false;
    PlanStep step{.from = *from, .out = op.sides, .conv = op.conv};
    step.in = *from < 0 ? plan_.images : plan_.steps[to_size(*from)].out;
    step.weight = parameter(op.slot);
    if (*from < 0 &&
        (step.in.channels > kFirstChannels || op.conv.kernel != 3 || op.conv.stride != 1))
      return false;
    PlanTerm term{.map = true};
    if (op.conv.bias) term.bias = parameter(op.slot + 1);
    term.step = push(step);
    remember(term, true, op.sides);
    return true;
  }

  bool add_layer(const Op& op, int64_t uses) {
    const NormActPool& layer = op.layer;
    const Made* from = made(op.from[0]);
    if (!from || (layer.activation != Activation::kNone && layer.activation != Activation::kRelu))
      return false;
    if (layer.norm == NormKind::kNone && !from->waits) return add_relu(op, *from);
    PlanTerm term = from->term;
    if (!from->waits || (layer.norm != NormKind::kNone && term.norm != NormKind::kNone))
      return false;
    if (layer.norm != NormKind::kNone && !take_norm(op, term)) return false;
    const bool bare = layer.activation == Activation::kNone && layer.pool == Pool::kNone;
    if (bare && uses == 1 && next_is_sum(std::ssize(made_))) {
      remember(term, true, from->sides);
      return true;
    }
    return join({term}, layer, from->sides);
  }

  /// True where an operation is added to something.
  bool next_is_sum(int64_t op) const {
    for (const Op& later : definition_.ops)
      if (later.kind == Op::Kind::kAdd && (later.from[0] == op || later.from[1] == op)) return true;
    return false;
  }

  bool take_norm(const Op& op, PlanTerm& term) const {
    if (op.layer.norm == NormKind::kLayer) return false;
    term.norm = op.layer.norm;
    term.name = op.name;
    term.gain = parameter(op.slot), term.shift = parameter(op.slot + 1);
    if (term.norm != NormKind::kBatch) return true;
    term.mean = definition_.state.slots[op.statistic].offset;
    term.variance = definition_.state.slots[op.statistic + 1].offset;
    return true;
  }

  /// ReLU on values: of a sum that has none yet.
  bool add_relu(const Op& op, const Made& from) {
    if (from.term.step < 0) return false;
    PlanStep& step = plan_.steps[to_size(from.term.step)];
    if (step.kind != PlanStep::Kind::kJoin || step.relu || step.uses > 0) return false;
    step.relu = op.layer.activation == Activation::kRelu;
    return pool(from.term.step, op.layer.pool, from.sides, op.sides);
  }

  bool add_sum(const Op& op) {
    std::vector<PlanTerm> terms;
    Sides sides;
    for (const int64_t from : op.from) {
      const Made* m = made(from);
      if (!m) return false;
      if (!m->waits && !values_of(from)) return false;
      terms.push_back(m->term);
      sides = m->sides;
    }
    if (!terms[0].map && !terms[1].map) return false;
    return join(terms, {}, sides);
  }

  bool join(std::vector<PlanTerm> terms, const NormActPool& layer, const Sides& sides) {
    PlanStep step{.kind = PlanStep::Kind::kJoin, .in = sides, .out = sides};
    for (const PlanTerm& term : terms)
      if (term.map) ++plan_.steps[to_size(term.step)].uses;
    step.terms = std::move(terms);
    step.relu = layer.activation == Activation::kRelu;
    const Sides halves{sides.channels, sides.height / 2, sides.width / 2};
    return pool(push(step), layer.pool, sides, halves);
  }

  bool pool(int64_t step, Pool kind, const Sides& in, const Sides& out) {
    if (kind != Pool::kNone) {
      ++plan_.steps[to_size(step)].uses;
      step = push({.kind = PlanStep::Kind::kPool,
                   .from = step,
                   .in = in,
                   .out = out,
                   .largest = kind == Pool::kMax});
    }
    remember({.step = step}, false, kind == Pool::kNone ? in : out);
    return true;
  }

  bool add_values(const Op& op, PlanStep::Kind kind, Pool pool_kind) {
    const auto from = values_of(op.from[0]);
    if (!from || *from < 0) return false;
    const int64_t step = push({.kind = kind,
                               .from = *from,
                               .in = plan_.steps[to_size(*from)].out,
                               .out = op.sides,
                               .largest = pool_kind == Pool::kMax});
    remember({.step = step}, false, op.sides);
    return true;
  }

  bool finish(const Op& head) {
    const auto from = values_of(head.from[0]);
    if (!from || *from < 0 || *from != std::ssize(plan_.steps) - 1) return false;
    plan_.features = plan_.steps.back().size();
    plan_.classes = definition_.shape.classes;
    plan_.parameters = definition_.parameters.size;
    plan_.statistics = definition_.state.size;
    plan_.head_weight = parameter(head.slot), plan_.head_bias = parameter(head.slot + 1);
    for (const PlanStep& step : plan_.steps)
      if (step.uses < 1 || step.uses > 2) return false;
    return true;
  }

  const Definition& definition_;
  Plan plan_;
  std::vector<Made> made_;
  std::vector<int64_t> uses_;
};

}  // namespace

std::optional<Plan> make_plan(const Definition& definition) {
  return Planner(definition).plan();
}

}  // namespace retort::nets
