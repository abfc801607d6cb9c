// The protocol of RDED goes by the set and the student.
#include <gtest/gtest.h>

#include "core/registry.h"
#include "retort/eval/evaluate.h"

namespace retort::eval {
namespace {

/// A set of so many images of so many classes.
synthetic::Bundle set_of(int64_t classes, int64_t each, int64_t side,
                         const std::string& network = "resnet18-bn") {
  synthetic::Bundle set;
  set.images = at::zeros({classes * each, 1, side, side});
  set.class_names.resize(static_cast<size_t>(classes));
  set.network = network;
  set.method = "rded";
  return set;
}

// argument.py and validation/main.py of RDED's repository.
TEST(Protocols, OfRdedGoByTheSetAndTheStudent) {
  const auto& rded = find_entry<Protocol>(protocols(), "protocol", "rded");
  EXPECT_EQ(rded.training.optimizer, "adamw");
  EXPECT_EQ(rded.training.weight_decay, 0.01);
  EXPECT_TRUE(rded.training.decay_weights_only);
  EXPECT_EQ(rded.training.schedule, "slow_cosine");
  EXPECT_EQ(rded.training.epochs, 300);
  EXPECT_EQ(rded.post->temperature, 20);
  EXPECT_FALSE(rded.post->temperature_squared);
  EXPECT_FALSE(rded.post->batch_statistics);
  const auto batch = [&](const synthetic::Bundle& set) { return views_of(rded, set).batch_size; };
  EXPECT_EQ(batch(set_of(10, 1, 32)), 10);
  EXPECT_EQ(batch(set_of(10, 10, 32)), 50);
  EXPECT_EQ(batch(set_of(10, 50, 32)), 100);
  EXPECT_EQ(batch(set_of(100, 1, 32)), 20);
  EXPECT_EQ(batch(set_of(100, 10, 32)), 100);
  EXPECT_EQ(batch(set_of(1000, 10, 8)), 100);
  EXPECT_EQ(batch(set_of(1000, 50, 4)), 200);
  for (const int64_t each : {1, 10, 50}) EXPECT_EQ(batch(set_of(200, each, 8)), 100);  // Tiny
  EXPECT_EQ(batch(set_of(100, 10, 32, "convnet-bn")), 25);
  EXPECT_EQ(batch(set_of(100, 10, 32, "convnet-d3-bn")), 25);
  EXPECT_EQ(batch(set_of(100, 10, 32, "convnet-d4-bn")), 100);
  EXPECT_EQ(batch(set_of(100, 10, 128, "convnet-d6-bn")), 100);
  const auto rate = [&](const char* student, const synthetic::Bundle& set) {
    return rded.post->learning_rate(student, set);
  };
  const synthetic::Bundle plain = set_of(10, 10, 32);
  EXPECT_EQ(rate("resnet18-bn", plain), 1e-3);
  EXPECT_EQ(rate("resnet101-bn", plain), 1e-3);
  EXPECT_EQ(rate("convnet-bn", plain), 1e-3);
  EXPECT_EQ(rate("vgg11-bn", plain), 5e-4);
  EXPECT_EQ(rate("alexnet", plain), 1e-4);
  EXPECT_EQ(rate("convnet-bn", set_of(100, 10, 32, "convnet-bn")), 2e-3);
  EXPECT_EQ(rate("convnet-bn", set_of(100, 10, 32)), 1e-3);
}

TEST(Protocols, OfRdedShuffleThePatchesOfTheSetsMosaics) {
  const auto& rded = find_entry<Protocol>(protocols(), "protocol", "rded");
  synthetic::Bundle set = set_of(10, 10, 32);
  EXPECT_EQ(views_of(rded, set).mosaic, 1);
  EXPECT_EQ(views_of(rded, set).min_crop_area, 1);
  set.recipe = "crops = 5\nmosaic = 2\npatch_choice = \"easiest\"\n";
  EXPECT_EQ(views_of(rded, set).mosaic, 2);
  EXPECT_EQ(views_of(rded, set).min_crop_area, 0.5);
  set.method = "dm";  // whose images are no mosaics, whatever its recipe holds
  EXPECT_EQ(views_of(rded, set).mosaic, 1);
}

}  // namespace
}  // namespace retort::eval
