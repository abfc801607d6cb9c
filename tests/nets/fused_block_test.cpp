// The fused block against libtorch's separate operations, in float and in double.
#include "nets/fused/block.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "nets/toy.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;

at::Tensor composed(const at::Tensor& z, const at::Tensor& gain, const at::Tensor& shift, bool relu,
                    bool pool) {
  at::Tensor y = at::group_norm(z.contiguous(), z.size(1), gain, shift, 1e-5, false);
  if (relu) y = at::relu(y);
  return pool ? at::avg_pool2d(y, {2, 2}) : y;
}

struct Case {
  int64_t images, channels, height, width;
  bool relu, pool;
};

struct Inputs {
  explicit Inputs(const Case& c, double offset = 0)
      : z(normals({c.images, c.channels, c.height, c.width}, 1, at::kFloat) * 2 + offset),
        gain(normals({c.channels}, 2, at::kFloat)),
        shift(normals({c.channels}, 3, at::kFloat)) {
    z.requires_grad_(true), gain.requires_grad_(true), shift.requires_grad_(true);
  }
  std::vector<at::Tensor> all() const { return {z, gain, shift}; }
  at::Tensor z, gain, shift;
};

class FusedBlock : public testing::TestWithParam<Case> {};

TEST_P(FusedBlock, AgreesWithSeparateOperationsInDouble) {
  const Case& c = GetParam();
  const Inputs in(c);
  const at::Tensor found = fused_block(in.z, in.gain, in.shift, c.relu, c.pool);
  std::vector<at::Tensor> exact;
  for (const at::Tensor& x : in.all())
    exact.push_back(x.detach().to(at::kDouble).requires_grad_(true));
  const at::Tensor wanted = composed(exact[0], exact[1], exact[2], c.relu, c.pool);
  ASSERT_EQ(found.sizes(), wanted.sizes());
  EXPECT_LT(difference(found.to(at::kDouble), wanted), 1e-5);

  const at::Tensor cotangent = normals(found.sizes().vec(), 4, at::kFloat);
  const auto df = torch::autograd::grad({found}, in.all(), {cotangent});
  const auto dw = torch::autograd::grad({wanted}, exact, {cotangent.to(at::kDouble)});
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(difference(df[i].to(at::kDouble), dw[i]), 1e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, FusedBlock,
    testing::Values(Case{5, 128, 8, 8, true, true}, Case{3, 16, 32, 32, true, true},
                    Case{2, 7, 6, 10, true, true}, Case{2, 33, 4, 2, false, true},
                    Case{3, 20, 7, 5, true, false}, Case{2, 3, 9, 3, false, false},
                    Case{1, 1, 2, 2, true, true}, Case{2, 5, 1, 1, true, false}));

TEST(FusedBlock, KeepsTheVarianceOfValuesFarFromZero) {
  const Case c{2, 12, 16, 16, true, true};
  const Inputs in(c, 100);
  const at::Tensor found = fused_block(in.z, in.gain, in.shift, true, true);
  const at::Tensor wanted =
      composed(in.z.to(at::kDouble), in.gain.to(at::kDouble), in.shift.to(at::kDouble), true, true);
  EXPECT_LT(difference(found.to(at::kDouble), wanted), 2e-4);
}

TEST(FusedBlock, TakesAnyMemoryOrder) {
  const Inputs in({3, 10, 6, 8, true, true});
  const at::Tensor other = in.z.detach().contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(fused_block(in.z, in.gain, in.shift, true, true)
                  .equal(fused_block(other, in.gain, in.shift, true, true)));
}

TEST(FusedBlock, GivesTheSameBytesOnOneThreadAndOnTwo) {
  const Inputs in({9, 24, 8, 8, true, true});
  const int before = at::get_num_threads();
  std::vector<std::vector<at::Tensor>> found;
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    const at::Tensor y = fused_block(in.z, in.gain, in.shift, true, true);
    found.push_back(
        torch::autograd::grad({y}, in.all(), {normals(y.sizes().vec(), 5, at::kFloat)}));
    found.back().push_back(y.detach());
  }
  at::set_num_threads(before);
  for (size_t i = 0; i < found[0].size(); ++i) EXPECT_TRUE(found[0][i].equal(found[1][i])) << i;
}

TEST(FusedBlock, RefusesASecondDerivative) {
  const Inputs in({2, 4, 4, 4, true, true});
  const at::Tensor y = fused_block(in.z, in.gain, in.shift, true, true).sum();
  EXPECT_THROW(torch::autograd::grad({y}, in.all(), {}, {}, true), c10::Error);
}

TEST(FusedBlock, RefusesOddSidesAndDoubles) {
  const Inputs in({2, 4, 5, 4, true, true});
  EXPECT_THROW(fused_block(in.z, in.gain, in.shift, true, true), c10::Error);
  EXPECT_FALSE(fused_block_fits(in.z.to(at::kDouble)));
}

}  // namespace
}  // namespace retort::nets
