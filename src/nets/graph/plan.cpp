#include "nets/graph/plan.h"

#include "core/sizes.h"
#include "nets/winograd/first_layer.h"

namespace retort::nets {
namespace {

Sides in_blocks(Sides sides) {
  sides.channels = (sides.channels + kChannels - 1) / kChannels * kChannels;
  return sides;
}

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

  /// Where a slot of [rows, count] lies in rows and columns of whole blocks.
  static int64_t place(PaddedLayout& in, const Slot& slot, int64_t rows, int64_t own_rows,
                       int64_t own_count) {
    return in.add(slot.offset, rows, slot.count / rows, own_rows, own_count);
  }
  const Slot& parameter(size_t slot) const { return definition_.parameters.slots[slot]; }
  int64_t by_channel(PaddedLayout& in, const Slot& slot) const {
    return place(in, slot, 1, 1, in_blocks({slot.count}).channels);
  }
  const Made* made(int64_t op) const { return op < 0 ? nullptr : &made_[to_size(op)]; }

  bool add(const Op& op, int64_t uses) {
    switch (op.kind) {
      case Op::Kind::kConv:
        return add_conv(op, uses);
      case Op::Kind::kNormActPool:
        return add_layer(op, uses);
      case Op::Kind::kPool:
        if (op.layer.pool == Pool::kNone) return repeat(op.from[0]);
        return op.window == 2 && (pool_before(op) || add_values(op, PlanStep::Kind::kPool));
      case Op::Kind::kGlobalAverage:
        return add_values(op, PlanStep::Kind::kAverage);
      case Op::Kind::kAdd:
        return add_sum(op);
      case Op::Kind::kLinear:
        return false;  // one that others follow: libtorch's products are faster
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
    if (!from || uses != 1) return false;
    PlanStep step{
        .from = *from, .out = in_blocks(op.sides), .real = op.sides.channels, .conv = op.conv};
    step.in = *from < 0 ? plan_.images : plan_.steps[to_size(*from)].out;
    if (*from < 0 &&
        (step.in.channels > kFirstChannels || op.conv.kernel != 3 || op.conv.stride != 1))
      return false;
    step.weight = place(plan_.theta, parameter(op.slot), step.real, step.out.channels,
                        step.in.channels * step.conv.kernel * step.conv.kernel);
    PlanTerm term{.map = true};
    if (op.conv.bias) term.bias = by_channel(plan_.theta, parameter(op.slot + 1));
    term.step = push(step);
    remember(term, true, step.out);
    return true;
  }

  /// A mean of windows behind a 1x1 convolution is one before it: they are linear, and pixels do
  /// not meet in the convolution.
  bool pool_before(const Op& op) {
    const Made* from = made(op.from[0]);
    if (!from || !from->waits || op.layer.pool != Pool::kAverage ||
        from->term.norm != NormKind::kNone || from->term.step != std::ssize(plan_.steps) - 1)
      return false;
    PlanStep conv = plan_.steps.back();
    if (conv.from < 0 || conv.conv.kernel != 1 || conv.conv.stride != 1 || conv.conv.padding != 0)
      return false;
    plan_.steps.pop_back();
    PlanStep pool{.kind = PlanStep::Kind::kPool, .from = conv.from, .in = conv.in, .uses = 1};
    pool.real = plan_.steps[to_size(conv.from)].real;
    pool.out = {conv.in.channels, op.sides.height, op.sides.width};
    conv.from = push(pool);
    conv.in = pool.out;
    conv.out.height = op.sides.height, conv.out.width = op.sides.width;
    PlanTerm term = from->term;
    term.step = push(conv);
    remember(term, true, conv.out);
    return true;
  }

  bool add_layer(const Op& op, int64_t uses) {
    const NormActPool& layer = op.layer;
    const Made* from = made(op.from[0]);
    if (!from || (layer.activation != Activation::kNone && layer.activation != Activation::kRelu))
      return false;
    if (layer.norm == NormKind::kNone && !from->waits) return add_relu(op, *from);
    PlanTerm term = from->term;
    const bool waits = from->waits || becomes_map(op.from[0], term);
    if (!waits || (layer.norm != NormKind::kNone && term.norm != NormKind::kNone)) return false;
    if (layer.norm != NormKind::kNone) take_norm(op, term);
    if (layer.norm == NormKind::kLayer) return add_affine(op, term, from->sides);
    const bool bare = layer.activation == Activation::kNone && layer.pool == Pool::kNone;
    if (bare && uses == 1 && next_is_sum(std::ssize(made_))) {
      remember(term, true, from->sides);
      return true;
    }
    return join({term}, layer, from->sides);
  }

  /// Makes pooled values that only one operation takes a map.
  bool becomes_map(int64_t op, PlanTerm& term) const {
    term.map = term.step >= 0 && uses_[to_size(op)] == 1 &&
               plan_.steps[to_size(term.step)].kind == PlanStep::Kind::kPool;
    return term.map;
  }

  /// True where an operation is added to something.
  bool next_is_sum(int64_t op) const {
    for (const Op& later : definition_.ops)
      if (later.kind == Op::Kind::kAdd && (later.from[0] == op || later.from[1] == op)) return true;
    return false;
  }

  void take_norm(const Op& op, PlanTerm& term) {
    term.norm = op.layer.norm;
    term.name = op.name;
    if (term.norm == NormKind::kLayer) return;
    term.gain = by_channel(plan_.theta, parameter(op.slot));
    term.shift = by_channel(plan_.theta, parameter(op.slot + 1));
    if (term.norm != NormKind::kBatch) return;
    term.mean = by_channel(plan_.state, definition_.state.slots[op.statistic]);
    term.variance = by_channel(plan_.state, definition_.state.slots[op.statistic + 1]);
  }

  /// Layer norm: what it leaves of a map, then its gain and shift of every value.
  bool add_affine(const Op& op, const PlanTerm& term, const Sides& sides) {
    PlanStep step{.kind = PlanStep::Kind::kAffine, .in = sides, .out = sides, .uses = 0};
    step.relu = op.layer.activation == Activation::kRelu;
    step.from = add_terms({term}, sides);
    ++plan_.steps[to_size(step.from)].uses;
    step.real = plan_.steps[to_size(step.from)].real;
    const auto by_value = [&](const Slot& slot) {
      return place(plan_.theta, slot, step.real, sides.channels, step.positions());
    };
    step.weight = by_value(parameter(op.slot));
    step.shift = by_value(parameter(op.slot + 1));
    return pool(push(step), op.layer.pool, sides);
  }

  /// ReLU on values: of a sum that has none yet.
  bool add_relu(const Op& op, const Made& from) {
    if (from.term.step < 0) return false;
    PlanStep& step = plan_.steps[to_size(from.term.step)];
    if (step.kind != PlanStep::Kind::kJoin || step.relu || step.uses > 0) return false;
    step.relu = op.layer.activation == Activation::kRelu;
    return pool(from.term.step, op.layer.pool, from.sides);
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
    const int64_t step = add_terms(std::move(terms), sides);
    plan_.steps[to_size(step)].relu = layer.activation == Activation::kRelu;
    return pool(step, layer.pool, sides);
  }

  int64_t add_terms(std::vector<PlanTerm> terms, const Sides& sides) {
    PlanStep step{.kind = PlanStep::Kind::kJoin, .in = sides, .out = sides};
    for (const PlanTerm& term : terms)
      if (term.map) ++plan_.steps[to_size(term.step)].uses;
    step.terms = std::move(terms);
    step.real = plan_.steps[to_size(step.terms[0].step)].real;
    return push(std::move(step));
  }

  bool pool(int64_t step, Pool kind, const Sides& in) {
    Sides out = in;
    if (kind != Pool::kNone) {
      ++plan_.steps[to_size(step)].uses;
      out = {in.channels, in.height / 2, in.width / 2};
      step = push({.kind = PlanStep::Kind::kPool,
                   .from = step,
                   .in = in,
                   .out = out,
                   .real = plan_.steps[to_size(step)].real,
                   .largest = kind == Pool::kMax});
    }
    remember({.step = step}, false, out);
    return true;
  }

  bool add_values(const Op& op, PlanStep::Kind kind) {
    const auto from = values_of(op.from[0]);
    if (!from || *from < 0) return false;
    const int64_t step = push({.kind = kind,
                               .from = *from,
                               .in = plan_.steps[to_size(*from)].out,
                               .out = in_blocks(op.sides),
                               .real = op.sides.channels,
                               .largest = op.layer.pool == Pool::kMax});
    remember({.step = step}, false, in_blocks(op.sides));
    return true;
  }

  bool finish(const Op& head) {
    const auto from = values_of(head.from[0]);
    if (!from || *from < 0 || *from != std::ssize(plan_.steps) - 1) return false;
    const PlanStep& last = plan_.steps.back();
    plan_.features = last.real * last.positions();
    plan_.classes = definition_.shape.classes;
    const auto whole = [&](const Slot& slot) { return place(plan_.theta, slot, 1, 1, slot.count); };
    plan_.head_weight = whole(parameter(head.slot));
    plan_.head_bias = whole(parameter(head.slot + 1));
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
