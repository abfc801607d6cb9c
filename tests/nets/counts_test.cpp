// Parameter counts and feature sizes of the published networks.
#include <gtest/gtest.h>

#include "retort/nets/network.h"

namespace retort::nets {
namespace {

constexpr Shape kMnist{1, 28, 28, 10}, kCifar10{3, 32, 32, 10}, kCifar100{3, 32, 32, 100},
    kTiny{3, 64, 64, 200};

struct Row {
  const char* specification;
  int64_t mnist, cifar10, cifar100, tiny;  // 0: not published, or too large to build here
};

class Counts : public testing::TestWithParam<Row> {};

TEST_P(Counts, AreThePublishedOnes) {
  const auto& [specification, mnist, cifar10, cifar100, tiny] = GetParam();
  const std::pair<Shape, int64_t> cases[] = {
      {kMnist, mnist}, {kCifar10, cifar10}, {kCifar100, cifar100}, {kTiny, tiny}};
  for (const auto& [shape, count] : cases) {
    if (count == 0) continue;
    EXPECT_EQ(make_network(specification, shape)->parameters().size, count);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, Counts,
    testing::Values(Row{"convnet-d1", 329226, 331530, 3280740, 26218440},
                    Row{"convnet-d2", 231306, 233610, 970980, 6705480},
                    Row{"convnet", 317706, 320010, 504420, 1938120},
                    Row{"convnet-d3-w128-in-relu-avgpool", 317706, 320010, 504420, 1938120},
                    Row{"convnet-d4", 450186, 452490, 498660, 857160},
                    Row{"convnet-w32", 24138, 24714, 70884, 429384},
                    Row{"convnet-w64", 85130, 86282, 178532, 895432},
                    Row{"convnet-w256", 1225226, 1229834, 1598564, 4465864},
                    Row{"convnet-nonorm", 316938, 319242, 503652, 1937352},
                    Row{"convnet-bn", 317706, 320010, 504420, 1938120},
                    Row{"convnet-gn-swish", 317706, 320010, 504420, 1938120},
                    Row{"convnet-ln", 661002, 663306, 847716, 3313608},
                    Row{"convnet-nopool", 1607946, 1610250, 13406820, 0},
                    Row{"convnet-maxpool", 317706, 320010, 504420, 1938120},
                    Row{"mlp", 118282, 411146, 422756, 0}, Row{"mlp-w100", 89610, 318410, 0, 0},
                    Row{"strided", 1388170, 1391050, 1419940, 3909640},
                    Row{"lenet", 61706, 62006, 69656, 0},
                    Row{"alexnet", 1865802, 1872202, 2148772, 0},
                    Row{"alexnet-bn", 1867722, 1874122, 2150692, 0},
                    Row{"vgg11", 9229962, 9231114, 9277284, 0},
                    Row{"vgg11-bn", 9229962, 9231114, 9277284, 0},
                    Row{"resnet18", 11172810, 11173962, 11220132, 0},
                    Row{"resnet18-bn", 11172810, 11173962, 11220132, 0},
                    Row{"resnet18-bn-ap", 11213770, 11250762, 11988132, 0},
                    Row{"resnet18-ap", 11213770, 11250762, 11988132, 0}));

TEST(ResnetCounts, AreTorchvisionsForImageNet) {
  const std::pair<const char*, int64_t> published[] = {{"resnet18-bn-imagenet", 11689512},
                                                       {"resnet34-bn-imagenet", 21797672},
                                                       {"resnet50-bn-imagenet", 25557032},
                                                       {"resnet101-bn-imagenet", 44549160}};
  for (const auto& [specification, count] : published) {
    const auto network = make_network(specification, {3, 224, 224, 1000});
    EXPECT_EQ(network->parameters().size, count) << specification;
    EXPECT_FALSE(network->is_sequential());
  }
}

TEST(FeatureSizes, AreThePublishedOnes) {
  const std::pair<const char*, int64_t> at_32[] = {
      {"convnet-d1", 32768}, {"convnet-d2", 8192}, {"convnet", 2048},    {"convnet-d4", 512},
      {"alexnet", 3072},     {"vgg11", 512},       {"resnet18-bn", 512}, {"resnet18-ap", 8192},
      {"mlp", 128},          {"lenet", 84},        {"convnet-d5-w8", 8}};
  for (const auto& [specification, size] : at_32)
    EXPECT_EQ(make_network(specification, kCifar10)->feature_size(), size) << specification;
  EXPECT_EQ(make_network("convnet", kMnist)->feature_size(), 2048);
  EXPECT_EQ(make_network("resnet18-ap", kMnist)->feature_size(), 4608);
}

TEST(FeatureSizes, FollowTheImages) {
  EXPECT_EQ(make_network("convnet", {3, 48, 48, 10})->feature_size(), 128 * 6 * 6);
  EXPECT_EQ(make_network("convnet", {3, 32, 48, 10})->feature_size(), 128 * 4 * 6);
  EXPECT_EQ(make_network("convnet", {3, 28, 28, 10})->feature_size(), 128 * 3 * 3);
  EXPECT_EQ(make_network("convnet-d6-w8", {3, 64, 64, 10})->feature_size(), 8);
  EXPECT_EQ(make_network("vgg11", kTiny)->feature_size(), 2048);
  EXPECT_EQ(make_network("resnet18", kTiny)->feature_size(), 512);
  EXPECT_EQ(make_network("alexnet", kTiny)->feature_size(), 192 * 8 * 8);
}

}  // namespace
}  // namespace retort::nets
