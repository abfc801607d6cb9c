#include "studies/trajectory_study.h"

#include <gtest/gtest.h>

#include <cmath>

#include "methods/toy_experts.h"
#include "nets/toy.h"

namespace retort::studies {
namespace {

TEST(TopEigenvalue, IsThatOfTheWholeHessian) {
  const tests::Toy toy("convnet-w2-d1-tanh", 6, 4, 1);
  const int64_t size = toy.net->parameters().size;
  at::Tensor hessian = at::empty({size, size}, at::kDouble);
  const at::Tensor units = at::eye(size, at::kDouble).to(toy.inputs.theta.device());
  for (int64_t i = 0; i < size; ++i)
    hessian[i].copy_(toy.net->gradient_jvp(toy.inputs, toy.hard, units[i]).theta);
  const at::Tensor all = at::linalg_eigvalsh(hessian, "L");
  const double wanted = all[all.abs().argmax().item<int64_t>()].item<double>();
  const double found = top_eigenvalue(*toy.net, toy.inputs.theta, toy.inputs.images,
                                      toy.hard.values, 400, RandomStream(0, "test.start"));
  EXPECT_NEAR(found / wanted, 1, 1e-3);
}

TEST(Follow, MeasuresTheDistanceAsAPartOfTheExpertsWay) {
  const data::Dataset data = tests::toy_dataset();
  const auto network = nets::make_network("convnet-w4-d2", {3, 8, 8, 3});
  const trajectories::Trajectories experts(tests::toy_experts(), data, *network);
  synthetic::Bundle bundle;
  bundle.images = tests::normals({3, 3, 8, 8}, 1, at::kFloat);
  bundle.labels = at::arange(3);
  FollowOptions options;
  options.inner_steps = 2;
  options.expert_epochs = 1;
  options.learning_rate = 0;  // stays at the start: the whole way is missing
  for (const TrajectoryError& point :
       follow(*network, bundle, experts, 0, options, at::Device(at::kCPU)))
    EXPECT_NEAR(point.distance, 1, 1e-5);
  options.learning_rate = 0.01;
  const auto path = follow(*network, bundle, experts, 1, options, at::Device(at::kCPU));
  ASSERT_EQ(path.size(), 3U);
  EXPECT_EQ(path[2].steps, 6);
  EXPECT_EQ(path[2].epochs, 3);
  // The same steps of plain SGD, one after another, never put back on the expert's way.
  const at::Tensor start = experts.snapshot(1, 0);
  at::Tensor theta = start.clone();
  for (int64_t epoch = 1; epoch <= 3; ++epoch) {
    for (int k = 0; k < 2; ++k)
      theta = theta - 0.01 * network->gradient({theta, {}, bundle.images}, {bundle.labels}).theta;
    const at::Tensor there = experts.snapshot(1, epoch);
    const double wanted = ((theta - there).norm() / (there - start).norm()).item<double>();
    EXPECT_NEAR(path[epoch - 1].distance, wanted, 1e-5);
    EXPECT_GT(std::abs(wanted - 1), 1e-3) << "the steps lead somewhere";
  }
}

}  // namespace
}  // namespace retort::studies
