// Recipes of the trajectory family against the numbers of the authors' tables, commands and
// configuration files, written down from there.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>

#include "retort/core/options.h"

namespace retort::cli {
namespace {

std::map<std::string, std::string> recipe(const std::string& name) {
  std::map<std::string, std::string> found;
  const std::filesystem::path path = RETORT_SOURCE_DIR;
  for (const auto& [key, text] : read_flat_toml((path / "recipes" / (name + ".toml")).string()))
    found[key] = text;
  return found;
}

void expect_number(const std::map<std::string, std::string>& recipe, const char* key,
                   double wanted) {
  const auto found = recipe.find(key);
  ASSERT_NE(found, recipe.end()) << key;
  EXPECT_NEAR(std::stod(found->second), wanted, 1e-9 * std::abs(wanted)) << key;
}

/// N, M, start epochs below, images in a step (0: all), rates of images, of the rate, first rate.
struct Steps {
  const char* name;
  double inner_steps, expert_epochs, max_start, batch, image_rate, rate_rate, rate;
};

void expect_steps(const std::map<std::string, std::string>& found, const Steps& wanted) {
  expect_number(found, "inner_steps", wanted.inner_steps);
  expect_number(found, "expert_epochs", wanted.expert_epochs);
  expect_number(found, "max_start_epoch", wanted.max_start);
  expect_number(found, "synthetic_batch", wanted.batch);
  expect_number(found, "image_learning_rate", wanted.image_rate);
  expect_number(found, "student_rate_learning_rate", wanted.rate_rate);
  expect_number(found, "student_learning_rate", wanted.rate);
  expect_number(found, "image_momentum", 0.5);
}

class PublishedSteps : public testing::TestWithParam<Steps> {};

TEST_P(PublishedSteps, AreInTheRecipe) {
  expect_steps(recipe(GetParam().name), GetParam());
}

// MTT: its table as corrected by its author; ImageNet's subsets after the command of its readme.
INSTANTIATE_TEST_SUITE_P(
    Mtt, PublishedSteps,
    testing::Values(Steps{"mtt/cifar10-ipc1", 50, 2, 2, 0, 100, 1e-7, .01},
                    Steps{"mtt/cifar10-ipc10", 30, 2, 20, 0, 100, 1e-5, .001},
                    Steps{"mtt/cifar10-ipc50", 30, 2, 40, 0, 1000, 1e-5, .001},
                    Steps{"mtt/cifar100-ipc1", 20, 3, 20, 0, 1000, 1e-5, .01},
                    Steps{"mtt/cifar100-ipc10", 20, 2, 20, 0, 1000, 1e-5, .01},
                    Steps{"mtt/cifar100-ipc50", 80, 2, 40, 125, 1000, 1e-5, .01},
                    Steps{"mtt/tinyimagenet-ipc1", 10, 2, 10, 0, 10000, 1e-4, .01},
                    Steps{"mtt/tinyimagenet-ipc10", 20, 2, 40, 200, 10000, 1e-4, .01},
                    Steps{"mtt/tinyimagenet-ipc50", 20, 2, 40, 300, 10000, 1e-4, .01},
                    Steps{"mtt/imagefruit-ipc1", 20, 2, 10, 0, 1000, 1e-6, .01},
                    Steps{"mtt/imagenette-ipc10", 20, 2, 10, 20, 1000, 1e-6, .01}));

// FTD: the table of its paper; ImageNet's subsets as its authors gave them in a thread.
INSTANTIATE_TEST_SUITE_P(
    Ftd, PublishedSteps,
    testing::Values(Steps{"ftd/cifar10-ipc1", 50, 2, 2, 0, 100, 1e-7, .01},
                    Steps{"ftd/cifar10-ipc10", 30, 2, 20, 0, 100, 1e-5, .001},
                    Steps{"ftd/cifar10-ipc50", 30, 2, 40, 0, 1000, 1e-5, .01},
                    Steps{"ftd/cifar100-ipc1", 40, 3, 20, 0, 1000, 1e-5, .01},
                    Steps{"ftd/cifar100-ipc10", 20, 2, 40, 0, 1000, 1e-5, .01},
                    Steps{"ftd/cifar100-ipc50", 80, 2, 40, 1000, 1000, 1e-5, .01},
                    Steps{"ftd/tinyimagenet-ipc1", 30, 2, 10, 0, 10000, 1e-4, .01},
                    Steps{"ftd/tinyimagenet-ipc10", 20, 2, 40, 500, 10000, 1e-4, .01},
                    Steps{"ftd/imagewoof-ipc1", 20, 2, 10, 64, 10000, 1e-4, .01},
                    Steps{"ftd/imagewoof-ipc10", 20, 2, 10, 64, 10000, 1e-4, .001}));

// The authors' code: ImageNet's mean and deviation, both sides to 128, CIFAR-100 as CIFAR-10.
TEST(TrajectoryRecipes, PrepareImagesAsTheAuthorsDo) {
  const std::filesystem::path folder = std::filesystem::path(RETORT_SOURCE_DIR) / "recipes";
  int64_t subsets = 0;
  for (const char* method : {"mtt", "ftd"})
    for (const auto& entry : std::filesystem::directory_iterator(folder / method)) {
      const std::string name = entry.path().stem();
      if (!name.starts_with("image")) continue;
      SCOPED_TRACE(name);
      const auto found = recipe(std::string(method) + "/" + name);
      expect_number(found, "resolution", 128);
      EXPECT_EQ(found.at("resize"), "squash");
      EXPECT_EQ(found.at("normalisation"), "imagenet");
      EXPECT_EQ(found.at("network"), "convnet-d5");
      ++subsets;
    }
  EXPECT_EQ(subsets, 20);
  EXPECT_EQ(recipe("mtt/cifar100-ipc10").at("normalisation"), "cifar10");
}

TEST(FtdRecipes, AverageAndTrainExpertsAsInThePaper) {
  const std::tuple<const char*, double, double> table[] = {
      {"cifar10-ipc1", .9999, .3},    {"cifar10-ipc10", .9995, .3},    {"cifar10-ipc50", .999, 1},
      {"cifar100-ipc1", .9995, 1},    {"cifar100-ipc10", .9995, 1},    {"cifar100-ipc50", .999, 1},
      {"tinyimagenet-ipc1", .999, 1}, {"tinyimagenet-ipc10", .999, 1}, {"imagenette-ipc1", .999, 1},
      {"imagenette-ipc10", .999, 1}};
  for (const auto& [name, decay, alpha] : table) {
    SCOPED_TRACE(name);
    const auto found = recipe(std::string("ftd/") + name);
    expect_number(found, "average_decay", decay);
    expect_number(found, "experts_gsam_alpha", alpha);
    expect_number(found, "experts_epochs", 50);
  }
}

// TESLA: the three public commands; lr_img 1000, 1000 and 10000, of which its code loses half.
TEST(TeslaRecipes, MoveTheImagesAsFarAsThePublicCommands) {
  const Steps table[] = {{"tesla/cifar10-ipc1", 50, 2, 5, 0, 500, 1e-7, .01},
                         {"tesla/cifar100-ipc50", 80, 2, 40, 125, 500, 1e-5, .01},
                         {"tesla/imagenet64-ipc1", 10, 3, 10, 100, 5000, 1e-4, .01}};
  for (const Steps& wanted : table) {
    SCOPED_TRACE(wanted.name);
    const auto found = recipe(wanted.name);
    expect_steps(found, wanted);
    EXPECT_EQ(found.at("hessian"), "false");
  }
}

/// min_start_epoch, current_max_start_epoch, expansion_end_epoch (0, 0: no expansion), lr_y,
/// threshold, pix_init.
struct Window {
  Steps steps;
  double min_start, first_max_start, widening, label_rate, threshold;
  bool correct;
};

class DatmRecipes : public testing::TestWithParam<Window> {};

TEST_P(DatmRecipes, AreTheConfigurationFiles) {
  const Window& wanted = GetParam();
  const auto found = recipe(wanted.steps.name);
  expect_steps(found, wanted.steps);
  expect_number(found, "min_start_epoch", wanted.min_start);
  expect_number(found, "first_max_start_epoch", wanted.first_max_start);
  expect_number(found, "widening_iterations", wanted.widening);
  expect_number(found, "label_learning_rate", wanted.label_rate);
  expect_number(found, "skip_above", wanted.threshold);
  EXPECT_EQ(found.at("start_correct"), wanted.correct ? "true" : "false");
  expect_number(found, "iterations", 10000);
  expect_number(found, "experts_epochs", 100);
  expect_number(found, "experts_gsam_alpha", .3);
  EXPECT_EQ(found.at("normalisation"), "zca");
  EXPECT_EQ(found.at("protocol"), "datm");  // batches of 128
}

// A batch_syn of 1000 where there are 100 or 200 images is the whole set.
INSTANTIATE_TEST_SUITE_P(
    Files, DatmRecipes,
    testing::Values(
        Window{{"datm/cifar10-ipc1", 80, 2, 4, 10, 100, 1e-7, .01}, 0, 0, 0, 5, 1.1, true},
        Window{{"datm/cifar10-ipc10", 80, 2, 20, 100, 100, 1e-5, .01}, 0, 10, 1000, 2, 1, true},
        Window{{"datm/cifar10-ipc50", 80, 2, 40, 500, 1000, 1e-5, .01}, 0, 20, 2000, 2, 1, true},
        Window{{"datm/cifar10-ipc500", 40, 2, 60, 1000, 50, 1e-5, .01}, 40, 0, 0, 10, 1, true},
        Window{{"datm/cifar10-ipc1000", 100, 2, 60, 1000, 50, 1e-5, .01}, 40, 0, 0, 10, 1, true},
        Window{{"datm/cifar100-ipc1", 40, 3, 20, 100, 1000, 1e-5, .01}, 0, 10, 1000, 10, 1, true},
        Window{{"datm/cifar100-ipc10", 80, 2, 50, 1000, 1000, 1e-5, .01}, 0, 30, 2000, 10, 1, true},
        Window{{"datm/cifar100-ipc50", 80, 2, 70, 1000, 1000, 1e-5, .01}, 20, 0, 0, 10, 1, false},
        Window{{"datm/cifar100-ipc100", 80, 2, 70, 1000, 50, 1e-5, .01}, 30, 0, 0, 10, 1, true},
        Window{
            {"datm/tinyimagenet-ipc1", 40, 2, 20, 200, 10000, 1e-4, .01}, 0, 15, 2000, 10, 1, true},
        Window{{"datm/tinyimagenet-ipc10", 40, 2, 50, 500, 100, 1e-4, .01}, 10, 0, 0, 10, 1, true},
        Window{
            {"datm/tinyimagenet-ipc50", 20, 2, 70, 1000, 100, 1e-4, .01}, 40, 0, 0, 10, 1, true}));

// FRePo: script/distill.py. Whitened in colour, standardised in grey; images mirrored in the
// regression for one image of a class in colour.
TEST(FrepoRecipes, AreTheScript) {
  const std::tuple<const char*, bool, bool> table[] = {
      {"cifar10-ipc1", true, true},        {"cifar10-ipc10", true, true},
      {"cifar10-ipc50", true, true},       {"cifar100-ipc1", true, true},
      {"cifar100-ipc10", true, false},     {"cifar100-ipc50", true, false},
      {"tinyimagenet-ipc1", true, true},   {"tinyimagenet-ipc10", true, false},
      {"mnist-ipc1", false, false},        {"mnist-ipc10", false, false},
      {"fashionmnist-ipc10", false, false}};
  for (const auto& [name, whitened, mirrored] : table) {
    SCOPED_TRACE(name);
    const auto found = recipe(std::string("frepo/") + name);
    EXPECT_EQ(found.count("normalisation") ? found.at("normalisation") : "auto",
              whitened ? "standardised-zca" : "auto");
    if (whitened) expect_number(found, "zca_epsilon", .1);
    EXPECT_EQ(found.at("flip"), mirrored ? "true" : "false");
    expect_number(found, "image_learning_rate", 3e-4);
    expect_number(found, "real_batch", 1024);
    expect_number(found, "pool_size", 10);
    expect_number(found, "pool_steps", 100);
    expect_number(found, "iterations", 500000);
  }
}

// The readme: lr_img 1 up to 50 images of a class, 10 above, on CIFAR-10.
TEST(DmRecipes, RatesAreThoseOfTheReadme) {
  for (const int images : {1, 10, 50, 100, 200, 500, 1000, 1250}) {
    const auto found = recipe("dm/cifar10-ipc" + std::to_string(images));
    expect_number(found, "image_learning_rate", images <= 50 ? 1 : 10);
    expect_number(found, "image_momentum", .5);
    expect_number(found, "real_batch", 256);
    expect_number(found, "iterations", 20000);
  }
}

}  // namespace
}  // namespace retort::cli
