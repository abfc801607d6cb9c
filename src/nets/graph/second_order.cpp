#include "nets/graph/second_order.h"

#include <algorithm>

#include "nets/blocked/head.h"
#include "nets/graph/tangent_pass.h"
#include "nets/sequential/dual_head.h"

namespace retort::nets {
namespace {

/// The weights of a theta and of a direction.
struct DualWeights {
  std::shared_ptr<const GraphWeights> values, along;
};

/// Adds what some rows of a group make to the loss and theta of `all`, and writes their rows of the
/// rest. `share`: of one row in the mean.
void add_rows(GraphSpace& space, const DualWeights& weights, const Group& rows, int64_t begin,
              double share, GradientJvp& all) {
  const float *theta = values_of(weights.values->theta),
              *direction = values_of(weights.along->theta);
  const at::Tensor images = held(rows.images), state = frozen_state(space.plan, rows);
  const int64_t count = rows.rows();
  const ArenaPool::Lease arena = space.arenas.lease();
  GraphTangentPass pass(space.plan, weights.values->packed, weights.along->packed, *arena,
                        {theta, direction, values_of(state), count});
  const float* made = pass.forward(values_of(images));
  const int64_t size = count * space.plan.features;
  const DualFeatures features{made, made + size};
  const DualHead head(head_tangent(space.head, theta, direction, features, count), rows.targets,
                      share);
  const Dual dlogits{head.logits.value.contiguous(), head.logits.tangent.contiguous()};
  float* dfeatures = (*arena).take(2 * size);
  float* dtheta = all.theta.defined() ? all.theta.data_ptr<float>() : nullptr;
  head_back(space.head, theta, values_of(dlogits.value), made, count, nullptr, dfeatures);
  head_back_tangent(space.head, theta, direction, dlogits, features, dtheta, dfeatures + size);
  at::Tensor dimages;
  if (all.images.defined()) dimages = all.images.narrow(0, begin, count);
  pass.backward(dfeatures, {dtheta, dimages.defined() ? dimages.data_ptr<float>() : nullptr});
  all.loss.add_(head.loss);
  if (all.targets.defined()) all.targets.narrow(0, begin, count).copy_(head.targets);
}

}  // namespace

std::vector<GradientJvp> graph_jvp(GraphSpace& space, const std::vector<Group>& groups,
                                   const Query& query) {
  const at::NoGradGuard no_graph;
  const WithRespectTo wrt{.theta = true, .images = query.wrt.images};
  std::vector<GradientJvp> answers;
  DualWeights weights;
  const auto pack = [&](std::shared_ptr<const GraphWeights>& packed, at::Tensor Group::*which) {
    const size_t g = answers.size();
    if (packed && (groups[g].*which).is_same(groups[g - 1].*which)) return;
    packed.reset();
    packed = std::make_shared<const GraphWeights>(space, groups[g].*which, wrt);
  };
  for (const Group& group : groups) {
    pack(weights.values, &Group::theta);
    pack(weights.along, &Group::direction);
    GradientJvp answer;
    answer.loss = at::zeros({});
    if (query.wrt.theta) answer.theta = at::zeros({space.plan.theta.size()});
    if (wrt.images) answer.images = at::empty(group.images.sizes());
    if (query.wrt.targets) answer.targets = at::empty(group.targets.values.sizes());
    const int64_t rows = group.rows(), most = rows_of_pass(space.plan, group, query.memory);
    for (int64_t begin = 0; begin < rows; begin += most)
      add_rows(space, weights, rows_of_group(group, begin, std::min(most, rows - begin)), begin,
               1 / static_cast<double>(rows), answer);
    answer.theta = space.plan.theta.plain(answer.theta);
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace retort::nets
