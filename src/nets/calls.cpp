// observe, gradient and directional by autograd, for any architecture. Only autograd::grad is used:
// nothing is accumulated into the caller's tensors, and a caller's NoGradGuard does not matter.
#include <torch/csrc/autograd/autograd.h>

#include <memory>

#include "nets/pass.h"
#include "nets/row_lanes.h"
#include "nets/sequential/sweep.h"
#ifdef RETORT_WITH_BLOCKED
#include "nets/onednn/engine.h"
#endif
#include "retort/nets/layer_builder.h"

namespace retort::nets {
namespace {

using torch::autograd::grad;

// A leaf on the same memory.
at::Tensor leaf(const at::Tensor& x, bool requires_grad) {
  return x.detach().set_requires_grad(requires_grad);
}

at::Tensor or_zeros(const at::Tensor& x, const at::Tensor& like) {
  return x.defined() ? x.detach().contiguous() : at::zeros_like(like.detach());
}

bool grouped(const Call& call) {
  return call.theta.dim() == 2 || !call.offsets.empty();
}

// Rows where every part begins, and the end.
std::vector<int64_t> edges_of(const Call& call) {
  if (!call.offsets.empty()) return call.offsets;
  return {0, call.images.size(0)};
}

template <class Answer>
at::Tensor gather(const std::vector<Answer>& answers, at::Tensor Answer::*field, bool stacked) {
  std::vector<at::Tensor> all;
  for (const Answer& answer : answers) all.push_back(answer.*field);
  if (!all.front().defined()) return {};
  return stacked ? at::stack(all) : at::cat(all);
}

// Everything that the targets need for a part, its own leaf of the values included.
losses::Targets with_leaf(const losses::Targets& targets, bool wanted) {
  TORCH_CHECK(!wanted || targets.values.is_floating_point(), "classes have no derivative");
  losses::Targets own = targets;
  own.values = wanted ? leaf(targets.values, true) : targets.values.detach();
  return own;
}

// Of derivatives in the order theta's slots, images, targets: the last two where they were wanted.
template <class Answer>
void take_rest(const std::vector<at::Tensor>& found, const std::vector<at::Tensor>& inputs,
               size_t slots, Wanted wanted, Answer& answer) {
  size_t next = slots;
  if (wanted.images) answer.images = or_zeros(found[next], inputs[next]), ++next;
  if (wanted.targets) answer.targets = or_zeros(found[next], inputs[next]);
}

std::vector<at::Tensor> inputs_of(const Pass& pass, const losses::Targets& targets, Wanted wanted) {
  std::vector<at::Tensor> inputs = pass.theta;
  if (wanted.images) inputs.push_back(pass.images);
  if (wanted.targets) inputs.push_back(targets.values);
  return inputs;
}

std::vector<at::Tensor> first(const std::vector<at::Tensor>& all, size_t count) {
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

std::vector<at::Tensor> cut(const Layout& layout, const at::Tensor& flat) {
  TORCH_CHECK(flat.dim() == 1 && flat.size(0) == layout.size, "a vector of ", layout.size,
              " numbers is wanted, not ", flat.sizes());
  const at::Tensor whole = flat.contiguous();
  std::vector<at::Tensor> pieces;
  for (const Slot& slot : layout.slots)
    pieces.push_back(whole.narrow(0, slot.offset, slot.count).view(slot.shape));
  return pieces;
}

at::Tensor joined(const std::vector<at::Tensor>& pieces, const std::vector<at::Tensor>& like) {
  std::vector<at::Tensor> flat;
  for (size_t i = 0; i < like.size(); ++i)
    flat.push_back(or_zeros(i < pieces.size() ? pieces[i] : at::Tensor(), like[i]).reshape(-1));
  return at::cat(flat);
}

Pass Network::run(const Part& part, const Keep& keep) const {
  TORCH_CHECK(part.images.dim() == 4 && part.images.size(1) == shape_.channels &&
                  part.images.size(2) == shape_.height && part.images.size(3) == shape_.width,
              "network '", name_, "' takes images [N, ", shape_.channels, ", ", shape_.height, ", ",
              shape_.width, "], not ", part.images.sizes());
  TORCH_CHECK(part.images.scalar_type() == part.theta.scalar_type(),
              "theta and images must be of one type");
  at::AutoGradMode recording(keep.theta || keep.images);
  Pass pass;
  for (const at::Tensor& slot : cut(parameters_, part.theta.detach()))
    pass.theta.push_back(leaf(slot, keep.theta));
  pass.images = leaf(part.images, keep.images);

  Evaluation evaluation{pass.theta, {}, part.norm, keep.second_order};
  const bool updating = state_.size > 0 && part.norm == NormMode::kUpdating;
  if (state_.size > 0 && part.norm != NormMode::kBatch) {
    TORCH_CHECK(part.state.defined(), "network '", name_, "' needs its running state");
    for (const at::Tensor& slot : cut(state_, part.state.detach()))
      evaluation.state.push_back(updating ? slot.clone() : slot);
  }
  for (const std::string& name : keep.taps) evaluation.taps[name];
  Forward forward(evaluation);
  pass.logits = architecture_(forward, pass.images);
  if (evaluation.taps.count("logits")) evaluation.taps["logits"] = pass.logits;
  pass.taps = std::move(evaluation.taps);
  pass.state = updating ? joined(evaluation.state, evaluation.state) : part.state;
  return pass;
}

bool Network::updates(const Call& call) const {
  return state_.size > 0 && call.norm == NormMode::kUpdating;
}

std::vector<Part> Network::parts_of(const Call& call) const {
  const std::vector<int64_t> edges = edges_of(call);
  const int64_t groups = static_cast<int64_t>(edges.size()) - 1;
  TORCH_CHECK(edges.front() == 0 && edges.back() == call.images.size(0),
              "offsets run from 0 to the number of images");
  TORCH_CHECK(call.theta.dim() == 1 || call.theta.size(0) == groups,
              "theta [G, P] needs G + 1 offsets");
  const bool own_state = call.state.defined() && call.state.dim() == 2;
  std::vector<Part> parts;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t begin = edges[static_cast<size_t>(g)], end = edges[static_cast<size_t>(g + 1)];
    TORCH_CHECK(begin < end, "group ", g, " has no rows");
    parts.push_back({call.theta.dim() == 2 ? call.theta.select(0, g) : call.theta,
                     own_state ? call.state.select(0, g) : call.state,
                     call.images.narrow(0, begin, end - begin), call.norm});
  }
  return parts;
}

Observation Network::observe_part(const Part& part, const std::vector<std::string>& taps,
                                  Back back) const {
  auto pass = std::make_shared<Pass>(run(part, {back.theta, back.images, false, taps}));
  Observation seen;
  for (const auto& [name, value] : pass->taps) {
    TORCH_CHECK(value.defined(), "network '", name_, "' has no tap '", name, "'");
    seen.taps[name] = value.detach();
  }
  seen.state = pass->state;
  if (!back.images && !back.theta) return seen;
  seen.pullback = [pass, back](const std::map<std::string, at::Tensor>& cotangents) {
    TORCH_CHECK(pass->images.defined(), "an observation is pulled back once");
    std::vector<at::Tensor> outputs, weights, inputs;
    for (const auto& [name, cotangent] : cotangents) {
      const at::Tensor& value = pass->taps.at(name);
      if (!value.requires_grad()) continue;
      outputs.push_back(value);
      weights.push_back(cotangent);
    }
    if (back.theta) inputs = pass->theta;
    if (back.images) inputs.push_back(pass->images);
    std::vector<at::Tensor> found(inputs.size());
    if (!outputs.empty()) found = grad(outputs, inputs, weights, {}, false, true);
    Pulled pulled;
    if (back.images) pulled.images = or_zeros(found.back(), pass->images);
    if (back.theta) pulled.theta = joined(first(found, pass->theta.size()), pass->theta);
    *pass = Pass();
    return pulled;
  };
  return seen;
}

bool Network::by_blocks(const std::vector<Part>& parts) const {
#ifdef RETORT_WITH_BLOCKED
  return blocked_ && std::all_of(parts.begin(), parts.end(), BlockedEngine::takes);
#else
  return false;
#endif
}

Observation Network::observe(const Call& call, const std::vector<std::string>& taps,
                             Back back) const {
  if (call.theta.dim() == 1) {
    const Part whole{call.theta, call.state, call.images, call.norm};
#ifdef RETORT_WITH_BLOCKED
    const bool kept = back.images || back.theta;
    if (blocked_taps(taps) && by_blocks({whole}))
      return blocked_->observe(whole, taps, back,
                               row_limits(*this, kept ? kBlockedRows : kBlockedForward));
#endif
    return observe_part(whole, taps, back);
  }
  std::vector<Observation> seen;
  for (const Part& part : parts_of(call)) seen.push_back(observe_part(part, taps, back));
  Observation all;
  for (const std::string& name : taps) {
    std::vector<at::Tensor> values;
    for (const Observation& one : seen) values.push_back(one.taps.at(name));
    all.taps[name] = at::cat(values);
  }
  all.state = updates(call) ? gather(seen, &Observation::state, true) : call.state;
  if (!back.images && !back.theta) return all;
  all.pullback = [seen = std::move(seen), edges = edges_of(call),
                  back](const std::map<std::string, at::Tensor>& cotangents) {
    std::vector<Pulled> pulled;
    for (size_t g = 0; g < seen.size(); ++g) {
      std::map<std::string, at::Tensor> own;
      for (const auto& [name, value] : cotangents)
        own[name] = value.narrow(0, edges[g], edges[g + 1] - edges[g]);
      pulled.push_back(seen[g].pullback(own));
    }
    return Pulled{gather(pulled, &Pulled::images, false), gather(pulled, &Pulled::theta, true)};
  };
  return all;
}

Gradient Network::gradient_part(const Part& part, const losses::Targets& targets,
                                Wanted wanted) const {
  const losses::Targets own = with_leaf(targets, wanted.targets);
  const Pass pass = run(part, {true, wanted.images});
  at::AutoGradMode recording(true);
  const at::Tensor loss = losses::mean_loss(pass.logits, own);
  const std::vector<at::Tensor> inputs = inputs_of(pass, own, wanted);
  const std::vector<at::Tensor> found = grad({loss}, inputs, {}, {}, false, true);
  Gradient answer;
  answer.loss = loss.detach();
  answer.logits = pass.logits.detach();
  answer.state = pass.state;
  answer.theta = joined(first(found, pass.theta.size()), pass.theta);
  take_rest(found, inputs, pass.theta.size(), wanted, answer);
  return answer;
}

// The mean over all rows is the sum of the pieces' means, each by its share of the rows.
Gradient Network::gradient_in_pieces(const Part& part, const losses::Targets& targets,
                                     Wanted wanted) const {
  const int64_t rows = part.images.size(0);
  const int64_t most = couples(state_, part) ? rows : rows_at_once(rows);
  if (most >= rows) return gradient_part(part, targets, wanted);
  std::vector<Gradient> answers;
  for (int64_t begin = 0; begin < rows; begin += most) {
    const int64_t count = std::min(most, rows - begin);
    Part piece = part;
    piece.images = part.images.narrow(0, begin, count);
    Gradient g = gradient_part(piece, rows_of(targets, begin, count), wanted);
    const double share = static_cast<double>(count) / static_cast<double>(rows);
    g.loss = g.loss * share;
    g.theta.mul_(share);
    if (g.images.defined()) g.images.mul_(share);
    if (g.targets.defined()) g.targets.mul_(share);
    if (!answers.empty()) {
      answers[0].loss.add_(g.loss);
      answers[0].theta.add_(g.theta);
      g.loss = g.theta = at::Tensor();
    }
    answers.push_back(std::move(g));
  }
  Gradient all = answers[0];
  all.images = gather(answers, &Gradient::images, false);
  all.targets = gather(answers, &Gradient::targets, false);
  all.logits = gather(answers, &Gradient::logits, false);
  return all;
}

Gradient Network::gradient(const Call& call, const losses::Targets& targets, Wanted wanted) const {
  const std::vector<Part> parts = parts_of(call);
  std::vector<GradientPart> own;
  int64_t begin = 0;
  for (const Part& part : parts) {
    const int64_t rows = part.images.size(0);
    own.push_back({part, rows_of(targets, begin, rows)});
    begin += rows;
  }
  std::vector<Gradient> answers;
#ifdef RETORT_WITH_BLOCKED
  if (by_blocks(parts)) answers = blocked_->gradient(own, wanted, row_limits(*this, kBlockedRows));
#endif
  if (answers.empty())
    for (const GradientPart& one : own)
      answers.push_back(gradient_in_pieces(one.part, one.targets, wanted));
  if (!grouped(call)) return answers.front();
  return {gather(answers, &Gradient::loss, true),
          gather(answers, &Gradient::theta, true),
          gather(answers, &Gradient::images, false),
          gather(answers, &Gradient::targets, false),
          gather(answers, &Gradient::logits, false),
          updates(call) ? gather(answers, &Gradient::state, true) : call.state};
}

Directional Network::directional_part(const Part& part, const losses::Targets& targets,
                                      const at::Tensor& v, Wanted wanted) const {
  const losses::Targets own = with_leaf(targets, wanted.targets);
  const Pass pass = run(part, {true, wanted.images, /*second_order=*/true});
  at::AutoGradMode recording(true);
  const at::Tensor loss = losses::mean_loss(pass.logits, own);
  const std::vector<at::Tensor> g = grad({loss}, pass.theta, {}, {}, true, true);
  const std::vector<at::Tensor> along = cut(parameters_, v.detach());
  at::Tensor slope = at::zeros({}, v.options());
  for (size_t i = 0; i < g.size(); ++i)
    if (g[i].defined()) slope = slope + (g[i] * along[i]).sum();
  const std::vector<at::Tensor> inputs = inputs_of(pass, own, wanted);
  std::vector<at::Tensor> found(inputs.size());
  if (slope.requires_grad()) found = grad({slope}, inputs, {}, {}, false, true);
  Directional answer;
  answer.loss = slope.detach();
  answer.theta = joined(first(found, pass.theta.size()), pass.theta);
  take_rest(found, inputs, pass.theta.size(), wanted, answer);
  return answer;
}

Directional Network::directional(const Call& call, const losses::Targets& targets,
                                 const at::Tensor& v, Wanted wanted, Way way) const {
  const std::vector<Part> parts = parts_of(call);
  TORCH_CHECK(
      v.dim() == 1 ? call.theta.dim() == 1 : v.size(0) == static_cast<int64_t>(parts.size()),
      "v is [P] as theta, or [G, P]");
  std::vector<Directional> answers;
  std::vector<SweepPart> swept;
  const bool sweeping = way == Way::kBest && chain_ && targets.kind == losses::Kind::kCrossEntropy;
  int64_t begin = 0;
  for (size_t g = 0; g < parts.size(); ++g) {
    const int64_t rows = parts[g].images.size(0);
    const at::Tensor along = v.dim() == 2 ? v.select(0, static_cast<int64_t>(g)) : v;
    const losses::Targets own = rows_of(targets, begin, rows);
    if (sweeping)
      swept.push_back({parts[g], own, along});
    else
      answers.push_back(directional_part(parts[g], own, along, wanted));
    begin += rows;
  }
#ifdef RETORT_WITH_BLOCKED
  if (sweeping && by_blocks(parts))
    answers = blocked_->directional(swept, wanted, row_limits(*this, kBlockedRows));
#endif
  if (sweeping && answers.empty())
    answers = sweep({*chain_, parameters_, state_, row_limits(*this, kSweepRows)}, swept, wanted);
  if (!grouped(call)) return answers.front();
  return {gather(answers, &Directional::loss, true), gather(answers, &Directional::theta, true),
          gather(answers, &Directional::images, false),
          gather(answers, &Directional::targets, false)};
}

}  // namespace retort::nets
