// Specifications, layouts and beginnings.
#include <gtest/gtest.h>

#include <set>

#include "nets/specification.h"
#include "nets/toy.h"
#include "retort/core/error.h"
#include "retort/nets/network.h"
#include "support/support.h"

namespace retort::nets {
namespace {

using tests::expect_error;
using tests::Toy;

TEST(MakeNetwork, ListsNetworksWhenTheNameIsUnknown) {
  expect_error<ConfigError>([] { make_network("convent", {}); },
                            {"convent", "convnet", "resnet18", "did you mean 'convnet'"});
}

TEST(MakeNetwork, ListsVariantsWhenOneIsUnknown) {
  expect_error<ConfigError>(
      [] { make_network("convnet-maxpol", {}); },
      {"'convnet-maxpol'", "no variant 'maxpol'", "in|bn|ln|gn|nonorm", "did you mean 'maxpool'"});
  expect_error<ConfigError>([] { make_network("lenet-bn", {}); }, {"no variant 'bn'", "none"});
  for (const char* name : {"convnet-nn", "wideconv-w8-nn", "alexnet-nn"})  // their former word
    expect_error<ConfigError>([&] { make_network(name, {}); },
                              {"no variant 'nn' any more", "write 'nonorm' in its place"});
  expect_error<ConfigError>([] { make_network("convnet-", {}); }, {"no variant ''"});
  expect_error<ConfigError>([] { make_network("convnet-w12x", {}); }, {"no variant 'w12x'"});
}

TEST(MakeNetwork, RefusesContradictions) {
  expect_error<ConfigError>([] { make_network("convnet-bn-in", {}); }, {"contradicts"});
  expect_error<ConfigError>([] { make_network("convnet-d2-d3", {}); }, {"'d3' contradicts"});
}

TEST(MakeNetwork, RefusesNumbersOutOfRange) {
  expect_error<ConfigError>([] { make_network("convnet-d7", {}); }, {"'d7'", "d1 to d6"});
  expect_error<ConfigError>([] { make_network("convnet-w0", {}); }, {"'w0'", "w1 to w1024"});
}

TEST(MakeNetwork, RefusesSizesThatDoNotFit) {
  expect_error<ConfigError>([] { make_network("convnet-d6", {}); },
                            {"'convnet-d6' for 3x32x32", "1x1", "at least 2"});
  expect_error<ConfigError>([] { make_network("lenet", {3, 8, 8, 10}); }, {"'conv2'", "2x2"});
  expect_error<ConfigError>([] { make_network("convnet-gn-w6", {}); }, {"multiple of 4"});
  expect_error<ConfigError>([] { make_network("convnet", {3, 32, 32, 0}); }, {"0 classes"});
}

TEST(MakeNetwork, TableEntriesBuild) {
  std::set<std::string> names;
  for (const NetworkEntry& entry : network_table()) {
    EXPECT_TRUE(names.insert(entry.name).second);
    EXPECT_GT(make_network(entry.name, {})->parameters().size, 0) << entry.name;
    EXPECT_FALSE(entry.summary.empty() || entry.variants.empty());
  }
}

TEST(Specification, SaysFamilyAndDepthOfAConvNet) {
  EXPECT_EQ(family_of("vgg11-bn"), "vgg11");
  EXPECT_EQ(family_of("alexnet"), "alexnet");
  EXPECT_EQ(family_of(""), "");
  for (const char* three : {"convnet", "convnet-bn", "convnet-d3", "convnet-w8-d3-bn"})
    EXPECT_TRUE(is_convnet_of_depth(three, 3)) << three;
  for (const char* other : {"", "-d3", "convnet-d4", "convnet-d33", "wideconv", "wideconv-d3",
                            "convnets", "resnet18-d3"})
    EXPECT_FALSE(is_convnet_of_depth(other, 3)) << other;
  EXPECT_TRUE(is_convnet_of_depth("convnet-d4-bn", 4));
}

TEST(Layout, SlotsLieOneAfterAnother) {
  for (const char* specification : {"convnet-d2-w8", "resnet18-bn-ap", "vgg11", "alexnet-bn"}) {
    const auto net = make_network(specification, {});
    std::set<std::string> names;
    for (const Layout* layout : {&net->parameters(), &net->state()}) {
      int64_t offset = 0;
      for (const Slot& slot : layout->slots) {
        EXPECT_TRUE(names.insert(slot.name).second) << slot.name;
        EXPECT_EQ(slot.offset, offset);
        int64_t count = 1;
        for (const int64_t side : slot.shape) count *= side;
        EXPECT_EQ(slot.count, count);
        offset += count;
      }
      EXPECT_EQ(layout->size, offset);
    }
  }
}

TEST(Layout, ConvNetSlotsFollowPyTorchsOrder) {
  const auto net = make_network("convnet-d1-w8", {});
  std::vector<std::string> names;
  for (const Slot& slot : net->parameters().slots) names.push_back(slot.name);
  EXPECT_EQ(names, (std::vector<std::string>{"block1.conv.weight", "block1.conv.bias",
                                             "block1.norm.weight", "block1.norm.bias",
                                             "classifier.weight", "classifier.bias"}));
  const Slot& conv = net->parameters().find("block1.conv.weight");
  EXPECT_EQ(conv.shape, (std::vector<int64_t>{8, 3, 3, 3}));
  EXPECT_NEAR(conv.bound, 1 / std::sqrt(27.0), 1e-12);
  EXPECT_THROW(net->parameters().find("block2.conv.weight"), c10::Error);
}

TEST(Layout, TapsAreNamed) {
  const auto net = make_network("convnet-d1-w8", {});
  EXPECT_EQ(net->taps(), (std::vector<std::string>{"block1.conv.input", "block1.norm.input",
                                                   "features", "classifier.input", "logits"}));
}

TEST(Initial, IsUniformWithinPyTorchsBounds) {
  const auto net = make_network("convnet-w32", {});
  const at::Tensor theta = net->initial(RandomStream(7, "test"));
  ASSERT_EQ(theta.numel(), net->parameters().size);
  for (const Slot& slot : net->parameters().slots) {
    const at::Tensor values = theta.narrow(0, slot.offset, slot.count);
    if (slot.start == Slot::Start::kUniform) {
      EXPECT_LE(values.abs().max().item<double>(), slot.bound * (1 + 1e-6)) << slot.name;
      if (slot.count > 100) {
        EXPECT_GT(values.abs().max().item<double>(), 0.95 * slot.bound) << slot.name;
        EXPECT_NEAR(values.var().item<double>(), slot.bound * slot.bound / 3,
                    0.15 * slot.bound * slot.bound)
            << slot.name;
      }
    } else {
      EXPECT_TRUE(values.eq(slot.start == Slot::Start::kOnes ? 1 : 0).all().item<bool>());
    }
  }
}

TEST(Wideconv, IsFreposNetwork) {
  const auto net = make_network("wideconv-bn", {});
  EXPECT_EQ(net->feature_size(), 8192);
  EXPECT_EQ(net->parameters().find("block3.conv.weight").shape,
            (std::vector<int64_t>{512, 256, 3, 3}));
  EXPECT_EQ(net->parameters().find("block2.norm.weight").shape, (std::vector<int64_t>{128}));
  EXPECT_THROW(net->parameters().find("block1.norm.weight"), c10::Error);
  EXPECT_EQ(make_network("wideconv-nonorm", {1, 28, 28, 10})->feature_size(), 8192);
  EXPECT_EQ(make_network("wideconv-d4", {3, 64, 64, 200})->feature_size(), 16384);
}

TEST(Wideconv, StartsWithTruncatedNormalsOfVarianceOneOverFanIn) {
  const auto net = make_network("wideconv-w32-nonorm", {});
  const at::Tensor theta = net->initial(RandomStream(7, "test"));
  for (const char* name : {"block2.conv.weight", "classifier.weight"}) {
    const Slot& slot = net->parameters().find(name);
    const at::Tensor values = theta.narrow(0, slot.offset, slot.count);
    EXPECT_NEAR(values.std().item<double>(), slot.bound, 0.02 * slot.bound) << name;
    EXPECT_LE(values.abs().max().item<double>(), 2.28 * slot.bound) << name;
  }
  const Slot& bias = net->parameters().find("block1.conv.bias");
  EXPECT_EQ(theta.narrow(0, bias.offset, bias.count).abs().max().item<double>(), 0);
}

TEST(Initial, IsAFunctionOfTheStream) {
  const auto net = make_network("convnet-w8", {});
  EXPECT_TRUE(net->initial(RandomStream(7, "test")).equal(net->initial(RandomStream(7, "test"))));
  EXPECT_FALSE(net->initial(RandomStream(7, "test")).equal(net->initial(RandomStream(8, "test"))));
}

TEST(Predict, DoesNotDependOnTheChunk) {
  for (const char* specification : {"convnet-w4", "convnet-bn-w4", "convnet-ln-w4-maxpool"}) {
    const Toy toy(specification, 7, 8, 3, at::kFloat);
    const at::Tensor whole =
        toy.net->predict(toy.inputs.theta, toy.inputs.state, toy.inputs.images);
    const at::Tensor pieces =
        toy.net->predict(toy.inputs.theta, toy.inputs.state, toy.inputs.images, 3);
    EXPECT_EQ(whole.sizes(), (std::vector<int64_t>{7, 4}));
    EXPECT_LT(tests::difference(pieces, whole), 1e-5);
    EXPECT_FALSE(whole.requires_grad());
  }
}

TEST(Predict, TakesNoImages) {
  const Toy toy("convnet-w4", 3);
  EXPECT_EQ(toy.net->predict(toy.inputs.theta, toy.inputs.state, toy.inputs.images.narrow(0, 0, 0))
                .size(0),
            0);
}

}  // namespace
}  // namespace retort::nets
